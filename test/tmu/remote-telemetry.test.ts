// Telemetry: read at its interval, averaged, kept while the backend is away, uploaded in order and counted once.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Reading } from '../../src/contract/ecu-services.ts';
import { sample } from '../../src/contract/telemetry.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { BatchStore } from '../../src/tmu/remote/batch-store.ts';
import { TelemetryWindow } from '../../src/tmu/remote/telemetry-window.ts';
import { FaultStorage } from '../support/fault-storage.ts';
import { AWAY, ServicesWorld, VIN } from './remote-support.ts';

function reading(value?: number): Reading {
  const raw = Uint8Array.of(0xab, 0xcd);
  return { did: 'INV.FD40', raw, ...(value === undefined ? {} : { value, unit: 'kW' }) };
}

/** Reads INV.FD40 and EDT.FD01 every 5 s, and uploads every 20 s. */
function world(): ServicesWorld {
  const w = new ServicesWorld();
  w.ecus.values.set('INV.FD40', 48.5);
  w.backend.want({ pollInterval: 5, uploadInterval: 20, dids: ['INV.FD40', 'EDT.FD01'] });
  return w;
}

describe('a window', () => {
  it('has count, mean, least and most of the values, and the last reading as it came', () => {
    const window = new TelemetryWindow();
    for (const [n, value] of [10, 20, 60].entries()) window.add(reading(value), n * 1000);
    window.add(reading(), 4000);
    expect(window.close()).toEqual([
      {
        did: 'INV.FD40',
        at: '1970-01-01T00:00:04.000Z',
        count: 4,
        mean: 30,
        min: 10,
        max: 60,
        raw: 'abcd',
      },
    ]);
    expect(window.isEmpty).toBe(true);
  });

  it('is a sample that the backend takes, whatever was read', () => {
    const value = fc.option(fc.double(), { nil: undefined });
    const raw = fc.uint8Array({ maxLength: 300 });
    const unit = fc.option(fc.string({ maxLength: 30 }), { nil: undefined });
    fc.assert(
      fc.property(fc.array(fc.record({ value, raw, unit }), { minLength: 1 }), (readings) => {
        const window = new TelemetryWindow();
        for (const { value: each, unit: of, raw: bytes } of readings) {
          window.add(
            {
              ...{ did: 'INV.FD40', raw: bytes },
              ...(each === undefined ? {} : { value: each }),
              ...(of === undefined ? {} : { unit: of }),
            },
            0,
          );
        }
        const [closed] = window.close();
        expect(sample.safeParse(closed).success).toBe(true);
        const { min = 0, mean = 0, max = 0 } = closed!;
        expect(min <= mean && mean <= max).toBe(true);
      }),
    );
  });
});

