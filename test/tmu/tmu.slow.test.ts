// Whole cycles of the daemon: how often it asks the driver and the backend.

import { describe, expect, it } from 'vitest';
import { bytesOf, refused, World } from './support.ts';

const edt = bytesOf(5000, 1);
const inv = bytesOf(7000, 2);

function world(): World {
  const made = new World();
  made.backend.release('EDT', '2.0.0', edt);
  made.backend.release('INV', '2.0.0', inv);
  return made;
}

describe('the driver', () => {
  it('who does not answer is asked again after growing pauses', async () => {
    const w = world();
    w.approver.answers = Array.from({ length: 4 }, () => ({ kind: 'timed-out' }) as const);
    const asked: number[] = [];
    const tmu = w.tmu();
    while (asked.length < 5) {
      const count = w.approver.asked.length;
      await w.clock.within(3_600_000, tmu.runOnce(new AbortController().signal));
      if (w.approver.asked.length > count) asked.push(w.clock.nowMs());
      await w.clock.advance(10_000);
    }
    const pauses = asked.slice(1).map((ms, index) => Math.round((ms - asked[index]!) / 60_000));
    expect(pauses).toEqual([5, 10, 20, 40]);
  });
});

describe('the daemon', () => {
  async function polls(w: World, forMs: number): Promise<number[]> {
    const abort = new AbortController();
    const tmu = w.tmu();
    const running = tmu.run(abort.signal);
    await w.clock.advance(forMs);
    abort.abort();
    await w.clock.within(5000, running);
    await tmu.close();
    return w.eventsOf('next-poll').map(({ inMs }) => inMs);
  }

  it('polls every ten seconds, with jitter', async () => {
    const w = new World();
    const delays = await polls(w, 300_000);
    expect(delays.length).toBeGreaterThan(25);
    expect(delays.length).toBeLessThan(36);
    for (const inMs of delays) {
      expect(inMs).toBeGreaterThanOrEqual(8000);
      expect(inMs).toBeLessThanOrEqual(12_000);
    }
    expect(new Set(delays).size).toBeGreaterThan(20);
  });

  it('polls less and less while the backend is away, and honours Retry-After', async () => {
    const w = new World();
    w.backend.latestFaults = Array.from({ length: 1000 }, () => refused('ECONNREFUSED'));
    const delays = await polls(w, 3_600_000);
    expect(delays.length).toBeLessThan(15);
    expect(delays.at(-1)).toBeGreaterThan(400_000);

    const patient = new World();
    patient.backend.latestFaults = [refused('HTTP_503', { retryAfterMs: 900_000 })];
    const [first] = await polls(patient, 60_000);
    expect(first).toBeGreaterThanOrEqual(900_000);
    expect(patient.backend.calls).toEqual(['latest']);
  });

  it('waits as long as Retry-After says between two tries', async () => {
    const w = world();
    w.backend.latestFaults = [refused('HTTP_429', { retryAfterMs: 7000 })];
    expect((await w.once()).outcome).toBe('SUCCESS');
    expect(w.eventsOf('retry')[0]!.delayMs).toBe(7000);
  });

  it.each([
    ['images are fetched', 10],
    ['the first ECU is staged', 1000],
    ['the second ECU is staged', 3000],
    ['both are activated', 4020],
  ])(
    'survives a disk that is full while %s, and goes on when it works again',
    async (_when, atMs) => {
      const w = world();
      const abort = new AbortController();
      const tmu = w.tmu({ pollMs: 1000 });
      const running = tmu.run(abort.signal);
      await w.clock.advance(atMs);
      w.storage.failing = 'NO_SPACE';
      await w.clock.advance(120_000);
      w.storage.failing = undefined;
      await w.clock.advance(1_300_000);
      abort.abort();
      await w.clock.within(5000, running);
      expect(w.ecu('EDT').active.version).toBe('2.0.0');
      expect(w.ecu('INV').active.version).toBe('2.0.0');
    },
  );
});
