// The vehicle's conditions read from a real CGW: held, lost, unreadable; and a watch that is not fooled by one odd look.

import { describe, expect, it } from 'vitest';
import { type Cgw, createCgw } from '../../ecus/cgw/create-cgw.ts';
import type { ConditionQuery } from '../../src/campaign/ports.ts';
import { sleep } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { UdsVehicleState } from '../../src/drivers/vehicle-signals.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { type Vehicle, vehicleSchema } from '../../src/vehicle/schema.ts';
import { imageOf as bytesOf, benchVehicle as plainVehicle } from '../support/ecu-bench.ts';
import { benchAuthority, EcuLink, signedTarget } from './ecu-link.ts';
import { imageOf, ScriptedEcu } from './support.ts';

const SIGNALS = {
  speed: {
    ecu: 'CGW',
    did: 0xfd40,
    length: 2,
    scale: 0.01,
    unit: 'km/h',
    notAvailable: 0xffff,
  },
  ignition: { ecu: 'CGW', did: 0xfd40, offset: 2, values: { 0: 'off', 1: 'accessory', 2: 'on' } },
  gear: { ecu: 'CGW', did: 0xfd40, offset: 3, values: { 0: 'park', 3: 'drive' } },
  battery: { ecu: 'CGW', did: 0xfd40, offset: 4, length: 2, scale: 0.01, unit: 'V' },
  temperature: { ecu: 'CGW', did: 0xfd41, signed: true, unit: 'degC' },
};
const CONDITIONS = [
  { name: 'standing', require: 'speed == 0', say: 'Stop the vehicle.' },
  { name: 'parked', require: 'gear == park', gates: ['activate'] },
  {
    name: 'battery',
    require: 'battery >= 12.2 + 0.2 * (update + rollback) / 3600 s',
    say: 'Charge the battery.',
  },
  { name: 'temperature', require: 'temperature in -20..60' },
];
const vehicleWith = (changes: object = {}): Vehicle =>
  vehicleSchema.parse({ ...plainVehicle, signals: SIGNALS, conditions: CONDITIONS, ...changes });
const query = (changes: Partial<ConditionQuery> = {}): ConditionQuery => ({
  gate: 'stage',
  updateSeconds: 1800,
  rollbackSeconds: 1800,
  ...changes,
});
const READ = '22FD40';

async function start(vehicle = vehicleWith(), clock = new VirtualClock()) {
  const link = new EcuLink(vehicle, 'CGW', clock);
  const cgw: Cgw = await clock.within(
    60_000,
    createCgw({
      vehicle,
      storage: link.storage,
      clock,
      random: seededRandom(1),
      logger: silentLogger,
      connect: link.connect,
      approve: 'ask',
      benchKeys: true,
      onEvent: (event) => link.events.push(event),
    }),
  );
  link.ecu = cgw.ecu;
  const state = new UdsVehicleState({
    vehicle,
    requesterFor: () => link.client,
    clock,
    utcOffsetMinutes: () => 60,
  });
  const check = (changes: Partial<ConditionQuery> = {}) =>
    clock.within(60_000, state.check(query(changes)));
  return { link, cgw, state, clock, check };
}

/** A watch under way, and what it has found so far. */
function watching({ state, clock }: Awaited<ReturnType<typeof start>>) {
  const abort = new AbortController();
  const seen: { lost: unknown; atMs: number }[] = [];
  const done = state.watch(query(), abort.signal).then((lost) => {
    seen.push({ lost, atMs: clock.nowMs() });
  });
  return { abort, seen, done };
}

