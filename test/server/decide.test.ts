// Which release each ECU should run: newest, for its hardware, never back, and fitting the others.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AssignableEcu,
  decide,
  type SignedRelease,
} from '../../server/features/director/decide.ts';
import { inRange } from '../../src/core/version-range.ts';

function release(
  ecu: string,
  version: string,
  counter: number,
  dependencies: Record<string, string> = {},
  more: Partial<SignedRelease> = {},
): SignedRelease {
  const sha256 = `${ecu}-${version}`;
  return {
    ...{ name: `${ecu}-${version}.bin`, length: 1, hashes: { sha256 }, sha256, ecu, version },
    ...{
      hardwareIds: [`${ecu}-HW`],
      releaseCounter: counter,
      dependencies,
      encrypt: false,
      forced: false,
    },
    ...{ custom: {}, ...more },
  };
}

function ecu(name: string, installed?: string, more: Partial<AssignableEcu> = {}): AssignableEcu {
  return {
    ...{ serial: `S-${name}`, name, hardwareId: `${name}-HW`, canDecrypt: false },
    ...{ installedSha256: installed === undefined ? undefined : `${name}-${installed}` },
    ...{ highestCounter: 0, ...more },
  };
}

/** `EDT 2, INV 1 (runs)` */
function told(ecus: readonly AssignableEcu[], releases: readonly SignedRelease[]): string[] {
  return decide(ecus, releases).map(
    ({ ecu: { name }, release: { version }, installed }) =>
      `${name} ${version}${installed ? ' (runs)' : ''}`,
  );
}

describe('decide', () => {
  it('takes the highest counter, then the newest version', () => {
    const releases = [release('EDT', '9', 1), release('EDT', '2', 3), release('EDT', '10', 3)];
    expect(told([ecu('EDT')], releases)).toEqual(['EDT 10']);
    expect(told([ecu('EDT', '10')], releases)).toEqual(['EDT 10 (runs)']);
    expect(told([ecu('INV')], releases)).toEqual([]);
  });

  it('looks at name, hardware, and whether the ECU can read it', () => {
    const other = [
      release('EDT', '2', 2, {}, { hardwareIds: ['INV-HW'] }),
      release('INV', '2', 2, {}, { hardwareIds: ['EDT-HW'] }),
      release('EDT', '3', 3, {}, { encrypt: true }),
    ];
    expect(told([ecu('EDT')], other)).toEqual([]);
    expect(told([ecu('EDT', undefined, { canDecrypt: true })], other)).toEqual(['EDT 3']);
  });

  it('never goes back', () => {
    const releases = [release('EDT', '1', 1), release('EDT', '2', 2)];
    expect(told([ecu('EDT', '3', { highestCounter: 3 })], releases)).toEqual([]);
    expect(told([ecu('EDT', '1', { highestCounter: 2 })], releases)).toEqual(['EDT 2']);
    expect(told([ecu('EDT', '1', { highestCounter: 3 })], releases)).toEqual(['EDT 1 (runs)']);
  });

  it('gives both when each needs the other, and neither when one is missing', () => {
    const edt = [release('EDT', '1', 1), release('EDT', '2', 2, { INV: '>=2' })];
    const inv = [release('INV', '1', 1), release('INV', '2', 2, { EDT: '>=2' })];
    const ecus = [ecu('EDT', '1'), ecu('INV', '1')];
    expect(told(ecus, [...edt, ...inv])).toEqual(['EDT 2', 'INV 2']);
    expect(told(ecus, [...edt, inv[0]!])).toEqual(['EDT 1 (runs)', 'INV 1 (runs)']);
    expect(told([ecu('EDT', '1')], edt)).toEqual(['EDT 1 (runs)']);
  });

  it('takes nothing away that another ECU runs on', () => {
    const releases = [
      release('EDT', '1', 1, { INV: '<2' }),
      release('INV', '1', 1),
      release('INV', '2', 2),
    ];
    expect(told([ecu('EDT', '1'), ecu('INV', '1')], releases)).toEqual([
      'EDT 1 (runs)',
      'INV 1 (runs)',
    ]);
    // With a newer EDT that no longer minds, both go up.
    const newer = [...releases, release('EDT', '2', 2)];
    expect(told([ecu('EDT', '1'), ecu('INV', '1')], newer)).toEqual(['EDT 2', 'INV 2']);
  });

  it('goes down no further than it must', () => {
    const releases = [
      release('EDT', '3', 3, { INV: '>=3' }),
      release('EDT', '2', 2, { INV: '>=2' }),
      release('INV', '3', 3, { BMS: '>=2' }),
      release('INV', '2', 2),
      release('BMS', '1', 1),
    ];
    expect(told([ecu('EDT'), ecu('INV'), ecu('BMS')], releases)).toEqual([
      'EDT 2',
      'INV 2',
      'BMS 1',
    ]);
  });

  it('ends, and what it tells anew always fits together', () => {
    const names = ['A', 'B', 'C', 'D'];
    const releases = fc.array(
      fc.record({
        name: fc.constantFrom(...names),
        version: fc.integer({ min: 1, max: 5 }),
        needs: fc.dictionary(
          fc.constantFrom(...names),
          fc.tuple(fc.constantFrom('>=', '<', '='), fc.integer({ min: 1, max: 5 })),
          { maxKeys: 2 },
        ),
      }),
      { maxLength: 16 },
    );
    fc.assert(
      fc.property(
        releases,
        fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 4 }),
        (list, at) => {
          const unique = [
            ...new Map(list.map((each) => [`${each.name}${each.version}`, each])).values(),
          ];
          const signed = unique.map(({ name, version, needs }) =>
            release(
              name,
              `${version}`,
              version,
              Object.fromEntries(
                Object.entries(needs).map(([key, range]) => [key, range.join('')]),
              ),
            ),
          );
          const ecus = names.map((name, index) =>
            ecu(name, at[index] === 0 ? undefined : `${at[index]}`),
          );
          const decisions = decide(ecus, signed);
          const versions = new Map(decisions.map((each) => [each.ecu.name, each.release.version]));
          for (const { release: told, installed } of decisions) {
            if (installed) continue;
            for (const [name, range] of Object.entries(told.dependencies)) {
              expect(inRange(versions.get(name), range)).toBe(true);
            }
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('inRange', () => {
  it.each([
    ['1.2.0', '>=1.0.0', true],
    ['1.2.0', '>=1.0.0 <2', true],
    ['2.0.0', '>=1.0.0 <2', false],
    ['1.2.0', '>= 1.0.0, < 2', true],
    ['1.2', '1.2.0', true],
    ['1.2.1', '=1.2.0', false],
    ['1.2.1', '>1.2.0', true],
    ['1.2.0', '<=1.2.0', true],
    ['anything', '*', true],
    ['1.0.0-rc.1', '>=1.0.0', false],
    ['unknown', '>=0', false],
    ['1.0.0', '~1.0.0', false],
    ['1.0.0', '', false],
    [undefined, '*', false],
  ])('%s in %j: %s', (version, range, expected) => {
    expect(inRange(version, range)).toBe(expected);
  });
});
