// The budget of bytes per day: counted durably; images are limited, metadata is only counted.

import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { TmuMemory } from '../../src/tmu/memory.ts';
import { TrafficMeter } from '../../src/tmu/traffic-meter.ts';
import { FaultStorage } from '../support/fault-storage.ts';
import { bytesOf, vehicle, World } from './support.ts';

const DAY_MS = 24 * 60 * 60_000;
const MIB = 1024 * 1024;

async function meter(bytesPerDay: number | null, storage = new FaultStorage()) {
  const clock = new VirtualClock(Date.UTC(2026, 0, 1, 20));
  const { memory } = await TmuMemory.open(storage);
  return { clock, storage, memory, traffic: new TrafficMeter({ memory, clock, bytesPerDay }) };
}

describe('the meter', () => {
  it('counts ahead of what comes, so that a power cut never makes the sum too small', async () => {
    const { traffic, storage } = await meter(null);
    expect(await traffic.take(1000, 5 * MIB)).toBe(1000);
    const after = await meter(null, storage.afterPowerCut('lost'));
    expect(after.traffic.today).toEqual({ day: '2026-01-01', imageBytes: MIB, metadataBytes: 0 });
    await traffic.settle();
    const settled = await meter(null, storage.afterPowerCut('lost'));
    expect(settled.traffic.today.imageBytes).toBe(1000);
  });

  it('writes once for a mebibyte, not for a chunk', async () => {
    const { traffic, storage } = await meter(null);
    for (let chunk = 0; chunk < 64; chunk++) await traffic.take(16 * 1024, 8 * MIB);
    expect(storage.operations).toBe(1);
    await traffic.take(1, 8 * MIB);
    expect(storage.operations).toBe(2);
  });

  it('gives what is left and no more, and a new day gives all of it again', async () => {
    const { traffic, clock } = await meter(10_000);
    expect(await traffic.take(6000, 20_000)).toBe(6000);
    expect(await traffic.take(6000, 14_000)).toBe(4000);
    expect(traffic.left).toBe(0);
    expect(await traffic.take(1, 10_000)).toBe(0);
    expect(traffic.nextDayWallMs).toBe(Date.UTC(2026, 0, 2));
    await clock.advance(4 * 60 * 60_000);
    expect(traffic.left).toBe(10_000);
    expect(await traffic.take(6000, 10_000)).toBe(6000);
    expect(traffic.today).toMatchObject({ day: '2026-01-02', imageBytes: 10_000 });
    await traffic.settle();
    expect(traffic.today.imageBytes).toBe(6000);
  });

  it('what was counted ahead yesterday is no credit today', async () => {
    const { traffic, clock } = await meter(MIB);
    await traffic.take(10, MIB);
    await clock.advance(5 * 60 * 60_000);
    expect(await traffic.take(2 * MIB, 2 * MIB)).toBe(MIB);
    await traffic.settle();
    expect(traffic.today.imageBytes).toBe(MIB);
  });
});

describe('a campaign', () => {
  const image = bytesOf(5000, 1);
  const limited = (bytesPerDay: number | null) => ({
    ...vehicle,
    policy: { ...vehicle.policy, network: { bytesPerDay } },
  });

  function world(): World {
    const w = new World();
    w.backend.release('EDT', '2.0.0', image);
    return w;
  }

  it('beyond the budget goes on at midnight, where it was', async () => {
    const w = world();
    const options = { vehicle: limited(2000) };
    const first = await w.once(options);
    expect(first).toMatchObject({ outcome: 'DEFERRED', code: 'NETWORK_BUDGET' });
    expect(first.reason).toContain('the budget of 2000 bytes for 2026-01-01 is used up');
    expect(first.untilWallMs).toBe(Date.UTC(2026, 0, 2));
    expect(w.approver.asked).toEqual([]);
    // A download that the budget stops is no network fault.
    expect(w.eventsOf('retry')).toEqual([]);
    w.backend.calls.length = 0;
    expect(await w.once(options)).toMatchObject({ code: 'NETWORK_BUDGET', remembered: true });
    expect(w.backend.calls.filter((call) => /download|nonce/.test(call))).toEqual([]);
    await w.clock.advance(DAY_MS);
    expect(await w.once(options)).toMatchObject({ code: 'NETWORK_BUDGET' });
    await w.clock.advance(DAY_MS);
    expect((await w.once(options)).outcome).toBe('SUCCESS');
    expect(w.ecu('EDT').received).toEqual(image);
    const offsets = w.backend.calls.filter((call) => call.startsWith('download'));
    expect(offsets.map((call) => call.split(' ')[2])).toEqual(['2000', '4000']);
  });

  it('that has nothing left of it asks for no further image', async () => {
    const w = world();
    w.backend.release('INV', '2.0.0', bytesOf(300, 2));
    expect(await w.once({ vehicle: limited(5000) })).toMatchObject({ code: 'NETWORK_BUDGET' });
    const asked = w.backend.calls.filter((call) => /nonce|download/.test(call));
    expect(asked).toEqual(['nonce', 'download EDT 0 nonce-1']);
  });

  it('with a budget smaller than a chunk of the network still gets on', async () => {
    const w = world();
    w.backend.chunkBytes = 5000;
    const options = { vehicle: limited(1700) };
    const outcomes: string[] = [];
    for (let day = 0; day < 3; day++) {
      outcomes.push((await w.once(options)).outcome);
      await w.clock.advance(DAY_MS);
    }
    expect(outcomes).toEqual(['DEFERRED', 'DEFERRED', 'SUCCESS']);
  });

  it('counts partial downloads, also those of a process that was stopped', async () => {
    const w = world();
    w.backend.downloadFaults = [{ chunkMs: 100 }];
    const abort = new AbortController();
    w.clock.after('SIGTERM', 250, () => abort.abort());
    await w.once({ vehicle: limited(6000) }, abort.signal);
    const [part] = await w.storage.list('images');
    const received = w.storage.contents(`images/${part}`)!.length;
    expect(received).toBeGreaterThan(0);
    expect(JSON.parse(w.file('state.json')!).traffic.imageBytes).toBe(received);
    // Bytes that are fetched twice count twice.
    w.backend.downloadFaults = [{ ignoreRange: true }];
    expect(await w.once({ vehicle: limited(6000) })).toMatchObject({ code: 'NETWORK_BUDGET' });
  });

  it('without a limit is counted all the same', async () => {
    const w = world();
    expect((await w.once()).outcome).toBe('SUCCESS');
    expect(JSON.parse(w.file('state.json')!).traffic).toEqual({
      day: '2026-01-01',
      imageBytes: 5000,
      metadataBytes: 0,
    });
  });
});

it('metadata is counted, and never held back', async () => {
  const w = new World();
  w.backend.release('EDT', '2.0.0', bytesOf(500, 1));
  w.backend.metadata = async () => ({
    kind: 'body',
    total: 300,
    chunks: (async function* () {
      yield new Uint8Array(100);
      yield new Uint8Array(200);
    })(),
  });
  const result = await w.once({
    vehicle: { ...vehicle, policy: { ...vehicle.policy, network: { bytesPerDay: 1 } } },
    trusted: async ({ backend }) => {
      const body = await backend.metadata('director', 'root.json');
      if (body.kind === 'body') for await (const _ of body.chunks);
      return w.trusted;
    },
  });
  expect(result.code).toBe('NETWORK_BUDGET');
  expect(JSON.parse(w.file('state.json')!).traffic).toMatchObject({
    imageBytes: 1,
    metadataBytes: 300,
  });
});