describe('telemetry', () => {
  it('is read at its interval, one request for each ECU, and uploaded at the other', async () => {
    const w = world();
    await w.live(60_500);
    const inverter = w.ecus.reads.filter(({ ecu }) => ecu === 'INV').map(({ atMs }) => atMs);
    expect(inverter.length).toBeGreaterThanOrEqual(12);
    for (const [n, atMs] of inverter.slice(1).entries()) {
      expect(atMs - inverter[n]!).toBeGreaterThanOrEqual(5000);
      expect(atMs - inverter[n]!).toBeLessThan(5100);
    }
    const [first] = w.backend.batches;
    expect(first).toMatchObject({ vin: VIN, number: 1, dropped: 0 });
    expect(first?.samples).toMatchObject([
      { did: 'INV.FD40', mean: 48.5, unit: 'V', raw: '0102' },
      { did: 'EDT.FD01', raw: '0102' },
    ]);
    // Readings after the last upload are kept at an orderly end.
    const counted = w.backend.batches.flatMap(({ samples }) => samples[0]!.count);
    expect(counted.reduce((sum, n) => sum + n, 0)).toBeLessThan(inverter.length);
    w.backend.want({});
    await w.live(1000);
    const all = w.backend.batches.flatMap(({ samples }) => samples[0]!.count);
    expect(all.reduce((sum, n) => sum + n, 0)).toBe(inverter.length);
  });

  it('takes another interval at once, and stops when nothing is to be read', async () => {
    const w = world();
    w.backend.want({ pollInterval: 3600, uploadInterval: 3600, dids: ['INV.FD40'] });
    const services = await w.open();
    const abort = new AbortController();
    const running = services.run(abort.signal);
    await w.clock.advance(30_000);
    expect(w.ecus.reads).toHaveLength(1);
    w.backend.want({ pollInterval: 1, uploadInterval: 5, dids: ['INV.FD40'] });
    await w.clock.advance(30_000);
    expect(w.ecus.reads.length).toBeGreaterThan(15);
    expect(w.backend.batches.length).toBeGreaterThan(2);
    w.backend.want({});
    await w.clock.advance(20_000);
    const { length } = w.ecus.reads;
    await w.clock.advance(60_000);
    expect(w.ecus.reads).toHaveLength(length);
    abort.abort();
    await w.clock.within(1000, running);
  });

  it('is not read of an ECU that belongs to a campaign', async () => {
    const w = world();
    const services = await w.open();
    const abort = new AbortController();
    const running = services.run(abort.signal);
    await w.clock.advance(1000);
    w.gate.claim(['INV']);
    const { length } = w.ecus.reads;
    await w.clock.advance(60_000);
    const ecus = new Set(w.ecus.reads.slice(length).map(({ ecu }) => ecu));
    expect([...ecus]).toEqual(['EDT']);
    abort.abort();
    await w.clock.within(1000, running);
  });

  it('says once that an ECU cannot be read', async () => {
    const w = world();
    const silent = { ok: false, code: 'SILENT', reason: 'asleep' } as const;
    w.ecus.readFaults = [silent, silent, silent, silent, silent, silent];
    await w.live(60_000);
    expect(w.eventsOf('warning').map(({ ecu }) => ecu)).toEqual(['INV', 'EDT']);
    expect(w.backend.batches.length).toBeGreaterThan(0);
  });

  it('that the backend refuses does not keep the rest back: it is counted as lost', async () => {
    const w = world();
    w.backend.uploadFaults = [{ ...AWAY, code: 'HTTP_413', transient: false, sealed: true }];
    await w.live(90_000);
    const [first, second] = w.backend.batches;
    expect(first).toMatchObject({ number: 1, dropped: 2 });
    expect(second).toMatchObject({ number: 2, dropped: 0 });
    expect(w.eventsOf('telemetry')).toContainEqual(
      expect.objectContaining({ status: 'dropped', samples: 2 }),
    );
  });

  it('that somebody else refuses is kept, and comes later', async () => {
    const w = world();
    w.backend.uploadFaults = [{ ...AWAY, code: 'HTTP_413', transient: false }];
    await w.live(90_000);
    expect(w.backend.batches[0]).toMatchObject({ number: 1, dropped: 0 });
    expect(w.eventsOf('telemetry').filter(({ status }) => status === 'dropped')).toEqual([]);
  });

  it('waits for a backend that is away, over restarts, and comes in order, each batch once', async () => {
    const w = world();
    await w.live(1000);
    w.backend.away = true;
    for (let n = 0; n < 3; n++) await w.live(60_000);
    expect(w.backend.batches).toEqual([]);
    w.backend.away = false;
    w.backend.uploadFaults = [undefined!, 'lost', undefined!, 'lost', 'away'];
    await w.live(120_000);
    const numbers = w.backend.batches.map(({ number }) => number);
    expect(numbers).toEqual(numbers.map((_n, index) => index + 1));
    expect(numbers.length).toBeGreaterThan(9);
    expect(w.backend).toMatchObject({ duplicates: 2, lostBatches: 0 });
    const times = w.backend.batches.map(({ samples }) => samples[0]!.at);
    expect(times).toEqual(times.toSorted());
  });

  it('that cannot be written is counted as lost', async () => {
    const w = world();
    const services = await w.open();
    const abort = new AbortController();
    const running = services.run(abort.signal);
    await w.clock.advance(1000);
    w.storage.failing = 'NO_SPACE';
    await w.clock.advance(25_000);
    w.storage.failing = undefined;
    await w.clock.advance(60_000);
    abort.abort();
    await w.clock.within(1000, running);
    expect(w.backend.batches[0]).toMatchObject({ number: 1, dropped: 2 });
  });
});

