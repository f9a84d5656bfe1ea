// What `flash` says at its end: of an ECU with one bank that was cut short, of what was there already, of a counter that is owed.

import { describe, expect, it } from 'vitest';
import type {
  DriverErrorCode,
  DriverFailure,
  DriverResult,
  EcuDriver,
  EcuIdentity,
  RollbackOrder,
  Target,
} from '../../src/campaign/ports.ts';
import { runSingle, type SingleOptions, type SingleResult } from '../../src/campaign/single.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { hash } from './support.ts';

const image = { length: 4, sha256: hash('2'), read: async () => new Uint8Array(4) };
const BEFORE: EcuIdentity = {
  ...{ hardwareId: 'EDT-HW-1', version: '1.0.0', serialNumber: undefined, sha256: hash('1') },
};
const TRANSFER = { bytes: 4, transferMs: 1500, changed: 'yes', held: false } as const;
const HELD = { bytes: 0, transferMs: 0, changed: 'no', held: true } as const;

function ok<T>(value: T, warnings: readonly string[] = []): DriverResult<T> {
  return { ok: true, value, warnings };
}

function failed(code: DriverErrorCode, more: Partial<DriverFailure> = {}): DriverFailure {
  return { ok: false, code, reason: `it says ${code}`, transient: false, changed: 'yes', ...more };
}

async function run(
  change: Partial<EcuDriver>,
  more: Partial<SingleOptions> = {},
): Promise<SingleResult> {
  const clock = new VirtualClock();
  const driver: EcuDriver = {
    identify: async () => ok(BEFORE),
    stage: async () => ok(TRANSFER),
    activate: async () => ok({ ...TRANSFER, bytes: 0 }),
    verify: async () => ok({ version: '2.0.0', sha256: hash('2') }),
    confirm: async () => ok(undefined),
    commit: async () => ok(undefined),
    rollback: async () => failed('NO_PREVIOUS_IMAGE'),
    versionReport: async () => ok(undefined),
    reportReceived: async () => ok(undefined),
    ...change,
  };
  const options: SingleOptions = {
    ...{ driver, clock, random: seededRandom(1), hasOneBank: false },
    ecu: { name: 'EDT', hardwareId: 'EDT-HW-1' },
    target: { version: '2.0.0', image },
    ...more,
  };
  return clock.within(3_600_000, runSingle(options));
}

describe('an ECU that has no image to go back to', () => {
  const ONE_BANK = { hasOneBank: true };
  const none = async () => ok({ ...TRANSFER, bytes: 0, changed: 'no' as const });
  /** Activation that fails when so many bytes are there. */
  const cutAt =
    (sent: number): EcuDriver['activate'] =>
    async (_target, hooks) => {
      hooks?.progress?.({ sent, total: 4 });
      return failed('REFUSED');
    };

  it.each<[string, Partial<EcuDriver>, Partial<SingleOptions>, string]>([
    ['one bank, half written', { stage: none, activate: cutAt(3) }, ONE_BANK, 'unfinished'],
    ['one bank, wholly written', { stage: none, activate: cutAt(4) }, ONE_BANK, 'not-restored'],
    ['two banks, half written', { stage: none, activate: cutAt(3) }, {}, 'not-restored'],
    [
      'one bank, perhaps written',
      { stage: none, activate: async () => failed('SILENT', { changed: 'unknown' }) },
      ONE_BANK,
      'not-restored',
    ],
    [
      'one bank, found wrong afterwards',
      { stage: none, verify: async () => failed('SELF_TEST') },
      ONE_BANK,
      'not-restored',
    ],
  ])('%s', async (_name, change, more, kind) => {
    const result = await run(change, more);
    expect(result).toMatchObject({
      ok: false,
      rolledBack: false,
      content: { kind, reason: 'it says NO_PREVIOUS_IMAGE' },
    });
  });

  it('is told what was there before, and nothing is said to have gone back that was not changed', async () => {
    const orders: RollbackOrder[] = [];
    const rollback: EcuDriver['rollback'] = async (order) => {
      orders.push(order);
      return ok({ version: '1.0.0', sha256: hash('1'), unchanged: true });
    };
    const result = await run({ verify: async () => failed('SELF_TEST'), rollback });
    expect(result).toMatchObject({ content: { kind: 'unchanged' }, rolledBack: true });
    expect(orders).toMatchObject([
      { previous: { version: '1.0.0', sha256: hash('1') }, changed: 'yes' },
    ]);
  });

  it('is not sent back at all where the first step has changed nothing', async () => {
    const result = await run({ stage: async () => failed('REFUSED', { changed: 'no' }) });
    expect(result).toMatchObject({ content: { kind: 'unchanged' }, step: 'stage' });
    expect(result).not.toHaveProperty('rolledBack');
  });
});

