// Decisions and plans.

import { describe, expect, it } from 'vitest';
import { candidates, decide, type PlannedEcu } from '../../src/campaign/decide.ts';
import { canonicalJson, planDigest, planTargetsKey, planText } from '../../src/campaign/plan.ts';
import type { EcuIdentity, Offer } from '../../src/campaign/ports.ts';
import { hash, plan } from './support.ts';

const ecus: PlannedEcu[] = [
  { name: 'INV', hardwareId: 'INV-HW', bankSize: 1000, rank: 0, bus: 'can' },
  { name: 'EDT', hardwareId: 'EDT-HW', bankSize: 1000, rank: 1, bus: 'body' },
];
const release = (ecu: string, version: string, digit = 'a', size = 10): Offer => ({
  ecu,
  version,
  targetName: `${ecu}-${version}.bin`,
  size,
  sha256: hash(digit),
  releaseCounter: 1,
  download: { file: `${ecu}-${version}.bin`, size, sha256: hash(digit) },
  encryption: null,
  dependencies: {},
  forced: false,
  notes: 'n',
});
const identity = (ecu: string, version: string | undefined, digit?: string): EcuIdentity => ({
  hardwareId: `${ecu}-HW`,
  version,
  serialNumber: undefined,
  sha256: digit === undefined ? undefined : hash(digit),
});

describe('what is news', () => {
  const names = (releases: Offer[], installed: [string, string, string?][]): string[] =>
    candidates(
      releases,
      ecus,
      new Map(
        installed.map(([ecu, version, digit]) => [
          ecu,
          { version, sha256: digit === undefined ? undefined : hash(digit) },
        ]),
      ),
    ).map(({ ecu, version }) => `${ecu} ${version}`);

  it.each<[string, Offer[], [string, string, string?][], string[]]>([
    ['a higher version', [release('EDT', '2.0.0')], [['EDT', '1.0.0', 'b']], ['EDT 2.0.0']],
    ['never a lower one', [release('EDT', '1.0.0')], [['EDT', '2.0.0', 'b']], []],
    ['not what is installed', [release('EDT', '2.0.0')], [['EDT', '2.0.0', 'a']], []],
    [
      'the same bytes under a higher number are installed',
      [release('EDT', '3.0.0')],
      [['EDT', '2.0.0', 'a']],
      [],
    ],
    [
      'other bytes of the same version',
      [release('EDT', '2.0.0')],
      [['EDT', '2.0.0', 'b']],
      ['EDT 2.0.0'],
    ],
    [
      'the same version of an ECU without a digest',
      [release('EDT', '2.0.0')],
      [['EDT', '2.0.0']],
      [],
    ],
    ['an ECU of which nothing is known', [release('EDT', '2.0.0')], [], ['EDT 2.0.0']],
    ['no ECU of other vehicles', [release('XYZ', '2.0.0')], [], []],
    [
      'the newest of several, in the order of activation',
      [release('EDT', '2.0.0'), release('EDT', '2.10.0', 'c'), release('INV', '1.0.0')],
      [],
      ['INV 1.0.0', 'EDT 2.10.0'],
    ],
  ])('%s', (_name, releases, installed, expected) => {
    expect(names(releases, installed)).toEqual(expected);
  });
});

