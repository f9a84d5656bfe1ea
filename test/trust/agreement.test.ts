// How many voices count: against every way to give the keys away.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { independentVoices, type Voice } from '../../src/trust/agreement.ts';

const voice = (name: string, keys: string, threshold = 1): Voice => ({
  name,
  signers: new Set(keys),
  threshold,
});

describe('independent voices', () => {
  it.each([
    ['two roles with keys of their own', 2, [voice('a', 'K'), voice('b', 'L')]],
    ['one key', 1, [voice('a', 'K'), voice('b', 'K')]],
    ['one role named twice', 1, [voice('a', 'K'), voice('a', 'L')]],
    ['a key that another role can spare', 2, [voice('a', 'KL'), voice('b', 'K')]],
    ['three roles over two keys', 2, [voice('a', 'KL'), voice('b', 'K'), voice('c', 'L')]],
    ['a chain of shared keys', 3, [voice('a', 'KL'), voice('b', 'KM'), voice('c', 'K')]],
    ['thresholds that take all keys', 1, [voice('a', 'KL', 2), voice('b', 'KL', 2)]],
    ['thresholds beside each other', 2, [voice('a', 'KLM', 2), voice('b', 'KLMN', 2)]],
    ['too few signers', 0, [voice('a', 'K', 2)]],
    ['nobody', 0, []],
  ])('%s: %i', (_, count, voices) => {
    expect(independentVoices(voices)).toBe(count);
  });

  it('are as many as any way to give each key to one role allows, where each role takes one', () => {
    const most = ([first, ...rest]: readonly string[], used: string): number =>
      first === undefined
        ? 0
        : Math.max(
            most(rest, used),
            ...[...first]
              .filter((key) => !used.includes(key))
              .map((key) => 1 + most(rest, used + key)),
          );
    const keys = fc.subarray([...'KLMN']).map((all) => all.join(''));
    fc.assert(
      fc.property(fc.array(keys, { maxLength: 5 }), (signed) => {
        const voices = signed.map((each, index) => voice(`role ${index}`, each));
        expect(independentVoices(voices)).toBe(most(signed, ''));
      }),
      { numRuns: 300 },
    );
  });
});