describe('the store', () => {
  const samples = (n: number) => [
    { did: 'INV.FD40', at: new Date(n * 1000).toISOString(), count: 1, raw: '00' },
  ];
  const open = (storage: FaultStorage, windows = 4) =>
    BatchStore.open({
      ...{ storage, random: seededRandom(3), logger: silentLogger },
      limits: { windows, bytes: 10_000 },
    });

  it('throws the oldest away where there is no room, and the next batch says how many', async () => {
    const store = await open(new FaultStorage());
    for (let n = 0; n < 4; n++) expect(await store.add(samples(n))).toBe(0);
    const flying = await store.next(VIN);
    expect(flying).toMatchObject({ number: 1, dropped: 0, samples: samples(0) });
    for (let n = 4; n < 7; n++) expect(await store.add(samples(n))).toBe(1);
    // A batch under way may have arrived, so it stays unchanged.
    expect(await store.next(VIN)).toEqual(flying);
    await store.stored(1);
    expect(await store.next(VIN)).toMatchObject({ number: 2, dropped: 3, samples: samples(4) });
    await store.stored(2);
    expect(await store.next(VIN)).toMatchObject({ number: 3, dropped: 0, samples: samples(5) });
  });

  it('has a bound in bytes, too', async () => {
    const storage = new FaultStorage();
    const store = await open(storage, 1000);
    for (let n = 0; n < 300; n++) await store.add(samples(n));
    const names = await storage.list('telemetry');
    let bytes = 0;
    for (const name of names) bytes += storage.contents(`telemetry/${name}`)!.length;
    expect(bytes).toBeLessThan(10_500);
    expect(store.waiting).toBeGreaterThan(50);
  });

  it('begins a new sender where its numbers are damaged, and keeps the windows', async () => {
    const storage = new FaultStorage();
    const store = await open(storage);
    await store.add(samples(1));
    const before = await store.next(VIN);
    storage.corrupt('telemetry/sent.json', 0);
    const after = await (
      await BatchStore.open({ storage, random: seededRandom(4), logger: silentLogger })
    ).next(VIN);
    expect(after).toMatchObject({ number: 1, samples: samples(1) });
    expect(after?.sender).not.toBe(before?.sender);
  });

  it('goes on behind a window that is damaged, and does not use its number again', async () => {
    const storage = new FaultStorage();
    const store = await open(storage);
    await store.add(samples(1));
    await store.add(samples(2));
    await store.next(VIN);
    storage.corrupt('telemetry/000000000000.json', 0);
    const next = await (await open(storage)).next(VIN);
    expect(next).toMatchObject({ number: 2, samples: samples(2) });
  });

  it('has no gap and no duplicate after a power cut at any write, and counts what it threw away', async () => {
    const play = async (storage: FaultStorage, taken: Map<number, string>): Promise<void> => {
      const store = await open(storage, 3);
      for (let n = 0; n < 8; n++) {
        await store.add(samples(n + 100 * storage.operations));
        if (n % 3 !== 2) continue;
        const batch = await store.next(VIN);
        const text = JSON.stringify(batch);
        expect(taken.get(batch!.number) ?? text).toBe(text);
        taken.set(batch!.number, text);
        await store.stored(batch!.number);
      }
    };
    const whole = new FaultStorage();
    await play(whole, new Map());
    for (let at = 1; at <= whole.operations; at++) {
      for (const when of ['before', 'after'] as const) {
        const storage = new FaultStorage();
        storage.cut = { at, when };
        const taken = new Map<number, string>();
        await play(storage, taken).catch((error: unknown) => {
          if (!storage.powerLost) throw error;
        });
        await play(storage.afterPowerCut(), taken);
        const numbers = [...taken.keys()].toSorted((a, b) => a - b);
        expect(numbers).toEqual(numbers.map((_n, index) => index + 1));
      }
    }
  });
});