describe('the decision', () => {
  it('makes a plan from what the ECUs say', () => {
    const decision = decide(
      'VIN',
      [release('EDT', '2.0.0')],
      ecus,
      new Map([['EDT', identity('EDT', undefined, 'b')]]),
      new Map(),
    );
    expect(decision).toMatchObject({
      kind: 'plan',
      plan: {
        vin: 'VIN',
        items: [
          { ecu: 'EDT', order: 1, bus: 'body', from: { version: 'unknown', sha256: hash('b') } },
        ],
      },
    });
  });
  it('has the ranks in rising order, whatever the order of the releases is', () => {
    const said = new Map(ecus.map(({ name }) => [name, identity(name, '1.0.0', 'b')]));
    const forced = { ...release('INV', '2.0.0', 'c'), forced: true };
    const decision = decide('VIN', [release('EDT', '2.0.0'), forced], ecus, said, new Map());
    const items = decision.kind === 'plan' ? decision.plan.items : [];
    expect(items.map(({ ecu, order, forced }) => [ecu, order, forced])).toEqual([
      ['INV', 0, true],
      ['EDT', 1, false],
    ]);
  });
  it('refuses other hardware and an image beyond the bank', () => {
    const other = new Map([['EDT', { ...identity('EDT', '1.0.0'), hardwareId: 'OLD' }]]);
    expect(decide('VIN', [release('EDT', '2.0.0')], ecus, other, new Map())).toMatchObject({
      kind: 'impossible',
      code: 'WRONG_HARDWARE',
      reason: expect.stringContaining('"OLD"'),
    });
    const right = new Map([['EDT', identity('EDT', '1.0.0')]]);
    expect(
      decide(
        'VIN',
        [release('EDT', '2.0.0', 'a', 1001)],
        ecus.map((ecu) => ({ ...ecu, address: 0 })),
        right,
        new Map(),
      ),
    ).toMatchObject({
      kind: 'impossible',
      code: 'IMAGE_TOO_LARGE',
    });
  });

  it('knows before the download that an image begins elsewhere', () => {
    const right = new Map([['EDT', identity('EDT', '1.0.0')]]);
    const { download, ...rest } = release('EDT', '2.0.0');
    const at = (address: number): Offer => ({ ...rest, download: { ...download, address } });
    const one = ecus.map((ecu) => ({ ...ecu, address: 0x8000 }));
    expect(decide('VIN', [at(0x8000)], one, right, new Map())).toMatchObject({
      kind: 'plan',
      plan: { items: [{ download: { address: 0x8000 } }] },
    });
    expect(decide('VIN', [at(0x9000)], one, right, new Map())).toMatchObject({
      kind: 'impossible',
      code: 'IMAGE_MISPLACED',
      reason:
        'EDT-2.0.0.bin begins at 0x00009000, the bank of EDT at 0x00008000: release the right image or correct ' +
        'memory.address in the vehicle file',
    });
    // An ECU that takes segments is asked by its driver, which knows its regions.
    expect(decide('VIN', [at(0x9000)], ecus, right, new Map()).kind).toBe('plan');
  });

  it('leaves room for the map of an image with segments', () => {
    const right = new Map([['EDT', identity('EDT', '1.0.0')]]);
    const full = [release('EDT', '2.0.0', 'a', 1001)];
    const takes = (address?: number) => ecus.map((ecu) => ({ ...ecu, address }));
    expect(decide('VIN', full, takes(), right, new Map()).kind).toBe('plan');
    expect(decide('VIN', full, takes(0), right, new Map()).kind).toBe('impossible');
  });
});

describe('what an image needs of another ECU', () => {
  const edt = { ...release('EDT', '2.0.0'), dependencies: { INV: '>=1.5.0' } };
  const said = new Map([
    ['EDT', identity('EDT', '1.0.0')],
    ['INV', identity('INV', '1.0.0')],
  ]);
  const runs = (version: string) => new Map([['INV', { version, sha256: undefined }]]);

  it('holds by what runs there, or by what comes with it', () => {
    expect(decide('VIN', [edt], ecus, said, runs('1.5.0')).kind).toBe('plan');
    const both = [release('INV', '1.6.0'), edt];
    expect(decide('VIN', both, ecus, said, runs('1.0.0')).kind).toBe('plan');
  });

  it.each([
    ['runs something older', [edt], runs('1.4.9'), 'INV >=1.5.0, which runs 1.4.9'],
    ['is not known', [edt], new Map(), 'an unknown version'],
    [
      'would get something older',
      [release('INV', '1.4.0'), edt],
      runs('1.6.0'),
      'which would run 1.4.0',
    ],
  ])('is refused where it %s', (_name, wanted, installed, reason) => {
    expect(decide('VIN', wanted, ecus, said, installed)).toMatchObject({
      kind: 'impossible',
      code: 'DEPENDENCY',
      ecu: 'EDT',
      reason: expect.stringContaining(reason),
    });
  });
});

describe('the plan', () => {
  it('has a digest that any change changes, and no order of keys', () => {
    expect(canonicalJson({ b: [1, { d: null, c: 'x' }], a: undefined })).toBe(
      '{"b":[1,{"c":"x","d":null}]}',
    );
    expect(() => canonicalJson({ a: Number.NaN })).toThrow(TypeError);
    // A literal: the driver's approval is bound to it across versions of this software.
    expect(planDigest(plan)).toBe(
      'a8eabbdff0fceae82c2ff66248fed1ff43d60e7ad0d497032f2b760a30cac768',
    );
    const changed = structuredClone(plan);
    changed.items[0]!.notes = 'other';
    expect(planDigest(changed)).not.toBe(planDigest(plan));
    // What runs now is no part of what is wanted.
    changed.items[0]!.from.version = '0.0.1';
    expect(planTargetsKey(changed)).toBe(planTargetsKey(plan));
  });
  it('can be read', () => {
    expect(planText(plan).split('\n')[1]).toBe(
      '2. INV  1.0.0 -> 2.0.0  2.0 KiB  sha256 2222222222222222...',
    );
  });
});
