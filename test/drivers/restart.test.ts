// Waiting for an ECU after its reset: what it tells over time, and what the driver makes of that.

import { describe, expect, it } from 'vitest';
import type { DriverResult, Target } from '../../src/campaign/ports.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { CAMPAIGN } from '../support/ecu-bench.ts';
import { ascii, ecuOf, imageOf, ScriptedEcu } from './support.ts';

const HOUR = 3_600_000;
const RESET_MS = 10_000;
const image = imageOf(Uint8Array.from({ length: 20 }, (_, index) => index));
const old = imageOf(Uint8Array.from({ length: 12 }, (_, index) => 0x40 + index));

/** What an ECU tells from `fromMs` after 51 01 on; nothing at all while it is `silent`. */
interface Phase {
  readonly fromMs: number;
  readonly session?: string;
  readonly version?: string;
  readonly sha256?: string;
  readonly silent?: true;
  readonly busy?: true;
}

const told = (version: string, session = '01') => ({ version, session });

/** One bank, plain programming. Before the reset it tells `before`. */
class RestartingEcu extends ScriptedEcu {
  #resetMs = Number.POSITIVE_INFINITY;
  readonly #before: Omit<Phase, 'fromMs'>;
  readonly #phases: readonly Phase[];

  constructor(before: Omit<Phase, 'fromMs'>, phases: readonly Phase[]) {
    super({
      '1001': '5001003201F4',
      '1002': '5002003201F4',
      '1003': '5003003201F4',
      '3101FF00': '7101FF0000',
      '34': '7420000A',
      '3601': '7601',
      '3602': '7602',
      '3603': '7603',
      '37': '77',
      '190209': '5902FF',
    });
    this.#before = before;
    this.#phases = phases;
    this.set('1101', () => {
      this.resetNow();
      return '5101';
    });
    this.set('22F186', () => this.#tell('F186', ({ session }) => session));
    this.set('22F189', () =>
      this.#tell('F189', ({ version }) => (version === undefined ? undefined : ascii(version))),
    );
    this.set('22FD01', () => this.#tell('FD01', ({ sha256 }) => sha256?.toUpperCase()));
  }

  resetNow(): void {
    this.#resetMs = this.clock.nowMs();
  }

  #tell(did: string, of: (phase: Omit<Phase, 'fromMs'>) => string | undefined): string {
    const spentMs = this.clock.nowMs() - this.#resetMs;
    const now = this.#phases.findLast(({ fromMs }) => spentMs >= fromMs) ?? this.#before;
    if (now.silent) return 'silent';
    if (now.busy) return '7F2221';
    const value = of(now);
    return value === undefined ? '7F2231' : `62${did}${value}`;
  }
}

const PLAIN = {
  programming: {
    identify: 'try',
    controlDtcSetting: 'skip',
    communicationControl: 'skip',
    preconditions: 'skip',
    fingerprint: 'skip',
    metadata: 'skip',
    erase: 'try',
    checkMemory: 'skip',
    dependencies: 'skip',
    activation: 'reset',
  },
  security: { algorithm: 'none' },
  memory: { banks: 1, bankSize: 4096 },
};

async function updated(
  ecu: RestartingEcu,
  version: string | null = '2.0.0',
): Promise<{
  readonly activated: DriverResult<unknown>;
  readonly verified: DriverResult<unknown>;
  readonly tookMs: number;
}> {
  const driver = new UdsEcuDriver({ ecu: ecuOf(PLAIN), requester: ecu, clock: ecu.clock });
  const target: Target = { campaign: CAMPAIGN, version: version ?? undefined, image };
  const run = <T>(work: Promise<T>): Promise<T> => ecu.clock.within(HOUR, work);
  await run(driver.identify());
  await run(driver.stage(target));
  const beganMs = ecu.clock.nowMs();
  const activated = await run(driver.activate(target));
  const tookMs = ecu.clock.nowMs() - beganMs;
  const checks = { knownDtcs: undefined, heartbeatMs: 0 };
  return { activated, verified: await run(driver.verify(target, checks)), tookMs };
}

describe('the new software is there', () => {
  it.each<[string, Phase[]]>([
    ['at once', [{ fromMs: 0, ...told('2.0.0') }]],
    [
      'after the old one has answered for a while, and silence',
      [
        { fromMs: 0, ...told('1.0.0') },
        { fromMs: 400, silent: true },
        { fromMs: 2200, ...told('2.0.0') },
      ],
    ],
    [
      'after the old one, without any silence',
      [
        { fromMs: 0, ...told('1.0.0') },
        { fromMs: 5000, ...told('2.0.0') },
      ],
    ],
    [
      'after the bootloader, which knows no version',
      [
        { fromMs: 0, silent: true },
        { fromMs: 500, session: '01' },
        { fromMs: 3000, ...told('2.0.0') },
      ],
    ],
    [
      'after a bootloader in its programming session',
      [
        { fromMs: 300, ...told('2.0.0', '02') },
        { fromMs: 4000, ...told('2.0.0') },
      ],
    ],
    [
      'while it is busy with its start',
      [
        { fromMs: 0, silent: true },
        { fromMs: 500, busy: true },
        { fromMs: 6000, ...told('2.0.0') },
      ],
    ],
    [
      'near the end of its time',
      [
        { fromMs: 0, ...told('1.0.0') },
        { fromMs: 400, silent: true },
        { fromMs: 9700, ...told('2.0.0') },
      ],
    ],
    [
      'by its digest, whatever its version is called meanwhile',
      [
        { fromMs: 0, ...told('1.0.0'), sha256: old.sha256 },
        { fromMs: 3000, ...told('2.0.0'), sha256: image.sha256 },
      ],
    ],
  ])('%s', async (_when, phases) => {
    const { activated, verified } = await updated(new RestartingEcu(told('1.0.0'), phases));
    expect(activated).toMatchObject({ ok: true });
    expect(verified).toMatchObject({ ok: true, value: { version: '2.0.0' } });
  });

  it('and is not waited for any longer then', async () => {
    const ecu = new RestartingEcu(told('1.0.0'), [{ fromMs: 0, ...told('2.0.0') }]);
    expect((await updated(ecu)).tookMs).toBeLessThan(1000);
  });

  it('seen by another version than before, where none was asked for', async () => {
    const ecu = new RestartingEcu(told('1.0.0'), [
      { fromMs: 0, ...told('1.0.0') },
      { fromMs: 600, silent: true },
      { fromMs: 900, ...told('1.7.0') },
    ]);
    const { activated, verified } = await updated(ecu, null);
    expect(activated).toMatchObject({
      ok: true,
      warnings: [],
    });
    expect(verified).toMatchObject({ ok: true, value: { version: '1.7.0' } });
  });

  it.each<[string, Omit<Phase, 'fromMs'>, string | null]>([
    ['tells nothing', { session: '01' }, '2.0.0'],
    ['tells the same version before and after', told('2.0.0'), '2.0.0'],
    ['is not asked for a version and tells the same', told('1.0.0'), null],
  ])('or cannot be seen, and that is said: an ECU that %s', async (_what, tells, version) => {
    const ecu = new RestartingEcu(tells, [
      { fromMs: 0, ...tells },
      { fromMs: 300, silent: true },
      { fromMs: 800, ...tells },
    ]);
    const { activated } = await updated(ecu, version);
    expect(activated).toMatchObject({
      ok: true,
      warnings: expect.arrayContaining([expect.stringContaining('nothing that it tells shows')]),
    });
  });
});

describe('the new software is not there', () => {
  it.each<[string, Omit<Phase, 'fromMs'>, Phase[], string, string]>([
    [
      'the old one answers to the end',
      told('1.0.0'),
      [{ fromMs: 0, ...told('1.0.0') }],
      'VERSION_MISMATCH',
      'tells version "1.0.0", session 0x01, expected version "2.0.0"',
    ],
    [
      'the old one comes up again',
      told('1.0.0'),
      [
        { fromMs: 0, silent: true },
        { fromMs: 900, ...told('1.0.0') },
      ],
      'VERSION_MISMATCH',
      'tells version "1.0.0"',
    ],
    [
      'the bootloader stays and tells no version',
      told('1.0.0'),
      [
        { fromMs: 0, silent: true },
        { fromMs: 300, session: '01' },
      ],
      'VERSION_MISMATCH',
      'tells no version, session 0x01, expected a version, which it told before',
    ],
    [
      'the programming session stays',
      told('1.0.0'),
      [{ fromMs: 300, ...told('2.0.0', '02') }],
      'SELF_TEST',
      'session 0x02, expected the default session',
    ],
    [
      'its digest is another one',
      { ...told('1.0.0'), sha256: old.sha256 },
      [{ fromMs: 300, ...told('2.0.0'), sha256: old.sha256 }],
      'DIGEST_MISMATCH',
      `SHA-256 ${old.sha256}`,
    ],
    [
      'its digest is missing',
      { ...told('1.0.0'), sha256: old.sha256 },
      [{ fromMs: 300, ...told('2.0.0') }],
      'DIGEST_MISMATCH',
      'the digest of its image, which it told before',
    ],
    [
      'it stays silent',
      told('1.0.0'),
      [{ fromMs: 100, silent: true }],
      'SILENT',
      `did not come back within ${RESET_MS} ms`,
    ],
    [
      'it comes after its time',
      told('1.0.0'),
      [
        { fromMs: 0, silent: true },
        { fromMs: 12_000, ...told('2.0.0') },
      ],
      'SILENT',
      'timing.resetMs',
    ],
  ])('%s', async (_what, before, phases, code, text) => {
    const { activated, tookMs } = await updated(new RestartingEcu(before, phases));
    expect(activated).toMatchObject({
      ok: false,
      code,
      changed: 'yes',
      reason: expect.stringContaining(text),
    });
    expect(tookMs).toBeGreaterThanOrEqual(RESET_MS);
  });
});

describe('an ECU of another make with two banks', () => {
  const OLD = old.sha256.toUpperCase();
  const NEW = image.sha256.toUpperCase();
  type Bank = readonly [fromMs: number, active: string | undefined, state: string];

  /** FD00 and FD01 over the time after 51 01; before it the old image runs and the new one stands beside it. */
  class TwoBanks extends ScriptedEcu {
    #resetMs = Number.POSITIVE_INFINITY;

    constructor(active: string, phases: readonly Bank[]) {
      super({
        '1001': '5001003201F4',
        '1003': '5003003201F4',
        '31010210': '7101021000',
        '31010212': '7101021200',
        '22FD02': `62FD02${active === OLD ? NEW : OLD}`,
        '22F189': `62F189${ascii('1.0.0')}`,
      });
      const now = (): Bank =>
        phases.findLast(([fromMs]) => this.clock.nowMs() - this.#resetMs >= fromMs) ?? [
          0,
          active,
          '0000020000',
        ];
      this.set('1101', () => {
        this.#resetMs = this.clock.nowMs();
        return '5101';
      });
      this.set('22FD00', () => (now()[2] === 'silent' ? 'silent' : `62FD00${now()[2]}`));
      this.set('22FD01', () => (now()[1] === undefined ? '7F2231' : `62FD01${now()[1]}`));
    }
  }
  const driverOf = (ecu: TwoBanks) =>
    new UdsEcuDriver({
      ecu: ecuOf({ programming: { metadata: 'skip' }, security: { algorithm: 'none' } }),
      requester: ecu,
      clock: ecu.clock,
    });
  const target = { campaign: CAMPAIGN, version: '2.0.0', image };

  it.each<[string, Bank[], string | true]>([
    ['starts it at once', [[0, NEW, '0101020003']], true],
    [
      'starts it after the old one has answered for a while',
      [
        [0, OLD, '0000020000'],
        [600, OLD, 'silent'],
        [2500, NEW, '0101020003'],
      ],
      true,
    ],
    ['starts the old one again', [[300, OLD, '0000020000']], 'SELF_TEST'],
    ['starts nothing', [[300, undefined, '0002000000']], 'SELF_TEST'],
    ['does not restart', [[0, OLD, '0000020100']], 'SILENT'],
    ['does not come back', [[0, OLD, 'silent']], 'SILENT'],
  ])('that is told to start the new image %s', async (_what, phases, expected) => {
    const ecu = new TwoBanks(OLD, phases);
    const done = await ecu.clock.within(HOUR, driverOf(ecu).activate(target));
    expect(done).toMatchObject(
      expected === true
        ? { ok: true }
        : { code: expected, changed: 'yes', transient: expected === 'SILENT' },
    );
  });

  it.each<[string, Bank[], string | true]>([
    ['does so at once', [[0, OLD, '0000020000']], true],
    [
      'does so after the new one has answered for a while',
      [
        [0, NEW, '0101020003'],
        [600, NEW, 'silent'],
        [2500, OLD, '0000020000'],
      ],
      true,
    ],
    ['goes on with the new one', [[300, NEW, '0100020000']], 'REFUSED'],
    ['starts nothing', [[300, undefined, '0002000000']], 'REFUSED'],
    ['does not restart', [[0, NEW, '0101020103']], 'SILENT'],
  ])('that is told to go back %s', async (_what, phases, expected) => {
    const ecu = new TwoBanks(NEW, phases);
    const back = driverOf(ecu).rollback({ target, previous: { version: '1.0.0' } });
    expect(await ecu.clock.within(HOUR, back)).toMatchObject(
      expected === true ? { ok: true, value: { unchanged: false } } : { code: expected },
    );
  });
});

describe('a reset that was lost on the way', () => {
  it('is sent again to an ECU that is still in its programming session', async () => {
    const ecu = new RestartingEcu(told('1.0.0', '02'), [{ fromMs: 0, ...told('2.0.0') }]);
    const reset = '5101';
    let lost = 2;
    const resets = (): string => {
      if (lost-- > 0) return 'silent';
      ecu.resetNow();
      return reset;
    };
    ecu.set('1101', resets);
    expect((await updated(ecu)).activated).toMatchObject({ ok: true });
    expect(ecu.log.filter((sent) => sent === '1101')).toHaveLength(3);
  });

  it('is sent once more to an ECU without a session that does not change for all of its time', async () => {
    const without = { version: '1.0.0' };
    const ecu = new RestartingEcu(without, [{ fromMs: 0, version: '2.0.0' }]);
    let lost = 1;
    ecu.set('1101', () => {
      if (lost-- > 0) return 'silent';
      ecu.resetNow();
      return '5101';
    });
    expect((await updated(ecu)).activated).toMatchObject({ ok: true });
    expect(ecu.log.filter((sent) => sent === '1101')).toHaveLength(2);
    // One that has answered it was restarted: it runs what it runs.
    const heard = new RestartingEcu(without, [{ fromMs: 0, ...without }]);
    expect((await updated(heard)).activated).toMatchObject({ ok: false, code: 'VERSION_MISMATCH' });
    expect(heard.log.filter((sent) => sent === '1101')).toHaveLength(1);
  });

  it('is not sent again when only its answer was lost', async () => {
    const ecu = new RestartingEcu(told('1.0.0', '02'), [
      { fromMs: 0, silent: true },
      { fromMs: 900, ...told('2.0.0') },
    ]);
    ecu.set('1101', () => {
      ecu.resetNow();
      return 'silent';
    });
    expect((await updated(ecu)).activated).toMatchObject({ ok: true });
    expect(ecu.log.filter((sent) => sent === '1101')).toHaveLength(1);
  });
});

describe('the old software is there again', () => {
  const restored = async (phases: readonly Phase[], withImage: boolean) => {
    const ecu = new RestartingEcu(told('2.0.0', '02'), phases);
    const driver = new UdsEcuDriver({ ecu: ecuOf(PLAIN), requester: ecu, clock: ecu.clock });
    const previous = { version: '1.0.0', ...(withImage ? { image: old } : {}) };
    const target = { campaign: CAMPAIGN, version: '2.0.0', image };
    return ecu.clock.within(HOUR, driver.rollback({ target, previous, changed: 'yes' }));
  };

  it.each([true, false])(
    'after the new one has answered for a while (kept image: %s)',
    async (withImage) => {
      const phases = [
        { fromMs: 0, ...told('2.0.0') },
        { fromMs: 700, silent: true as const },
        { fromMs: 3000, ...told('1.0.0') },
      ];
      expect(await restored(phases, withImage)).toMatchObject({
        ok: true,
        value: { version: '1.0.0', unchanged: false },
      });
    },
  );

  it('or not, where the old one answered from RAM until the reset came', async () => {
    const phases = [
      { fromMs: 0, version: '1.0.0' },
      { fromMs: 900, silent: true as const },
      { fromMs: 1500 },
    ];
    expect(await restored(phases, false)).toMatchObject({ ok: false, code: 'NO_PREVIOUS_IMAGE' });
  });

  it.each([
    [true, 'VERSION_MISMATCH'],
    [false, 'NO_PREVIOUS_IMAGE'],
  ])('or not, and that is said (kept image: %s)', async (withImage, code) => {
    const phases = [{ fromMs: 0, ...told('2.0.0') }];
    expect(await restored(phases, withImage)).toMatchObject({ ok: false, code });
  });
});
