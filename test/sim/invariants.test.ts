// Each invariant detects its violation and reports nothing about correct campaigns.

import { describe, expect, it } from 'vitest';
import type { EcuContents } from '../../src/sim/ecu-contents.ts';
import { INVARIANTS } from '../../src/sim/invariants/catalogue.ts';
import type { Observation, Released, ReportRow } from '../../src/sim/invariants/invariant.ts';
import { type CampaignEnding, Invariants } from '../../src/sim/invariants.ts';
import { ECU_NAMES, type EcuName } from '../../src/sim/machine-names.ts';
import type { VehicleContents } from '../../src/sim/vehicle-contents.ts';

const OLD = 'old'.padEnd(64, '0');
const NEW = 'new'.padEnd(64, '0');
const CAMPAIGN = 'c1';

const settled: EcuContents = {
  sha256: OLD,
  standing: 'settled',
  counter: 1,
  imageCounter: 1,
  troubleCodes: [0x123456],
};
const updated: EcuContents = { ...settled, sha256: NEW, counter: 2, imageCounter: 2 };

function contents(changed: Partial<Record<EcuName, Partial<EcuContents>>> = {}): VehicleContents {
  const all = ECU_NAMES.map((ecu) => [ecu, { ...settled, ...changed[ecu] }]);
  return Object.fromEntries(all);
}

const released: Released = Object.fromEntries(
  ECU_NAMES.map((ecu) => [
    ecu,
    new Map([
      [OLD, '1.0.0'],
      [NEW, '2.0.0'],
    ]),
  ]),
) as unknown as Released;

type Body = Observation extends infer O ? (O extends Observation ? Omit<O, 'atMs'> : never) : never;

/** The start of a campaign for EDT and INV. */
const START: Body = {
  kind: 'start',
  campaign: 1,
  proof: false,
  forced: false,
  contents: contents(),
  wanted: { CGW: OLD, EDT: NEW, INV: NEW, BMS: OLD, OBC: OLD },
};
const APPROVED: Body = { kind: 'driver', answer: 'approved', campaign: CAMPAIGN };
const erase = (ecu: EcuName): Body => ({ kind: 'erase', ecu });
const boot = (ecu: EcuName, sha256 = NEW, imageCounter = 2, counter = 1): Body => ({
  kind: 'boot',
  ecu,
  sha256,
  imageCounter,
  counter,
});
const asked = (ecu: EcuName): Body => ({ kind: 'asked', ecu });
const confirmed = (ecu: EcuName, content: Partial<EcuContents> = {}): Body => ({
  kind: 'confirmed',
  ecu,
  content: { ...updated, ...content },
});
const counter = (ecu: EcuName, value = 2): Body => ({ kind: 'counter', ecu, counter: value });
const row = (outcome: string, more: Partial<ReportRow> = {}): ReportRow => ({
  campaign: CAMPAIGN,
  outcome,
  code: null,
  ecus: [],
  ...more,
});
type Rest = Extract<Body, { kind: 'rest' }>;
const rest = (outcome: string, more: Partial<Rest> = {}): Body => ({
  kind: 'rest',
  contents: contents(),
  dead: [],
  imageless: [],
  silent: [],
  reports: [row(outcome)],
  released,
  told: [{ campaign: CAMPAIGN, outcome }],
  ...more,
});
const BOTH_NEW = contents({ EDT: updated, INV: updated });

/** A campaign without a fault, from its start to its rest. */
const GOOD: readonly Body[] = [
  START,
  APPROVED,
  erase('EDT'),
  erase('INV'),
  boot('EDT'),
  boot('INV'),
  asked('EDT'),
  asked('INV'),
  confirmed('EDT'),
  confirmed('INV'),
  counter('EDT'),
  counter('INV'),
  rest('SUCCESS', { contents: BOTH_NEW }),
];
const BACK: readonly Body[] = [
  START,
  APPROVED,
  erase('EDT'),
  erase('INV'),
  boot('EDT'),
  boot('EDT', OLD, 1),
  rest('ROLLBACK_COMPLETED'),
];

function seen(
  bodies: readonly Body[],
  stepMs = 1,
): { broken: string[]; ending: CampaignEnding | undefined } {
  const invariants = new Invariants({
    released: () => released,
    withdrawalGraceMs: 100,
    approvalNeeded: true,
  });
  bodies.forEach((body, index) => {
    invariants.observe({ ...body, atMs: index * stepMs } as Observation);
  });
  const { violations, ending } = invariants;
  return { broken: violations.map(({ invariant }) => invariant), ending };
}

