// The wildcards of delegations, segment by segment.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { matchesPattern } from '../../../src/trust/path-pattern.ts';

it.each([
  ['*', 'app.bin', true],
  ['*', 'folder/app.bin', false],
  ['*/*', 'folder/app.bin', true],
  ['*.bin', 'app.bin', true],
  ['*.bin', '.bin', true],
  ['*.bin', 'app.bin.old', false],
  ['EDT-*', 'EDT-2.0.0.bin', true],
  ['EDT-*', 'edt-2.0.0.bin', false],
  ['EDT-?.bin', 'EDT-1.bin', true],
  ['EDT-?.bin', 'EDT-.bin', false],
  ['EDT-?.bin', 'EDT-\u{1f697}.bin', true],
  ['a?b', 'a/b', false],
  ['[ab].bin', 'b.bin', true],
  ['[ab].bin', 'c.bin', false],
  ['[!ab].bin', 'c.bin', true],
  ['[!ab].bin', 'a.bin', false],
  ['v[0-9].bin', 'v7.bin', true],
  ['v[0-9].bin', 'vx.bin', false],
  ['v[]].bin', 'v].bin', true],
  ['v[', 'v[', true],
  ['a*b*c', 'a-b-b-c', true],
  ['a*b*c', 'a-b-b-d', false],
  ['**', 'a/b', false],
  ['', '', true],
  ['', 'a', false],
  // What other matchers give a meaning of their own is a character here.
  ['!app', 'other', false],
  ['{a,b}', 'a', false],
  ['#x', '#x', true],
  ['a.b', 'axb', false],
  ['@(a|b)', 'a', false],
])('%s and %s: %s', (pattern, path, matches) => {
  expect(matchesPattern(path, pattern)).toBe(matches);
});

it('says the same as a regular expression', () => {
  const piece = fc.constantFrom('a', 'b', '*', '?', '/', '.');
  const text = (unit: fc.Arbitrary<string>) =>
    fc.array(unit, { maxLength: 8 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text(piece), text(fc.constantFrom('a', 'b', '/', '.')), (pattern, path) => {
      const source = pattern
        .replaceAll('.', '\\.')
        .replaceAll('*', '[^/]*')
        .replaceAll('?', '[^/]');
      expect(matchesPattern(path, pattern)).toBe(new RegExp(`^${source}$`).test(path));
    }),
    { numRuns: 2000 },
  );
});

it('takes no exponential time for what an attacker writes', () => {
  expect(matchesPattern('a'.repeat(5000), `${'a*'.repeat(2000)}b`)).toBe(false);
});
