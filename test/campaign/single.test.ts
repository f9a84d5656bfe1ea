// A campaign of one ECU with a driver that answers as it is told: retries, and what is said of the ECU afterwards.

import { describe, expect, it } from 'vitest';
import type {
  DriverErrorCode,
  DriverFailure,
  DriverResult,
  EcuDriver,
  EcuIdentity,
  EcuReport,
} from '../../src/campaign/ports.ts';
import { runSingle, type SingleOptions, type SingleResult } from '../../src/campaign/single.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { hash } from './support.ts';

const image = { length: 4, sha256: hash('2'), read: async () => new Uint8Array(4) };
const BEFORE: EcuIdentity = {
  ...{ hardwareId: 'EDT-HW-1', version: '1.0.0', serialNumber: undefined, sha256: hash('1') },
};
const TRANSFER = { bytes: 4, transferMs: 1000, changed: 'yes', held: false } as const;

function ok<T>(value: T): DriverResult<T> {
  return { ok: true, value, warnings: [] };
}

function failed(code: DriverErrorCode, transient = false): DriverFailure {
  return { ok: false, code, reason: `it says ${code}`, transient, changed: 'yes' };
}

function driverWith(change: Partial<EcuDriver>): EcuDriver {
  return {
    identify: async () => ok(BEFORE),
    stage: async () => ok(TRANSFER),
    activate: async () => ok({ ...TRANSFER, bytes: 0 }),
    verify: async () => ok({ version: '2.0.0', sha256: hash('2') }),
    confirm: async () => ok(undefined),
    commit: async () => ok(undefined),
    rollback: async () => ok({ version: '1.0.0', sha256: hash('1'), unchanged: false }),
    versionReport: async () => ok(undefined),
    reportReceived: async () => ok(undefined),
    ...change,
  };
}

async function run(
  change: Partial<EcuDriver>,
  more: Partial<SingleOptions> = {},
): Promise<{ readonly result: SingleResult; readonly seen: string[]; readonly tookMs: number }> {
  const clock = new VirtualClock();
  const seen: string[] = [];
  const beganMs = clock.nowMs();
  const result = await clock.within(
    3_600_000,
    runSingle({
      driver: driverWith(change),
      ecu: { name: 'EDT', hardwareId: 'EDT-HW-1' },
      hasOneBank: false,
      target: { version: '2.0.0', image },
      clock,
      random: seededRandom(1),
      onStep: ({ step, status }) => {
        if (status !== 'done') seen.push(`${step} ${status}`);
      },
      ...more,
    }),
  );
  return { result, seen, tookMs: clock.nowMs() - beganMs };
}

describe('what is said of an ECU whose update failed', () => {
  const telling = (report: EcuReport) => async () => ok({ ...report, unchanged: false });
  it.each<[string, Partial<EcuDriver>, object]>([
    [
      'the digest of before',
      { rollback: telling({ version: undefined, sha256: hash('1') }) },
      { kind: 'as-before', version: undefined },
    ],
    [
      'another digest under the old version',
      { rollback: telling({ version: '1.0.0', sha256: hash('9') }) },
      { kind: 'other', report: { version: '1.0.0', sha256: hash('9') } },
    ],
    [
      'only the version of before',
      { rollback: telling({ version: '1.0.0', sha256: undefined }) },
      { kind: 'as-before', version: '1.0.0' },
    ],
    [
      'only another version',
      { rollback: telling({ version: '2.0.0', sha256: undefined }) },
      { kind: 'other' },
    ],
    [
      'nothing of itself',
      { rollback: telling({ version: undefined, sha256: undefined }) },
      { kind: 'unknown', reason: 'the ECU reports neither version nor digest' },
    ],
    [
      'nothing at all',
      { rollback: async () => failed('REFUSED') },
      { kind: 'unknown', reason: 'it says REFUSED' },
    ],
    [
      'that it cannot be restored',
      { rollback: async () => failed('NO_PREVIOUS_IMAGE') },
      { kind: 'not-restored', reason: 'it says NO_PREVIOUS_IMAGE' },
    ],
  ])('that tells %s', async (_name, change, content) => {
    const { result } = await run({ verify: async () => failed('SELF_TEST'), ...change });
    expect(result).toMatchObject({ ok: false, code: 'SELF_TEST', step: 'verify', content });
  });

  it('that reports another digest than the driver should have let pass', async () => {
    const verify = async () => ok({ version: '2.0.0', sha256: hash('7') });
    const { result } = await run({ verify });
    expect(result).toMatchObject({
      ...{ ok: false, code: 'DIGEST_MISMATCH', step: 'verify', rolledBack: true },
    });
  });
});

describe('a step that failed', () => {
  it('is tried again after a pause, as its kind allows', async () => {
    let tries = 0;
    const stage = async () => (++tries < 3 ? failed('RESET', true) : ok(TRANSFER));
    const { result, seen, tookMs } = await run({ stage });
    expect(result).toMatchObject({ ok: true, bytes: 4 });
    expect(seen.slice(0, 5)).toEqual([
      ...['stage begun', 'stage retry', 'stage begun', 'stage retry', 'stage begun'],
    ]);
    expect(tookMs).toBe(3000);
  });

  it('is not waited for long when the ECU is gone, or longer when the caller wants it', async () => {
    const stage = async () => failed('SILENT', true);
    const { result, seen } = await run({ stage });
    expect(result).toMatchObject({ ok: false, code: 'SILENT' });
    expect(seen.filter((text) => text === 'stage begun')).toHaveLength(2);
    const patient = await run({ stage }, { retry: { silent: { tries: 5, seconds: 900 } } });
    expect(patient.seen.filter((text) => text === 'stage begun')).toHaveLength(5);
  });

  it('is left alone when it was the person who stopped it', async () => {
    const abort = new AbortController();
    const stage = async () => {
      abort.abort();
      return failed('INTERRUPTED', true);
    };
    const { result, seen } = await run({ stage }, { signal: abort.signal });
    expect(result).toMatchObject({ ok: false, code: 'INTERRUPTED', reason: 'it says INTERRUPTED' });
    expect(seen).toEqual(['stage begun']);
  });

  it('is told with what the ECU has detected', async () => {
    const stage = async () => ({ ...failed('UNTRUSTED'), attack: 'FREEZE' as const });
    expect((await run({ stage })).result).toMatchObject({ code: 'UNTRUSTED', attack: 'FREEZE' });
  });
});

it('the checks of new software are those of the caller', async () => {
  const checks: unknown[] = [];
  const change: Partial<EcuDriver> = {
    stage: async () => ok({ ...TRANSFER, dtcs: ['C10100'] }),
    verify: async (_target, given) => {
      checks.push(given);
      return ok({ version: '2.0.0', sha256: hash('2') });
    },
  };
  await run(change);
  await run(change, { heartbeatMs: 2000, compareTroubleCodes: false });
  expect(checks).toEqual([
    { knownDtcs: ['C10100'], heartbeatMs: 0 },
    { knownDtcs: undefined, heartbeatMs: 2000 },
  ]);
});
