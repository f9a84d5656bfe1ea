// The whole system in one process: equal seeds give equal histories, and a power cut anywhere is survived.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { createWorld, type SimulatedWorld, type WorldEvent } from '../../src/sim/world.ts';
import type { CycleResult } from '../../src/tmu/tmu-event.ts';

const MINUTES_MS = 60_000;
const MACHINES = ['TMU', 'CGW', 'EDT', 'INV'] as const;

/** The result of the next campaign. */
async function campaign(world: SimulatedWorld, limitMs = 30 * MINUTES_MS): Promise<CycleResult> {
  let result: CycleResult | undefined;
  const listener = world.on(({ event }) => {
    if (event.from !== 'tmu' || event.tmu.kind !== 'outcome') return;
    if (event.tmu.campaign !== undefined && event.tmu.outcome !== 'INTERRUPTED') result = event.tmu;
  });
  const ended = await world.until(() => result !== undefined, limitMs);
  listener.close();
  expect(ended, 'the campaign ends').toBe(true);
  return result!;
}

const summary = ({ outcome, reason, ecus }: CycleResult) => ({
  outcome: reason === undefined ? outcome : `${outcome}: ${reason}`,
  ecus: ecus.map(({ name, from, reported }) => `${name} ${from} -> ${reported}`),
});

const SUCCESS = {
  outcome: 'SUCCESS',
  ecus: ['EDT 1.0.0 -> 2.0.0', 'INV 1.0.0 -> 2.0.0'],
};

/** A campaign of EDT and INV without faults, and its complete record. */
async function history(seed: number, imageBytes = 16_384) {
  const events: WorldEvent[] = [];
  const onEvent = (event: WorldEvent) => events.push(event);
  const world = await createWorld({ seed, imageBytes, onEvent });
  const released = await world.release([{ ecu: 'EDT' }, { ecu: 'INV' }]);
  const result = await campaign(world);
  const [vehicle] = world.vehicles;
  const known = {
    digest: vehicle!.wire.digest(),
    frames: vehicle!.wire.frames,
    exchanges: vehicle!.network.exchanges,
    events: events.map((event) => JSON.stringify(event)),
    disks: [...vehicle!.machines].map(([name, { disk }]) => [name, disk.operations]),
    endMs: world.clock.nowMs(),
  };
  return { world, vehicle: vehicle!, released, result, known };
}

