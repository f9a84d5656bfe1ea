// Diagnostics before the confirmation: trouble codes that were not there, and a heartbeat without a gap.

import { describe, expect, it } from 'vitest';
import type { EcuFaults } from '../../ecus/bootloader/faults.ts';
import type { DriverResult, HealthChecks, Target } from '../../src/campaign/ports.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { benchVehicle, imageOf as bytesOf, CAMPAIGN } from '../support/ecu-bench.ts';
import { benchAuthority, EcuLink, signedTarget } from './ecu-link.ts';
import { ascii, ecuOf, imageOf, ScriptedEcu } from './support.ts';

const image = imageOf(bytesOf(5000));
const SHA = image.sha256.toUpperCase();
const HOUR = 3_600_000;
const target: Target = { campaign: CAMPAIGN, version: '2.0.0', image };
const TWO_SECONDS = { knownDtcs: undefined, heartbeatMs: 2000 };

/** Runs the new image on trial. */
const TRIAL = {
  '22F189': `62F189${ascii('2.0.0')}`,
  '22F186': '62F18603',
  '22FD00': '62FD000101020002',
  '22FD01': `62FD01${SHA}`,
  '22FD25': `62FD2501${CAMPAIGN}${'c0'.repeat(16)}`,
  '1003': '5003003201F4',
  '1001': '5001003201F4',
  '2701': '670100',
  '31030211': '7103021100',
  '190209': '590209',
};

function verify(
  ecu: ScriptedEcu,
  checks: HealthChecks,
  change: Record<string, unknown> = {},
  signal?: AbortSignal,
) {
  const vehicleEcu = ecuOf({ security: { algorithm: 'none' }, ...change });
  const driver = new UdsEcuDriver({ ecu: vehicleEcu, requester: ecu, clock: ecu.clock });
  return ecu.clock.within(HOUR, driver.verify(target, checks, signal));
}

function failureOf(result: DriverResult<unknown>) {
  if (result.ok) throw new Error('it succeeded');
  return result;
}

describe('trouble codes', () => {
  const checks = (...knownDtcs: string[]): HealthChecks => ({ knownDtcs, heartbeatMs: 0 });

  it.each([
    ['none before, none now', '590209', []],
    ['the same as before', '59020993420009', ['934200']],
    ['fewer than before', '590209', ['934200', 'D1A100']],
    ['one that is pending only', '590209D1A10004', []],
    ['one whose test has not run', '5902FFD1A10050', []],
    ['one that its mask says nothing of', '590201D1A10008', []],
  ])('%s: passed', async (_what, answer, known) => {
    const ecu = new ScriptedEcu({ ...TRIAL, '190209': answer });
    expect(await verify(ecu, checks(...known))).toMatchObject({ ok: true, warnings: [] });
  });

  it.each([
    ['that fails', '590209D1A10001', 'D1A100'],
    ['that is confirmed', '590209D1A10008', 'D1A100'],
    ['beside an old one', '590209D1A100099342000900123409', '001234, D1A100'],
  ])('a new one %s fails the update, and is named', async (_what, answer, codes) => {
    const failed = failureOf(
      await verify(new ScriptedEcu({ ...TRIAL, '190209': answer }), checks('934200')),
    );
    expect(failed).toMatchObject({ code: 'DIAGNOSTICS', transient: false });
    expect(failed.reason).toContain(`: ${codes};`);
  });

  it('are not asked for where nothing is compared', async () => {
    const ecu = new ScriptedEcu({ ...TRIAL, '190209': '590209D1A10009' });
    expect((await verify(ecu, { knownDtcs: undefined, heartbeatMs: 0 })).ok).toBe(true);
    expect(ecu.log.some((sent) => sent.startsWith('19'))).toBe(false);
  });

  it('that an ECU does not tell are a warning', async () => {
    const ecu = new ScriptedEcu({ ...TRIAL, '190209': '7F1911' });
    expect(await verify(ecu, checks())).toMatchObject({
      ok: true,
      warnings: [expect.stringContaining('does not tell trouble codes')],
    });
  });

  it('in an answer that breaks the format, or in none, fail', async () => {
    const broken = new ScriptedEcu({ ...TRIAL, '190209': '590209D1A1' });
    expect(failureOf(await verify(broken, checks())).code).toBe('MALFORMED');
    const silent = new ScriptedEcu({ ...TRIAL, '190209': 'silent' });
    expect(failureOf(await verify(silent, checks())).code).toBe('SILENT');
  });
});