describe('success', () => {
  it('says how much was carried, in which time, and what the ECU reports', async () => {
    expect(await run({})).toEqual({
      ok: true,
      from: '1.0.0',
      report: { version: '2.0.0', sha256: hash('2') },
      bytes: 4,
      seconds: 1.5,
      heldAlready: false,
      warnings: [],
    });
  });

  it('is said to have been there already where the first look found it', async () => {
    const held = { stage: async () => ok(HELD), activate: async () => ok(HELD) };
    expect(await run(held)).toMatchObject({ bytes: 0, heldAlready: true });
  });

  it('is not where a try before this one has written it', async () => {
    let tries = 0;
    const stage = async () =>
      ++tries === 1 ? failed('RESET', { transient: true, changed: 'yes' }) : ok(HELD);
    const result = await run({ stage, activate: async () => ok(HELD) });
    expect(result).toMatchObject({ ok: true, bytes: 0, heldAlready: false });
  });

  it('tells of a failure that is tried again as of one that passes', async () => {
    const told: unknown[] = [];
    let tries = 0;
    const stage = async () =>
      ++tries === 1 ? failed('RESET', { transient: true, changed: 'unknown' }) : ok(TRANSFER);
    await run({ stage }, { onStep: (step) => step.status === 'retry' && told.push(step) });
    const failure = { ok: false, code: 'RESET', reason: 'it says RESET', transient: true };
    expect(told).toEqual([
      { step: 'stage', changed: 'unknown', tries: 1, status: 'retry', failure, delayMs: 1000 },
    ]);
  });

  it('says where the transfer went on', async () => {
    const stage = async () => ok({ ...TRANSFER, bytes: 2, resumedAt: 2 });
    expect(await run({ stage })).toMatchObject({ bytes: 2, resumedAt: 2 });
  });

  it('with a counter that could not be raised says why', async () => {
    const result = await run({ commit: async () => failed('SILENT') });
    expect(result).toMatchObject({ ok: true, counterOwed: 'it says SILENT' });
  });

  it('with a counter that was raised by another try owes nothing', async () => {
    let tries = 0;
    const commit = async () =>
      ++tries === 1 ? failed('SILENT', { transient: true }) : ok(undefined);
    const result = await run({ commit });
    expect(result).toMatchObject({ ok: true });
    expect(result).not.toHaveProperty('counterOwed');
  });

  it('gathers the warnings of all steps', async () => {
    const result = await run({
      identify: async () => ok(BEFORE, ['identify']),
      stage: async () => ok(TRANSFER, ['stage']),
      commit: async () => ok(undefined, ['commit']),
    });
    expect(result.warnings).toEqual(['identify', 'stage', 'commit']);
  });
});

describe('the driver is told', () => {
  it('what the ECU shall run, in the name of a campaign, and what it ran before', async () => {
    const targets: Target[] = [];
    await run({
      stage: async (target) => {
        targets.push(target);
        return ok(TRANSFER);
      },
    });
    expect(targets).toMatchObject([
      { version: '2.0.0', from: { version: '1.0.0', sha256: hash('1') } },
    ]);
    expect(targets[0]!.campaign).toMatch(/^[0-9a-f]{32}$/);
  });

  it('nothing of an ECU that told nothing', async () => {
    const targets: Target[] = [];
    const identify = async () => ok({ ...BEFORE, version: undefined, sha256: undefined });
    const result = await run({
      identify,
      stage: async (target) => {
        targets.push(target);
        return ok(TRANSFER);
      },
    });
    expect(targets[0]!.from).toEqual({ version: undefined, sha256: undefined });
    expect(result).toMatchObject({ ok: true, from: undefined });
  });
});

describe('an end before the first step', () => {
  it('has changed nothing', async () => {
    const attack = 'FREEZE' as const;
    const result = await run({ identify: async () => failed('UNTRUSTED', { attack }) });
    expect(result).toEqual({
      ok: false,
      code: 'UNTRUSTED',
      reason: 'it says UNTRUSTED',
      attack,
      step: 'identify',
      content: { kind: 'unchanged' },
      warnings: [],
    });
  });

  it('by the person who stopped it is no failure of the ECU', async () => {
    const result = await run({}, { signal: AbortSignal.abort() });
    expect(result).toEqual({
      ...{ ok: false, code: 'INTERRUPTED', reason: 'EDT: stopped', step: 'stage', warnings: [] },
      content: { kind: 'unchanged' },
    });
  });
});