/** Replaces the observations that a function finds. */
function changed(
  bodies: readonly Body[],
  which: (body: Body) => boolean,
  ...by: readonly Body[]
): Body[] {
  expect(bodies.some(which)).toBe(true);
  return bodies.flatMap((body) => (which(body) ? by : [body]));
}
const is =
  (kind: Body['kind'], ecu?: EcuName) =>
  (body: Body): boolean =>
    body.kind === kind && (ecu === undefined || ('ecu' in body && body.ecu === ecu));

describe('what is in order', () => {
  it.each([
    ['success', GOOD],
    ['rolledBack', BACK],
    ['rejected', [START, rest('USER_REJECTED')]],
    ['rejected', [START, rest('DEFERRED')]],
    ['rejected', [START, rest('PRECONDITION_FAILED', { reports: [row('PRECONDITION_FAILED')] })]],
  ] as const)('is a campaign that ends as %s', (ending, bodies) => {
    expect(seen(bodies)).toEqual({ broken: [], ending });
  });

  it('is a safety release of which the driver was told', () => {
    const bodies = GOOD.filter((body) => body.kind !== 'driver');
    const [, ...rest] = bodies;
    const told: Body[] = [{ ...START, forced: true }, { kind: 'informed' }, ...rest];
    expect(seen(told)).toEqual({ broken: [], ending: 'success' });
  });

  it('is one campaign after the other, and a counter that was owed', () => {
    const second: Body = {
      ...START,
      campaign: 2,
      proof: true,
      contents: contents({ EDT: { ...updated, counter: 1 }, INV: updated }),
      wanted: { CGW: OLD, EDT: NEW, INV: NEW, BMS: NEW, OBC: OLD },
    };
    const allNew = { ...BOTH_NEW, BMS: updated };
    const proof: Body[] = [
      second,
      counter('EDT'),
      { kind: 'driver', answer: 'approved', campaign: 'c2' },
      erase('BMS'),
      boot('BMS'),
      asked('BMS'),
      confirmed('BMS'),
      counter('BMS'),
      rest('SUCCESS', {
        contents: allNew,
        reports: [row('SUCCESS'), row('SUCCESS', { campaign: 'c2' })],
      }),
    ];
    const owing = changed(
      changed(GOOD, is('counter', 'EDT')),
      is('rest'),
      rest('SUCCESS', { contents: { ...BOTH_NEW, EDT: { ...updated, counter: 1 } } }),
    );
    expect(seen([...owing, ...proof]).broken).toEqual([]);
  });

  it('is a declared mixed state, spelled out as it is', () => {
    const mixed = contents({ EDT: { ...updated, counter: 1, standing: 'trial' } });
    const ecus = [
      { name: 'EDT', version: '2.0.0', sha256: null, error: null },
      { name: 'INV', version: '1.0.0', sha256: null, error: null },
    ];
    const declared = rest('ROLLBACK_FAILED', {
      contents: mixed,
      reports: [row('ROLLBACK_FAILED', { ecus })],
    });
    expect(seen(changed(BACK, is('rest'), declared))).toEqual({ broken: [], ending: 'safeState' });
  });

  it('is an ECU of another make that is taken back after a real attempt, and says yes in the end', () => {
    const bodies: Body[] = [
      START,
      APPROVED,
      { kind: 'programming', ecu: 'INV', accepted: false },
      { kind: 'programming', ecu: 'INV', accepted: true },
      erase('INV'),
      { kind: 'reset-ordered', ecu: 'INV' },
      { kind: 'programming', ecu: 'INV', accepted: true },
      erase('INV'),
      { kind: 'written', ecu: 'INV', sha256: OLD },
      rest('ROLLBACK_COMPLETED'),
    ];
    expect(seen(bodies)).toEqual({ broken: [], ending: 'rolledBack' });
  });

  it('is an erase that was on its way when the approval was withdrawn', () => {
    const withdrawn: Body = { kind: 'driver', answer: 'withdrawn', campaign: CAMPAIGN };
    const late = [START, APPROVED, withdrawn, erase('EDT'), rest('USER_REJECTED')];
    expect(seen(late, 99).broken).toEqual([]);
  });
});

