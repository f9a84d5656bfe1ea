// Sets of characters in the wildcards of delegations: ranges, and signs that are only signs where they stand.

import { expect, it } from 'vitest';
import { matchesPattern } from '../../../src/trust/path-pattern.ts';

it.each([
  ['[acb]', 'abc', 'd-'],
  ['[a-c]', 'abc', 'd-`'],
  ['[a-]', 'a-', 'bz'],
  ['[-a]', 'a-', 'bz'],
  ['[ab-d]', 'abcd', 'e-'],
  ['[a-bx-z]', 'abxyz', 'cw-'],
  ['[c-a]', '', 'abc-'],
  ['[a-c-e]', 'abc-e', 'd'],
  ['[!acb]', 'd-', 'abc'],
  ['[!a-c]', 'd!', 'abc'],
  ['[a!]', 'a!', 'b'],
])('%s takes each of "%s" and none of "%s"', (pattern, good, bad) => {
  const taken = (characters: string): string =>
    [...characters].filter((character) => matchesPattern(character, pattern)).join('');
  expect(taken(good)).toBe(good);
  expect(taken(bad)).toBe('');
});