describe('a look', () => {
  it('reads every identifier once, whatever is in it', async () => {
    const { link, check } = await start();
    expect(await check()).toEqual({ ok: true });
    expect(link.requests).toEqual([READ, '22FD41']);
    link.requests.length = 0;
    expect(await check({ gate: 'activate' })).toEqual({ ok: true });
    expect(link.requests).toEqual([READ, '22FD41']);
  });

  it.each([
    [
      'speed',
      50.5,
      'standing',
      'Stop the vehicle. (standing: required is speed == 0; speed is 50.5 km/h)',
    ],
    ['temperature', -21, 'temperature', 'temperature is -21 degC'],
    ['temperature', 61, 'temperature', 'temperature is 61 degC'],
    ['battery', 12.39, 'battery', 'battery is 12.39 V, update is 1800 s, rollback is 1800 s'],
  ] as const)('finds %s at %s', async (signal, value, condition, reason) => {
    const { cgw, check } = await start();
    cgw.signals.set(signal, value);
    expect(await check()).toEqual({
      ok: false,
      condition,
      reason: expect.stringContaining(reason),
    });
  });

  it('reserves the battery for what is left of the update', async () => {
    const { cgw, check } = await start();
    cgw.signals.set('battery', 12.39);
    expect(await check()).toMatchObject({ condition: 'battery' });
    expect(await check({ updateSeconds: 1600 })).toEqual({ ok: true });
    expect(await check({ updateSeconds: 1600, rollbackSeconds: 2000 })).toMatchObject({
      ok: false,
    });
  });

  it('asks at each gate for its own conditions', async () => {
    const { cgw, check } = await start();
    cgw.signals.set('gear', 'drive');
    expect(await check({ gate: 'stage' })).toEqual({ ok: true });
    expect(await check({ gate: 'activate' })).toMatchObject({
      condition: 'parked',
      reason: '(parked: required is gear == park; gear is drive)',
    });
  });

  it('knows the local time', async () => {
    // 21:30 and 20:59 UTC, an hour ahead.
    const at = (iso: string) => new VirtualClock(Date.parse(iso));
    const vehicle = vehicleWith({
      conditions: [{ name: 'night', require: 'time in 22:00..05:00' }],
    });
    const { check } = await start(vehicle, at('2026-03-01T21:30:00Z'));
    expect(await check()).toEqual({ ok: true });
    const early = await start(vehicle, at('2026-03-01T20:58:00Z'));
    expect(await early.check()).toMatchObject({ reason: expect.stringContaining('time is 21:58') });
    expect(early.link.requests).toEqual([]);
  });

  it('without conditions asks nobody', async () => {
    const { link, check } = await start(vehicleWith({ conditions: [] }));
    expect(await check()).toEqual({ ok: true });
    expect(link.requests).toEqual([]);
  });

  it('refuses to begin with a condition that nobody can understand', async () => {
    const vehicle = vehicleWith({ conditions: [{ name: 'x', require: 'sped == 0' }] });
    await expect(start(vehicle)).rejects.toThrow('did you mean "speed"?');
  });
});

