// A whole vehicle with its real backend, sealed session and ECUs: orders of an operator are executed and reported.

import { describe, expect, it } from 'vitest';
import { createWorld, type SimulatedWorld } from '../../src/sim/world.ts';
import type { TmuEvent } from '../../src/tmu/tmu-event.ts';
import { SUITES } from '../../src/trust/sealed-session.ts';

async function world(): Promise<{ world: SimulatedWorld; vin: string; events: TmuEvent[] }> {
  const events: TmuEvent[] = [];
  const made = await createWorld({
    seed: 21,
    onEvent: ({ event }) => {
      if (event.from === 'tmu') events.push(event.tmu);
    },
  });
  return { world: made, vin: made.vehicles[0]!.vin, events };
}

const ended = (events: TmuEvent[]) =>
  events.filter((event) => event.kind === 'command' && event.state === 'completed');

describe('a whole vehicle', () => {
  it.each(
    (['shared-key', 'key-pair'] as const).flatMap((proof) =>
      SUITES.map((suite) => [proof, suite] as const),
    ),
  )('is commanded in a session by %s, with %s', async (proof, suite) => {
    const made = await createWorld({ seed: 22, session: { proof, suite } });
    const { server, vehicles } = made;
    await made.advance(10_000);
    const opened = server.database.prepare('select suite from sealed_sessions').all();
    expect(opened).toMatchObject([{ suite }]);
    const order = { ecu: 'INV', action: 'calibrate', arguments: {} };
    await server.operate('POST', `/commands/${vehicles[0]!.vin}`, order);
    const row = server.database.prepare('select state from commands');
    const done = () => (row.get() as { state: string }).state === 'completed';
    expect(await made.until(done, 60_000)).toBe(true);
    made.close();
  });

  it('tells of itself with each check-in, the same with the same seed', async () => {
    const told = async () => {
      const made = await createWorld({ seed: 23 });
      const row = made.server.database.prepare('select telemetry, telemetry_at from vehicles');
      expect(await made.until(() => row.get()?.telemetry_at != null, 60_000)).toBe(true);
      const { telemetry } = row.get() as { telemetry: string };
      made.close();
      return telemetry;
    };
    const first = await told();
    expect(await told()).toBe(first);
    const { daemonUptimeS, systemUptimeS, storage, supplyV, buses } = JSON.parse(first);
    expect(daemonUptimeS).toBeLessThan(60);
    expect(systemUptimeS).toBe(daemonUptimeS);
    expect(supplyV).toBe(12.6);
    expect(storage.totalBytes).toBe(1024 ** 3);
    expect(storage.freeBytes).toBeLessThan(storage.totalBytes);
    expect(buses).toHaveLength(1);
    const [bus] = buses;
    expect(bus).toMatchObject({ state: 'active', errors: 0, load: { isLeast: false } });
    // The version reports of all ECUs were read in this time.
    expect(bus.load.permille).toBeGreaterThan(0);
    expect(bus.frames.received).toBeGreaterThan(10);
  });

  it('is configured, commanded and read, across a cut of its TMU and beside a campaign', async () => {
    const { world: w, vin, events } = await world();
    const { server } = w;
    expect(await w.until(() => events.some(({ kind }) => kind === 'contact'), 60_000)).toBe(true);
    await w.advance(5000);
    const parameters = { pollInterval: 1, uploadInterval: 5, dids: ['INV.FD40', 'INV.FD41'] };
    await server.operate('PUT', `/config/${vin}`, { parameters });
    const sent = (await server.operate('POST', `/commands/${vin}`, {
      ecu: 'INV',
      action: 'setPowerLimit',
      arguments: { power: 60 },
    })) as { id: string };
    expect(await w.until(() => ended(events).length === 1, 60_000)).toBe(true);
    expect(ended(events)[0]).toMatchObject({ ecu: 'INV', action: 'setPowerLimit' });
    w.vehicles[0]!.machine('TMU').cut();
    await w.advance(1000);
    await w.vehicles[0]!.machine('TMU').boot();
    await w.release([{ ecu: 'EDT' }]);
    await server.operate('POST', `/commands/${vin}`, {
      ecu: 'INV',
      action: 'calibrate',
      arguments: {},
    });
    const both = (): boolean =>
      ended(events).length === 2 &&
      events.some((event) => event.kind === 'outcome' && event.outcome === 'SUCCESS');
    expect(await w.until(both, 600_000)).toBe(true);
    await w.advance(20_000);
    const row = server.database.prepare('select state, runs, result from commands where id = ?');
    expect(row.get(sent.id)).toMatchObject({ state: 'completed', runs: 1 });
    const uploads = events.filter(
      (event) => event.kind === 'telemetry' && event.status === 'uploaded',
    );
    expect(uploads.length).toBeGreaterThan(3);
    expect(events.filter(({ kind }) => kind === 'configuration')).toHaveLength(1);
    w.close();
  });
});