describe('what is not in order', () => {
  const cases: readonly (readonly [string, readonly string[], readonly Body[]])[] = [
    [
      'only one of two is new',
      ['mixture', 'outcome'],
      changed(
        BACK,
        is('rest'),
        rest('ROLLBACK_COMPLETED', { contents: contents({ EDT: updated }) }),
      ),
    ],
    [
      'the new software is reported, the old one runs',
      ['outcome'],
      changed(GOOD, is('rest'), rest('SUCCESS', { contents: contents({ EDT: settled }) })).filter(
        (body) => body.kind !== 'counter' && body.kind !== 'confirmed',
      ),
    ],
    [
      'a way back is reported that nobody went',
      ['outcome'],
      changed(GOOD, is('rest'), rest('ROLLBACK_COMPLETED', { contents: BOTH_NEW })),
    ],
    [
      'a rejection is reported, and the new software runs',
      ['outcome'],
      changed(GOOD, is('rest'), rest('USER_REJECTED', { contents: BOTH_NEW })),
    ],
    [
      'something runs that nobody signed',
      ['unverified-boot'],
      changed(GOOD, is('boot', 'EDT'), boot('EDT', 'f'.repeat(64)), boot('EDT')),
    ],
    [
      'something is started that is below the counter',
      ['counter'],
      changed(BACK, (body) => body.kind === 'boot' && body.sha256 === OLD, boot('EDT', OLD, 0)),
    ],
    [
      'a counter falls',
      ['counter'],
      changed(
        BACK,
        is('rest'),
        rest('ROLLBACK_COMPLETED', { contents: contents({ BMS: { counter: 0 } }) }),
      ),
    ],
    [
      'a counter rises before the other one is confirmed',
      ['early-counter'],
      changed(GOOD, is('confirmed', 'INV'), counter('EDT'), confirmed('INV')),
    ],
    [
      'one is confirmed before the other one was started',
      ['early-confirm'],
      [
        START,
        APPROVED,
        boot('EDT'),
        asked('EDT'),
        confirmed('EDT'),
        ...GOOD.filter(is('boot', 'INV')),
        asked('INV'),
        confirmed('INV'),
        rest('SUCCESS', { contents: BOTH_NEW }),
      ],
    ],
    [
      'one is confirmed that nobody asked',
      ['early-confirm', 'early-confirm'],
      changed(GOOD, is('asked', 'INV')),
    ],
    [
      'one was only asked while it ran the old software',
      ['early-confirm', 'early-confirm'],
      [START, APPROVED, asked('EDT'), ...GOOD.slice(2).filter((body) => !is('asked', 'EDT')(body))],
    ],
    [
      'one is confirmed although it has found a fault',
      ['unhealthy-confirm'],
      changed(
        GOOD,
        is('confirmed', 'INV'),
        confirmed('INV', { troubleCodes: [0x123456, 0xd1a1fe] }),
      ),
    ],
    [
      'a report says another version, or other bytes, than an ECU holds',
      ['claim', 'claim'],
      changed(
        BACK,
        is('rest'),
        rest('ROLLBACK_COMPLETED', {
          reports: [
            row('ROLLBACK_COMPLETED', {
              ecus: [
                { name: 'EDT', version: '2.0.0', sha256: OLD, error: null },
                { name: 'INV', version: '1.0.0', sha256: NEW, error: null },
                { name: 'BMS', version: '2.0.0', sha256: null, error: 'silent' },
              ],
            }),
          ],
        }),
      ),
    ],
    [
      'an ECU that only refused is reset and erased, and given what it ran',
      ['untouched', 'untouched', 'untouched'],
      [
        START,
        APPROVED,
        { kind: 'programming', ecu: 'INV', accepted: false },
        { kind: 'reset-ordered', ecu: 'INV' },
        erase('INV'),
        { kind: 'written', ecu: 'INV', sha256: OLD },
        rest('ROLLBACK_COMPLETED'),
      ],
    ],
    [
      'one that has taken its programming session is reset later, when it refuses a second one',
      [],
      [
        START,
        APPROVED,
        { kind: 'programming', ecu: 'INV', accepted: true },
        { kind: 'programming', ecu: 'INV', accepted: false },
        { kind: 'reset-ordered', ecu: 'INV' },
        rest('ROLLBACK_COMPLETED'),
      ],
    ],
    ['nobody was asked', ['unapproved-erase', 'unapproved-erase'], changed(GOOD, is('driver'))],
    [
      'the driver said no',
      ['unapproved-erase', 'unapproved-erase'],
      changed(GOOD, is('driver'), { kind: 'driver', answer: 'other', campaign: CAMPAIGN }),
    ],
    [
      'a safety release is installed, and the driver was not told',
      ['unapproved-erase', 'unapproved-erase'],
      [{ ...START, forced: true }, ...GOOD.slice(1).filter((body) => body.kind !== 'driver')],
    ],
    [
      'the approval belongs to the campaign before',
      ['unapproved-erase'],
      [
        ...GOOD,
        { ...START, campaign: 2, contents: BOTH_NEW },
        erase('BMS'),
        rest('USER_REJECTED', {
          contents: BOTH_NEW,
          told: [],
          reports: [row('SUCCESS'), row('USER_REJECTED', { campaign: 'c2' })],
        }),
      ],
    ],
    [
      'an outcome came twice',
      ['report'],
      changed(
        GOOD,
        is('rest'),
        rest('SUCCESS', { contents: BOTH_NEW, reports: [row('SUCCESS'), row('SUCCESS')] }),
      ),
    ],
    ['no outcome came', ['report'], [START, rest('x', { reports: [], told: [] })]],
    [
      'an outcome was told and never came',
      ['report'],
      [
        START,
        rest('USER_REJECTED', {
          told: [
            { campaign: CAMPAIGN, outcome: 'USER_REJECTED' },
            { campaign: 'c0', outcome: 'SUCCESS' },
          ],
        }),
      ],
    ],
    [
      'an ECU is left on trial',
      ['unsettled'],
      changed(
        GOOD,
        is('rest'),
        rest('SUCCESS', {
          contents: { ...BOTH_NEW, INV: { ...updated, standing: 'trial' } },
        }),
      ),
    ],
    [
      'a machine does not run',
      ['dead'],
      changed(BACK, is('rest'), rest('ROLLBACK_COMPLETED', { dead: ['TMU'] })),
    ],
    [
      'an ECU is left without an image, undeclared',
      ['dead'],
      changed(BACK, is('rest'), rest('ROLLBACK_COMPLETED', { imageless: ['EDT'] })),
    ],
    [
      'normal traffic does not run again',
      ['traffic'],
      changed(BACK, is('rest'), rest('ROLLBACK_COMPLETED', { silent: ['BMS'] })),
    ],
    [
      'the mixed state is spelled out wrongly',
      ['mixed-state-report'],
      changed(
        BACK,
        is('rest'),
        rest('ROLLBACK_FAILED', {
          contents: contents({ EDT: updated }),
          reports: [
            row('ROLLBACK_FAILED', {
              ecus: [{ name: 'EDT', version: '1.0.0', sha256: null, error: null }],
            }),
          ],
        }),
      ),
    ],
    [
      'the backend has lost an image',
      ['acknowledged'],
      [START, { kind: 'backend-rest', lost: ['EDT-2.0.0.bin'] }, rest('USER_REJECTED')],
    ],
    [
      'an ECU was only slow, and it is rolled back',
      ['patience'],
      [{ ...START, onlyTime: true }, ...BACK.slice(1)],
    ],
    ['the campaign without faults fails', ['proof'], [{ ...START, proof: true }, ...BACK.slice(1)]],
    [
      'the campaign without faults leaves a counter behind',
      ['proof'],
      [
        { ...START, proof: true },
        ...GOOD.slice(1, -1),
        rest('SUCCESS', { contents: { ...BOTH_NEW, BMS: { ...settled, imageCounter: 7 } } }),
      ],
    ],
    [
      'what was mixed is mixed for good',
      ['recovery', 'recovery'],
      [
        ...GOOD,
        {
          kind: 'recovered',
          contents: {
            ...BOTH_NEW,
            INV: { ...updated, sha256: OLD },
            BMS: { ...settled, standing: 'trial' },
          },
          reports: [],
        },
      ],
    ],
    [
      'a counter is owed for good',
      ['recovery'],
      [
        ...GOOD,
        {
          kind: 'recovered',
          contents: { ...BOTH_NEW, INV: { ...updated, imageCounter: 3 } },
          reports: [],
        },
      ],
    ],
    ['it does not end', ['stuck'], [START, { kind: 'failed', invariant: 'stuck', text: 'x' }]],
    ['somebody throws', ['crash'], [START, { kind: 'failed', invariant: 'crash', text: 'x' }]],
    // services.test.ts and small-device.test.ts have a case for each violation of these.
    ...(['command', 'configuration', 'telemetry', 'small-device'] as const).map(
      (invariant): (typeof cases)[number] => [
        `a ${invariant} is not what it seems`,
        [invariant],
        [START, { kind: 'failed', invariant, text: 'x' }],
      ],
    ),
  ];

  it.each(cases)('%s', (_what, broken, bodies) => {
    expect(seen(bodies).broken).toEqual(broken);
  });

  it('an erase long after the approval was withdrawn', () => {
    const withdrawn: Body = { kind: 'driver', answer: 'withdrawn', campaign: CAMPAIGN };
    const late = [START, APPROVED, withdrawn, erase('EDT'), rest('USER_REJECTED')];
    expect(seen(late, 101).broken).toEqual(['unapproved-erase']);
  });

  it('is told with words, and each invariant has a case here', () => {
    const tested = new Set(cases.flatMap(([, broken]) => broken));
    expect([...tested].sort()).toEqual(INVARIANTS.map(({ name }) => name).sort());
  });

  it('is told once, however often it was seen', () => {
    const twice = changed(
      GOOD,
      is('boot', 'EDT'),
      boot('EDT', 'f'.repeat(64)),
      boot('EDT', 'f'.repeat(64)),
      boot('EDT'),
    );
    expect(seen(twice).broken).toEqual(['unverified-boot']);
  });
});
