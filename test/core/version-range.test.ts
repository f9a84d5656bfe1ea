// What a release asks of another ECU's version: each comparator below, at and above its version.

import { describe, expect, it } from 'vitest';
import { inRange } from '../../src/core/version-range.ts';

describe('inRange', () => {
  it.each([
    ['>=1.2.0', false, true, true],
    ['>1.2.0', false, false, true],
    ['<=1.2.0', true, true, false],
    ['<1.2.0', true, false, false],
    ['=1.2.0', false, true, false],
    ['1.2.0', false, true, false],
    ['*', true, true, true],
    ['>= 1.2.0', false, true, true],
    [' >=1.0.0 <1.2.0 ', true, false, false],
    ['>=1.2.0,<1.3.0', false, true, false],
    ['* >1.2.0', false, false, true],
  ])('%s', (range, below, at, above) => {
    expect(['1.1.9', '1.2.0', '1.3.0'].map((version) => inRange(version, range))).toEqual([
      below,
      at,
      above,
    ]);
  });

  it('holds never for a version that is missing or unknown, except that * asks for nothing', () => {
    expect(inRange(undefined, '*')).toBe(false);
    expect(inRange('unknown', '<9')).toBe(false);
    expect(inRange('unknown', 'unknown')).toBe(false);
    expect(inRange('unknown', '*')).toBe(true);
  });

  it('holds never where the range cannot be read', () => {
    for (const range of ['', '=>1.0.0', '~1.0.0', '>=', '>=1.0.0 <', `>=${'1'.repeat(33)}`]) {
      expect(inRange('1.0.0', range), range).toBe(false);
    }
    expect(inRange('1'.repeat(32), `=${'1'.repeat(32)}`)).toBe(true);
  });
});