describe('the heartbeat', () => {
  it('is looked at every half second, in a session that a restart would end', async () => {
    const ecu = new ScriptedEcu(TRIAL);
    const beforeMs = ecu.clock.nowMs();
    expect(await verify(ecu, TWO_SECONDS)).toMatchObject({ ok: true, warnings: [] });
    expect(ecu.clock.nowMs() - beforeMs).toBe(2000);
    expect(ecu.log.filter((sent) => sent === '22F186')).toHaveLength(4);
    expect(ecu.log.at(-1)).toBe('1001');
    expect(ecu.keptAlive).toBe(false);
  });

  it('is looked at once at least', async () => {
    const ecu = new ScriptedEcu(TRIAL);
    expect((await verify(ecu, { knownDtcs: undefined, heartbeatMs: 1 })).ok).toBe(true);
    expect(ecu.log.filter((sent) => sent === '22F186')).toHaveLength(1);
  });

  it('may miss one beat, and not two in a row', async () => {
    const ecu = new ScriptedEcu(TRIAL);
    ecu.set('22F186', 'silent', '62F18603', 'silent', '62F18603');
    expect((await verify(ecu, TWO_SECONDS)).ok).toBe(true);
    ecu.set('22F186', '62F18603', 'silent', 'transport', '62F18603');
    const failed = failureOf(await verify(ecu, TWO_SECONDS));
    expect(failed).toMatchObject({ code: 'HEARTBEAT', transient: false });
    expect(failed.reason).toContain('fell silent');
  });

  it('that ends with the last look is found out by one more', async () => {
    const ecu = new ScriptedEcu(TRIAL);
    ecu.set('22F186', '62F18603', '62F18603', '62F18603', 'silent');
    expect(failureOf(await verify(ecu, TWO_SECONDS)).code).toBe('HEARTBEAT');
    ecu.set('22F186', '62F18603', '62F18603', '62F18603', 'silent', '62F18603');
    expect((await verify(ecu, TWO_SECONDS)).ok).toBe(true);
  });

  it('of an ECU that restarted is none: a session that is gone, a trial boot that is used up', async () => {
    const session = new ScriptedEcu(TRIAL);
    session.set('22F186', '62F18603', '62F18601');
    expect(failureOf(await verify(session, TWO_SECONDS)).reason).toContain('session 0x01');
    const boots = new ScriptedEcu(TRIAL);
    // Once for the banks, then for each look.
    boots.set('22FD00', '62FD000101020002', '62FD000101020002', '62FD000101020001');
    const failed = failureOf(await verify(boots, TWO_SECONDS));
    expect(failed.code).toBe('HEARTBEAT');
    expect(failed.reason).toContain('2 trial boots left, now 1');
  });

  it('stops with the signal', async () => {
    const ecu = new ScriptedEcu(TRIAL);
    const abort = new AbortController();
    ecu.set('22F186', '62F18603', () => {
      abort.abort();
      return '62F18603';
    });
    const result = await verify(ecu, TWO_SECONDS, {}, abort.signal);
    expect(failureOf(result).code).toBe('INTERRUPTED');
    expect(ecu.keptAlive).toBe(false);
  });

  it('of an ECU of another make needs neither FD00 nor F186', async () => {
    const ecu = new ScriptedEcu({
      '22F189': `62F189${ascii('2.0.0')}`,
      '1003': '5003003201F4',
      '1001': '5001003201F4',
    });
    expect(await verify(ecu, TWO_SECONDS, { programming: 'standard' })).toMatchObject({
      ok: true,
      warnings: [expect.anything(), expect.stringContaining('does not tell its session')],
    });
    expect(ecu.log).not.toContain('22FD00');
    ecu.set('22F186', '7F2231', 'silent');
    expect(failureOf(await verify(ecu, TWO_SECONDS, { programming: 'standard' })).code).toBe(
      'HEARTBEAT',
    );
  });
});

describe('an ECU of ours', () => {
  async function updated(name = 'EDT', faults: EcuFaults = {}) {
    const clock = new VirtualClock();
    const link = await EcuLink.start(benchVehicle, name, clock, { faults });
    const driver = new UdsEcuDriver({
      ecu: findEcu(benchVehicle, name),
      requester: link.client,
      clock,
      authority: benchAuthority(name),
    });
    const signed = signedTarget(clock, name, image, '2.0.0');
    const run = <T>(work: Promise<T>): Promise<T> => clock.within(HOUR, work);
    const staged = await run(driver.stage(signed));
    if (!staged.ok) throw new Error(staged.reason);
    expect((await run(driver.activate(signed))).ok).toBe(true);
    const checks = { knownDtcs: staged.value.dtcs, heartbeatMs: 5000 };
    return { link, clock, checks, verify: () => run(driver.verify(signed, checks)) };
  }

  it.each(['EDT', 'ONE'])(
    'that is well passes, longer than its session would last: %s',
    async (name) => {
      const { checks, verify: check } = await updated(name);
      expect(checks.knownDtcs).toEqual(name === 'EDT' ? ['934200'] : []);
      expect(await check()).toMatchObject({ ok: true, warnings: [] });
    },
  );

  it.each(['EDT', 'ONE'])('that resets in a loop is found out: %s', async (name) => {
    const faults: EcuFaults = {};
    const { verify: check } = await updated(name, faults);
    faults.resetLoop = { times: 2, everyMs: 1200 };
    expect(await check()).toMatchObject({ ok: false, code: 'HEARTBEAT' });
  });

  it.each(['EDT', 'ONE'])('that hangs is found out: %s', async (name) => {
    const faults: EcuFaults = {};
    const { verify: check } = await updated(name, faults);
    // An ECU with two banks is asked more before the watch begins.
    faults.stuckAfter = name === 'EDT' ? 24 : 12;
    expect(await check()).toMatchObject({ ok: false, code: 'HEARTBEAT' });
  });
});
