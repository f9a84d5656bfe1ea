// When the drivers ask: to the millisecond of virtual time, from the first look to the last one.

import { describe, expect, it } from 'vitest';
import type { ConditionQuery } from '../../src/campaign/ports.ts';
import { Exchange } from '../../src/drivers/exchange.ts';
import { watchHeartbeat } from '../../src/drivers/health-check.ts';
import { awaitBanks, awaitSoftware } from '../../src/drivers/restart.ts';
import { UdsVehicleState } from '../../src/drivers/vehicle-signals.ts';
import { vehicleSchema } from '../../src/vehicle/schema.ts';
import { ascii, ecuOf, ScriptedEcu } from './support.ts';

/** Times of the requests that begin with `key`, from now on. */
function timesOf(ecu: ScriptedEcu, key: string, answers: () => string): number[] {
  const times: number[] = [];
  const beganMs = ecu.clock.nowMs();
  ecu.set(key, () => {
    times.push(ecu.clock.nowMs() - beganMs);
    return answers();
  });
  return times;
}

const exchangeOf = (ecu: ScriptedEcu, change: Record<string, unknown> = {}): Exchange =>
  new Exchange({
    ecu: ecuOf({ security: { algorithm: 'none' }, ...change }),
    requester: ecu,
    clock: ecu.clock,
  });
const ONE_BANK = { programming: { activation: 'reset', metadata: 'skip' } };

describe('the conditions of the vehicle', () => {
  const vehicle = vehicleSchema.parse({
    vin: '1CANXTABENCH00001',
    buses: { main: {} },
    ecus: [
      {
        name: 'CGW',
        hardwareId: 'CGW-HW-1',
        address: { mode: 'normal', request: 0x7e0, response: 0x7e8 },
        memory: { bankSize: 4096 },
      },
    ],
    signals: {
      speed: { ecu: 'CGW', did: 0xfd40, unit: 'km/h' },
      charge: { ecu: 'CGW', did: 0xfd41, unit: '%' },
    },
    conditions: [
      { name: 'standing', require: 'speed == 0' },
      { name: 'charge', require: 'charge >= update / 60 s' },
    ],
  });
  const stateOf = (ecu: ScriptedEcu) =>
    new UdsVehicleState({ vehicle, clock: ecu.clock, requesterFor: () => ecu });
  const query: ConditionQuery = { gate: 'stage', updateSeconds: 120, rollbackSeconds: 6000 };

  it('are looked at each second, and after an odd value half a second later', async () => {
    const ecu = new ScriptedEcu({ '22FD41': '62FD4164' });
    const speeds = ['00', '00', '01', '00', '01', '01'];
    const times = timesOf(ecu, '22FD40', () => `62FD40${speeds.shift() ?? '01'}`);
    const lost = await ecu.clock.within(
      60_000,
      stateOf(ecu).watch(query, new AbortController().signal),
    );
    expect(lost).toMatchObject({ ok: false, condition: 'standing' });
    expect(times).toEqual([1000, 2000, 3000, 3500, 4500, 5000]);
  });

  it('are asked for three times, a tenth of a second apart', async () => {
    const ecu = new ScriptedEcu({ '22FD41': '62FD4164' });
    const times = timesOf(ecu, '22FD40', () => 'silent');
    await ecu.clock.within(60_000, stateOf(ecu).check(query));
    expect(times).toEqual([0, 250, 500]); // 150 ms of P2 in between
  });

  it('know the time of the update from that of the rollback', async () => {
    const ecu = new ScriptedEcu({ '22FD40': '62FD4000', '22FD41': ['62FD4102', '62FD4101'] });
    const state = stateOf(ecu);
    const check = () => ecu.clock.within(1000, state.check(query));
    expect(await check()).toEqual({ ok: true });
    expect(await check()).toMatchObject({ ok: false, condition: 'charge' });
  });
});