describe('a simulated world', () => {
  it('updates two ECUs, and everybody knows of it', async () => {
    const { world, vehicle, released, result } = await history(1);
    expect(summary(result)).toEqual(SUCCESS);
    for (const { ecu, image, counter } of released) {
      const { disk } = vehicle.machine(ecu);
      const banks = ['bank-a.bin', 'bank-b.bin'].map((bank) => toHex(disk.durable(bank)!));
      expect(banks).toContain(toHex(image));
      expect(counter).toBe(1);
      expect(vehicle.ecu(ecu)?.running?.version).toBe('2.0.0');
    }
    expect(vehicle.ecu('BMS')?.running?.version).toBe('1.0.0');
    expect(world.server.reports(vehicle.vin)).toMatchObject([
      {
        campaign: result.campaign,
        outcome: 'SUCCESS',
        ecus: [
          { name: 'EDT', from: '1.0.0', version: '2.0.0', sha256: released[0]!.sha256 },
          { name: 'INV', from: '1.0.0', version: '2.0.0', sha256: released[1]!.sha256 },
        ],
      },
    ]);
    expect(vehicle.driver.deeds.map(({ did }) => did)).toEqual(['approve']);
    expect(vehicle.driver.deeds[0]!.campaign).toBe(result.campaign);
    world.close();
  });

  it('is the same for the same seed, frame by frame and word by word, and another for another', async () => {
    const first = await history(7);
    const second = await history(7);
    expect(second.known).toEqual(first.known);
    expect(first.known.frames).toBeGreaterThan(5000);
    expect(first.known.events.length).toBeGreaterThan(100);
    const third = await history(8);
    expect(third.known.digest).not.toBe(first.known.digest);
    expect(third.known.events).not.toEqual(first.known.events);
    for (const { world } of [first, second, third]) world.close();
  });

  it('has several vehicles, each with its own wire, driver and row', async () => {
    const world = await createWorld({ seed: 3, vehicles: 2 });
    const [one, two] = world.vehicles;
    two!.driver.choose = () => ({ answer: 'deny' });
    await world.release([{ ecu: 'EDT' }]);
    const done = await world.until(
      () => world.vehicles.every(({ vin }) => world.server.reports(vin).length > 0),
      10 * MINUTES_MS,
    );
    expect(done).toBe(true);
    expect(one!.vin).not.toBe(two!.vin);
    expect(world.server.reports(one!.vin)).toMatchObject([{ outcome: 'SUCCESS' }]);
    expect(world.server.reports(two!.vin)).toMatchObject([{ outcome: 'USER_REJECTED' }]);
    expect(one!.ecu('EDT')?.running?.version).toBe('2.0.0');
    expect(two!.ecu('EDT')?.running?.version).toBe('1.0.0');
    expect(two!.driver.deeds.map(({ did }) => did)).toEqual(['deny']);
    world.close();
  });

  it('goes on after a cut of each machine in the middle, and of all at once', async () => {
    const clean = await history(11, 4096);
    const begin = clean.known.events.findIndex((event) => event.includes('"state":"staging"'));
    const stagingMs = (JSON.parse(clean.known.events[begin]!) as WorldEvent).atMs;
    clean.world.close();
    for (const machines of [...MACHINES.map((name) => [name]), MACHINES]) {
      for (const share of [0.3, 0.75]) {
        const world = await createWorld({ seed: 11, imageBytes: 4096 });
        const [vehicle] = world.vehicles;
        await world.release([{ ecu: 'EDT' }, { ecu: 'INV' }]);
        const atMs = stagingMs + share * (clean.known.endMs - stagingMs);
        world.clock.after('cut', atMs - world.clock.nowMs(), () => {
          for (const name of machines) vehicle!.machine(name).cut();
        });
        world.clock.after('power', atMs - world.clock.nowMs() + 800, () => {
          for (const name of machines) void vehicle!.machine(name).boot();
        });
        const result = await campaign(world);
        const what = `${machines.join(', ')} at ${share}: ${result.outcome} ${result.reason ?? ''}`;
        // A CGW that has lost its memory has no approval any more; then the campaign does not begin.
        const known = ['SUCCESS', 'ROLLBACK_COMPLETED', 'PRECONDITION_FAILED'];
        expect(known, what).toContain(result.outcome);
        const running = () => ['EDT', 'INV'].map((name) => vehicle!.ecu(name)?.running?.version);
        const wanted = result.outcome === 'SUCCESS' ? '2.0.0' : '1.0.0';
        expect(running(), what).toEqual([wanted, wanted]);
        for (const { name, alive } of vehicle!.machines.values()) expect(alive, name).toBe(true);
        await world.release([{ ecu: 'EDT' }, { ecu: 'INV' }]);
        expect((await campaign(world)).outcome, what).toBe('SUCCESS');
        expect(running(), what).toEqual(['3.0.0', '3.0.0']);
        world.close();
      }
    }
  });

  it('lets the server restart in the middle', async () => {
    const world = await createWorld({ seed: 5 });
    await world.release([{ ecu: 'EDT' }, { ecu: 'INV' }]);
    world.clock.after('stop', 1300, () => world.server.stop());
    world.clock.after('start', 5000, () => void world.server.start());
    const { outcome } = await campaign(world);
    const [vehicle] = world.vehicles;
    if (outcome !== 'SUCCESS') await campaign(world);
    expect(vehicle!.ecu('EDT')?.running?.version).toBe('2.0.0');
    expect(world.server.incarnation).toBe(2);
    world.close();
  });

  it('has a server that can be gone: for who connects, and for who waits for an answer', async () => {
    const world = await createWorld({ seed: 5 });
    const { server, clock } = world;
    const request = { method: 'GET', url: new URL(`${server.url}/healthz`), headers: {} } as const;
    expect((await server.handle(request))?.status).toBe(200);
    const waiting = server.handle(request);
    expect(clock.held()).toEqual(['answer to /healthz']);
    server.stop();
    expect(await waiting).toBeUndefined();
    expect(clock.held()).toEqual([]);
    expect(server).toMatchObject({ running: false, incarnation: undefined });
    expect(await server.handle(request)).toBeUndefined();
    await expect(server.post('/upload', new Uint8Array(), 'text/plain')).rejects.toThrow('running');
    await server.start();
    expect(server).toMatchObject({ running: true, incarnation: 2 });
    expect((await server.handle(request))?.status).toBe(200);
    await expect(server.post('/upload', new Uint8Array(), 'text/plain')).rejects.toMatchObject({
      status: 415,
    });
    world.close();
  });

  it('waits for what is asked for, and not for ever', async () => {
    const world = await createWorld({ seed: 2 });
    const beginMs = world.clock.nowMs();
    expect(await world.until(() => true, 1000)).toBe(true);
    expect(world.clock.nowMs()).toBe(beginMs);
    expect(await world.until(() => false, 2500)).toBe(false);
    expect(world.clock.nowMs()).toBe(beginMs + 2500);
    const polled = world.until(() => {
      throw new RangeError('a broken condition');
    }, 5000);
    await expect(polled).rejects.toThrow('a broken condition');
    await expect(createWorld({ seed: 2, vehicle: (v) => ({ ...v, ecus: [] }) })).rejects.toThrow();
    expect(() => world.vehicles[0]!.machine('ABS')).toThrow('has no ABS');
    world.close();
  });

  it('tells each driver what happened, and lets him say more than yes', async () => {
    const world = await createWorld({ seed: 6 });
    const [vehicle] = world.vehicles;
    vehicle!.driver.choose = ({ n }) =>
      n === 1 ? { answer: 'later', minutes: 1 } : { answer: 'approve', withdrawAfterMs: 500 };
    await world.release([{ ecu: 'EDT' }]);
    expect((await campaign(world)).outcome).toBe('DEFERRED');
    expect((await campaign(world)).outcome).toBe('USER_REJECTED');
    expect(vehicle!.driver.deeds.map(({ did }) => did)).toEqual(['later', 'approve', 'withdraw']);
    const [later, approve, withdraw] = vehicle!.driver.deeds;
    expect(approve!.atMs - later!.atMs).toBeGreaterThan(60_000);
    expect(withdraw!.atMs - approve!.atMs).toBeCloseTo(500);
    expect(vehicle!.driver.screen.join('\n')).toContain('EDT');
    expect(vehicle!.ecu('EDT')?.running?.version).toBe('1.0.0');
    world.close();
  });

  it('shows the sensors to the TMU, across restarts of the CGW', async () => {
    const world = await createWorld({
      seed: 9,
      vehicle: (vehicle) => ({
        ...vehicle,
        signals: {
          speed: {
            ...{ ecu: 'CGW', did: 0xfd40, offset: 0, length: 2, signed: false },
            ...{ scale: 0.01, add: 0, unit: 'km/h' },
          },
        },
        conditions: [
          {
            ...{ name: 'standing', require: 'speed == 0 km/h', say: 'Stop.' },
            gates: ['stage', 'activate'],
          },
        ],
      }),
    });
    const [vehicle] = world.vehicles;
    vehicle!.setSignal('speed', 50);
    vehicle!.machine('CGW').cut();
    void vehicle!.machine('CGW').boot();
    await world.release([{ ecu: 'EDT' }]);
    expect((await campaign(world)).outcome).toBe('PRECONDITION_FAILED');
    expect(vehicle!.ecu('EDT')?.running?.version).toBe('1.0.0');
    vehicle!.resetSignals();
    expect(summary(await campaign(world, 24 * 60 * MINUTES_MS)).outcome).toBe('SUCCESS');
    world.close();
  });

  it('leaves nothing in memory, its dead included', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const run = async (seed: number): Promise<WeakRef<object>[]> => {
      const world = await createWorld({ seed, imageBytes: 2048 });
      const [vehicle] = world.vehicles;
      // Cuts while it asks, downloads and transfers.
      for (let cut = 0; cut < 20; cut++) {
        const atMs = 300 + 317 * cut + 41 * seed;
        world.clock.after('cut', atMs, () => vehicle!.machine('TMU').cut());
        world.clock.after('power', atMs + 50, () => void vehicle!.machine('TMU').boot());
      }
      await world.release([{ ecu: 'EDT' }]);
      await world.advance(7000);
      expect(vehicle!.machine('TMU').lives).toBe(21);
      world.close();
      return [new WeakRef(world), new WeakRef(world.server.database)];
    };
    const kept: WeakRef<object>[] = [];
    for (let seed = 1; seed <= 5; seed++) kept.push(...(await run(seed)));
    for (let turn = 0; turn < 3; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      collectGarbage();
    }
    expect(kept.filter((each) => each.deref() !== undefined)).toEqual([]);
  });

  it('can be sabotaged around its ports', async () => {
    const steps: string[] = [];
    const stored = new Set<string>();
    const world = await createWorld({
      seed: 4,
      sabotage: {
        noFsync: true,
        wrapDriver: (driver, ecu) => ({
          ...wrapped(driver),
          activate: (...args) => {
            steps.push(`activate ${ecu}`);
            return driver.activate(...args);
          },
        }),
        wrapStorage: (storage, machine) => {
          stored.add(machine);
          return storage;
        },
      },
    });
    const [vehicle] = world.vehicles;
    await world.release([{ ecu: 'EDT' }]);
    expect((await campaign(world)).outcome).toBe('SUCCESS');
    expect(steps).toEqual(['activate EDT']);
    expect([...stored].sort()).toEqual(['BMS', 'CGW', 'EDT', 'INV', 'TMU']);
    expect(vehicle!.machine('TMU').disk.files().has('journal.log')).toBe(false);
    world.close();
  });
});

/** Every method of an object, bound to it. */
function wrapped<T extends object>(inner: T): T {
  return new Proxy(inner, {
    ownKeys: () => Object.getOwnPropertyNames(Object.getPrototypeOf(inner)),
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    get: (target, name) => {
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