describe('a signal that cannot be read is a condition that is not met', () => {
  it('because nobody answers, three times', async () => {
    const { link, check } = await start();
    link.loses = () => true;
    expect(await check()).toMatchObject({
      condition: 'standing',
      reason: expect.stringMatching(
        /^Stop the vehicle\. \(standing: speed cannot be read: CGW .* no answer/,
      ),
    });
    expect(link.requests.filter((sent) => sent === READ)).toHaveLength(3);
  });

  it('but a lost request or two are none', async () => {
    const { link, check } = await start();
    let left = 2;
    link.loses = () => left-- > 0;
    expect(await check()).toEqual({ ok: true });
    expect(link.requests.filter((sent) => sent === READ)).toHaveLength(3);
  });

  it.each([
    ['7F2231', 'requestOutOfRange'],
    ['62FD4000', 'has 1 bytes, the vehicle file says that it needs 2'],
    ['62FD40FFFF020004EC', 'not available'],
  ])('because the ECU answers %s', async (answer, reason) => {
    const { link, check } = await start();
    link.changes = () => Uint8Array.from(Buffer.from(answer, 'hex'));
    expect(await check()).toMatchObject({
      ok: false,
      condition: 'standing',
      reason: expect.stringContaining(reason),
    });
    // Asking again would bring the same.
    expect(link.requests.filter((sent) => sent === READ)).toHaveLength(1);
  });

  it('because it is another identifier, or no record at all', async () => {
    const vehicle = vehicleWith();
    for (const [answer, reason] of [
      ['62FD420000020004EC', 'it holds another DID'],
      ['62FD', 'breaks its format'],
    ] as const) {
      const ecu = new ScriptedEcu({ [READ]: answer });
      const state = new UdsVehicleState({ vehicle, clock: ecu.clock, requesterFor: () => ecu });
      expect(await state.check(query())).toMatchObject({
        condition: 'standing',
        reason: expect.stringContaining(reason),
      });
    }
  });

  it('because a named value has no name', async () => {
    const { link, check } = await start();
    link.changes = (answer) => (answer[2] === 0x40 ? answer.with(6, 9) : answer);
    expect(await check({ gate: 'activate' })).toMatchObject({
      condition: 'parked',
      reason: expect.stringContaining('9 is none of the values'),
    });
  });

  it('because the wait was broken off', async () => {
    const { state, clock, link } = await start();
    const abort = new AbortController();
    link.loses = () => true;
    clock.after('stop', 50, () => abort.abort());
    expect(await clock.within(60, state.check(query(), abort.signal))).toMatchObject({ ok: false });
    expect(link.requests).toEqual([READ]);
  });
});

describe('the supply', () => {
  it('is the voltage of the signal battery, from one read', async () => {
    const { state, clock, cgw, link } = await start();
    cgw.signals.set('battery', 12.41);
    expect(await clock.within(1000, state.supplyV())).toBe(12.41);
    expect(link.requests).toEqual([READ]);
  });

  it('is known in millivolts, too', async () => {
    const battery = { ecu: 'CGW', did: 0xfd40, length: 2, unit: 'mV' };
    const vehicle = vehicleWith({ signals: { battery }, conditions: [] });
    const ecu = new ScriptedEcu({ [READ]: '62FD4030D4' });
    const state = new UdsVehicleState({ vehicle, clock: ecu.clock, requesterFor: () => ecu });
    expect(await state.supplyV()).toBe(12.5);
  });

  it.each([
    ['the vehicle has no such signal', { signals: {}, conditions: [] }],
    [
      'it is no voltage',
      { signals: { battery: { ...SIGNALS.battery, unit: '%' } }, conditions: [] },
    ],
    [
      'it has names in place of numbers',
      { signals: { battery: { ecu: 'CGW', did: 0xfd40, values: { 0: 'low' } } }, conditions: [] },
    ],
  ])('is not known, and nothing is asked, where %s', async (_why, changes) => {
    const { state, link } = await start(vehicleWith(changes));
    expect(await state.supplyV()).toBeUndefined();
    expect(link.requests).toEqual([]);
  });

  it('is not known where its ECU does not answer', async () => {
    const { state, clock, link } = await start();
    link.loses = () => true;
    expect(await clock.within(60_000, state.supplyV())).toBeUndefined();
  });
});

describe('a watch', () => {
  it('looks once a second until it is told to stop, and leaves nothing behind', async () => {
    const world = await start();
    const idle = world.clock.pending();
    const { abort, seen, done } = watching(world);
    await world.clock.advance(10_500);
    expect(seen).toEqual([]);
    expect(world.link.requests.filter((sent) => sent === READ)).toHaveLength(10);
    abort.abort();
    await done;
    expect(seen).toMatchObject([{ lost: undefined }]);
    expect(world.clock.pending()).toEqual(idle);
  });

  it('says within two seconds that a condition is lost', async () => {
    const world = await start();
    const { seen } = watching(world);
    await world.clock.advance(3300);
    const fromMs = world.clock.nowMs();
    world.cgw.signals.set('speed', 3);
    await world.clock.advance(2000);
    expect(seen).toMatchObject([
      { lost: { ok: false, condition: 'standing', reason: expect.stringContaining('3 km/h') } },
    ]);
    expect(seen[0]!.atMs - fromMs).toBeLessThan(1600);
    expect(seen[0]!.atMs - fromMs).toBeGreaterThan(500);
  });

  it('is not fooled by one odd value, or by a frame that is lost', async () => {
    const world = await start();
    const { seen } = watching(world);
    await world.clock.advance(900);
    for (let round = 0; round < 5; round++) {
      // Over at the second look, 500 ms after the first.
      world.cgw.signals.set('speed', 80);
      await world.clock.advance(300);
      world.cgw.signals.set('speed', 0);
      await world.clock.advance(4700);
      world.link.loses = () => true;
      await world.clock.advance(900);
      world.link.loses = undefined;
      await world.clock.advance(100);
    }
    expect(seen).toEqual([]);
    // Not because nobody looked.
    world.cgw.signals.set('speed', 80);
    await world.clock.advance(3000);
    expect(seen).toHaveLength(1);
  });

  it('counts a gateway that fell silent as lost', async () => {
    const world = await start();
    const { seen } = watching(world);
    world.link.loses = () => true;
    await world.clock.advance(10_000);
    expect(seen).toMatchObject([
      { lost: { condition: 'standing', reason: expect.stringContaining('cannot be read') } },
    ]);
  });

  it('of the gateway does not disturb its own update, and sees through it', async () => {
    const world = await start();
    const { link, clock, cgw } = world;
    const { seen } = watching(world);
    const driver = new UdsEcuDriver({
      ecu: findEcu(vehicleWith(), 'CGW'),
      requester: link.client,
      clock,
      authority: benchAuthority('CGW'),
    });
    const image = imageOf(bytesOf(60_000));
    const target = signedTarget(clock, 'CGW', image, '2.0.0');
    // A slow disk: the watch has its turns in between.
    const slow = {
      read: async (offset: number, length: number) => {
        await sleep(clock, 'slow disk', 300);
        return image.read(offset, length);
      },
    };
    const staged = await clock.within(
      600_000,
      driver.stage({ ...target, image: { ...image, ...slow } }),
    );
    expect(staged).toMatchObject({ ok: true });
    const first = link.requests.findIndex((sent) => sent.startsWith('36'));
    const last = link.requests.findLastIndex((sent) => sent.startsWith('36'));
    expect(link.requests.slice(first, last)).toContain(READ);
    expect(seen).toEqual([]);
    cgw.signals.set('speed', 3);
    await clock.advance(2000);
    expect(seen).toHaveLength(1);
  });
});

describe('the ignition', () => {
  it.each([
    ['off', 'off'],
    ['accessory', 'on'],
    ['on', 'on'],
  ] as const)('%s is %s', async (value, said) => {
    const { cgw, state, clock } = await start();
    cgw.signals.set('ignition', value);
    expect(await clock.within(1000, state.ignition())).toBe(said);
  });

  it('is unknown without such a signal, without a name for off, and without an answer', async () => {
    const { ignition: _, ...others } = SIGNALS;
    const without = await start(vehicleWith({ signals: others }));
    expect(await without.clock.within(1000, without.state.ignition())).toBe('unknown');
    const nameless = await start(
      vehicleWith({ signals: { ...others, ignition: { ecu: 'CGW', did: 0xfd42 } } }),
    );
    expect(await nameless.clock.within(1000, nameless.state.ignition())).toBe('unknown');
    expect(nameless.link.requests).toEqual([]);
    const silent = await start();
    silent.link.loses = () => true;
    expect(await silent.clock.within(10_000, silent.state.ignition())).toBe('unknown');
  });
});

it('signals of several ECUs are read from each of them', async () => {
  const vehicle = vehicleWith({
    signals: { ...SIGNALS, charge: { ecu: 'EDT', did: 0xfd51, scale: 0.5, unit: '%' } },
    conditions: [{ name: 'both', require: 'speed == 0 and charge > 20 %' }],
  });
  const cgw = new ScriptedEcu({ [READ]: '62FD400000020004EC' });
  const edt = new ScriptedEcu({ '22FD51': ['62FD5128', '62FD5129'] }, cgw.clock);
  const asked: string[] = [];
  const state = new UdsVehicleState({
    vehicle,
    clock: cgw.clock,
    requesterFor: (name) => {
      asked.push(name);
      return name === 'CGW' ? cgw : edt;
    },
  });
  expect(await state.check(query())).toMatchObject({
    ok: false,
    reason: '(both: required is speed == 0 and charge > 20 %; speed is 0 km/h, charge is 20 %)',
  });
  expect(await state.check(query())).toEqual({ ok: true });
  expect(asked).toEqual(['CGW', 'EDT']);
  expect([cgw.log, edt.log]).toEqual([
    [READ, READ],
    ['22FD51', '22FD51'],
  ]);
});