describe('the heartbeat', () => {
  const watch = (ecu: ScriptedEcu, ms: number, signal?: AbortSignal) =>
    ecu.clock.within(600_000, watchHeartbeat(exchangeOf(ecu, ONE_BANK), ms, [], signal));
  const SESSIONS = { '1003': '5003003201F4', '1001': '5001003201F4' };

  it('is looked for twice a second, and at the end', async () => {
    const ecu = new ScriptedEcu(SESSIONS);
    const times = timesOf(ecu, '22F186', () => '62F18603');
    expect(await watch(ecu, 1200)).toEqual({ ok: true, value: undefined });
    expect(times).toEqual([500, 1000, 1200]);
    expect(ecu.log.at(0)).toBe('1003');
    expect(ecu.log.at(-1)).toBe('1001');
  });

  it('is not looked for where nobody wants it', async () => {
    const ecu = new ScriptedEcu(SESSIONS);
    expect(await watch(ecu, 0)).toMatchObject({ ok: true });
    expect(ecu.log).toEqual([]);
  });

  it('that is missing once is looked for again, also at the end', async () => {
    const ecu = new ScriptedEcu(SESSIONS);
    const answers = ['62F18603', 'silent'];
    const times = timesOf(ecu, '22F186', () => answers.shift() ?? '62F18603');
    expect(await watch(ecu, 1000)).toMatchObject({ ok: true });
    expect(times).toEqual([500, 1000, 1650]);
  });

  it('that is missing twice in a row is a failure, with a pause in between not', async () => {
    const ecu = new ScriptedEcu(SESSIONS);
    const answers = ['silent', '62F18603', 'silent', '62F18603', 'silent'];
    timesOf(ecu, '22F186', () => answers.shift() ?? 'silent');
    expect(await watch(ecu, 60_000)).toMatchObject({ ok: false, code: 'HEARTBEAT' });
    expect(ecu.log.filter((sent) => sent === '22F186')).toHaveLength(6);
  });

  it('that is not watched to its end may be tried again', async () => {
    const ecu = new ScriptedEcu({ ...SESSIONS, '22F186': '62F18603' });
    const stop = new AbortController();
    ecu.clock.after('stop', 700, () => stop.abort());
    expect(await watch(ecu, 60_000, stop.signal)).toMatchObject({
      ...{ ok: false, code: 'INTERRUPTED', transient: true },
      reason: expect.stringContaining('stopped while its heartbeat was watched'),
    });
  });

  it.each([
    ['62F18601', 'it is in session 0x01'],
    ['62F18602', 'it is in session 0x02'],
  ])('of another session (%s) is that of a restarted ECU', async (answer, text) => {
    const ecu = new ScriptedEcu(SESSIONS);
    const answers = ['62F18603', '62F18603'];
    timesOf(ecu, '22F186', () => answers.shift() ?? answer);
    expect(await watch(ecu, 5000)).toMatchObject({
      ...{ ok: false, code: 'HEARTBEAT', transient: false },
      reason: expect.stringContaining(text),
    });
  });
});

describe('an ECU that restarts', () => {
  const awaited = {
    ...{ version: '2.0.0', sha256: undefined },
    tells: { version: '1.0.0', sha256: undefined },
    stale: { version: '1.0.0', sha256: undefined },
  };

  it('is asked ten times a second, from the first tenth on', async () => {
    const ecu = new ScriptedEcu({ '22F186': '62F18601', '22FD01': '7F2231' });
    const versions = ['1.0.0', '1.0.0'];
    const times = timesOf(ecu, '22F189', () => `62F189${ascii(versions.shift() ?? '2.0.0')}`);
    const there = awaitSoftware(exchangeOf(ecu, ONE_BANK), awaited);
    expect(await ecu.clock.within(60_000, there)).toEqual({ ok: true, value: 'there' });
    expect(times).toEqual([100, 200, 300]);
  });

  it('that shows nothing is believed after a second, or after a silence', async () => {
    const blind = { ...awaited, tells: { version: undefined, sha256: undefined } };
    for (const [first, count] of [
      ['62F18601', 10],
      ['silent', 2],
    ] as const) {
      const ecu = new ScriptedEcu({ '22F189': '7F2231', '22FD01': '7F2231' });
      const answers = [first];
      const times = timesOf(ecu, '22F186', () => answers.shift() ?? '62F18601');
      const there = awaitSoftware(exchangeOf(ecu, ONE_BANK), blind);
      expect(await ecu.clock.within(60_000, there)).toEqual({ ok: true, value: 'unseen' });
      expect(times).toHaveLength(count);
    }
  });

  it('has its time, to the end', async () => {
    const late = { ok: false, code: 'REFUSED', reason: 'late', transient: false } as const;
    for (const [resetMs, looks] of [
      [1000, 10],
      [950, 10],
      [1001, 11],
    ] as const) {
      const ecu = new ScriptedEcu({ '22FD01': `62FD01${'AB'.repeat(32)}` });
      const times = timesOf(ecu, '22FD00', () => '62FD000000000000');
      const change = { programming: { metadata: 'skip' }, timing: { resetMs } };
      const there = awaitBanks(
        exchangeOf(ecu, change),
        () => false,
        () => late,
      );
      expect(await ecu.clock.within(60_000, there)).toBe(late);
      expect(times).toHaveLength(looks);
    }
  });

  it('is not waited for when nobody wants it any more: that may be tried again', async () => {
    const ecu = new ScriptedEcu({ '22F186': 'silent' });
    const stop = new AbortController();
    ecu.clock.after('stop', 50, () => stop.abort());
    const there = awaitSoftware(exchangeOf(ecu, ONE_BANK), awaited, stop.signal);
    expect(await ecu.clock.within(60_000, there)).toMatchObject({
      ...{ ok: false, code: 'INTERRUPTED', transient: true },
    });
    expect(ecu.log).toEqual([]);
  });

  it('is not waited for when the bus is gone', async () => {
    const ecu = new ScriptedEcu({ '22F186': 'bus' });
    const there = awaitSoftware(exchangeOf(ecu, ONE_BANK), awaited);
    expect(await ecu.clock.within(60_000, there)).toMatchObject({ ok: false, code: 'BUS' });
    expect(ecu.log).toEqual(['22F186']);
  });
});
