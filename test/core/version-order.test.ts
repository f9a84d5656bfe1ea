// The order of versions: a table with what people expect, and the laws of a total order.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareVersions, sameVersion } from '../../src/core/version-order.ts';

describe('compareVersions', () => {
  it.each([
    ['1.0.0', '1.0.1'],
    ['1.9.0', '1.10.0'],
    ['1.2', '1.2.1'],
    ['2.0.0-rc.1', '2.0.0'],
    // Semantic Versioning 11.4, the chain of its own example
    ['1.0.0-alpha', '1.0.0-alpha.1'],
    ['1.0.0-alpha.1', '1.0.0-alpha.beta'],
    ['1.0.0-alpha.beta', '1.0.0-beta'],
    ['1.0.0-beta', '1.0.0-beta.2'],
    ['1.0.0-beta.2', '1.0.0-beta.11'],
    ['1.0.0-beta.11', '1.0.0-rc.1'],
    ['1.0.0+1', '1.0.0+2'],
    ['v1.2.3', 'v1.2.4'],
    ['1.2.3.4', '1.2.3.10'],
    ['9', '10'],
    ['r9', 'r10'],
    ['2026-9-1', '2026-10-1'],
    ['99999999999999999999.0', '100000000000000000000.0'],
    // A named version gives way to a numbered one.
    ['zzz', '0.0.1'],
    // An ECU that does not know is older than everything.
    ['unknown', 'beta'],
    ['unknown', '0.0.1'],
    ['', 'r1'],
  ])('%s is older than %s', (older, newer) => {
    expect(compareVersions(older, newer)).toBeLessThan(0);
    expect(compareVersions(newer, older)).toBeGreaterThan(0);
  });

  it.each([
    ['1.0', '1.0.0'],
    ['v1.0.0', '1.0.0'],
    ['01.2', '1.2'],
    ['V1.0', '1'],
    ['1.0.0-rc.01', 'v1.0-rc.1'],
    ['unknown', ''],
  ])('%s and %s are the same version', (a, b) => {
    expect(compareVersions(a, b)).toBe(0);
    expect(sameVersion(a, b)).toBe(true);
  });

  it.each([
    ['1.0.0', '1.0.0+build'],
    ['1.0.0', '1.0.0-rc.1'],
    ['1.0.0-RC1', '1.0.0-rc1'],
    ['1.0', '10'],
    ['2026-1-0', '2026-1'],
  ])('%s and %s are not the same version', (a, b) => {
    expect(sameVersion(a, b)).toBe(false);
  });

  const version = fc.oneof(
    fc.constantFrom('unknown', ''),
    fc.stringMatching(/^[0-9A-Za-z][0-9A-Za-z.+_-]{0,12}$/),
    fc.stringMatching(/^\d(\.\d){0,3}(-(rc|a)?\.?\d?)?$/),
  );

  it('is antisymmetric and transitive', () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b))).toBe(-Math.sign(compareVersions(b, a)) + 0);
        const sorted = [a, b, c].sort(compareVersions);
        expect(compareVersions(sorted[0]!, sorted[2]!)).toBeLessThanOrEqual(0);
      }),
      { numRuns: 2000 },
    );
  });
});
