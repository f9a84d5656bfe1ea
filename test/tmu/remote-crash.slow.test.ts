// A power cut at every write of the remote features, and a kill at every moment: each command runs at most once, none is
// lost, each sample counts once.

import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { type DiskMoment, SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import { ServicesWorld } from './remote-support.ts';

/** Actions that leave a trace at the ECU, and one that does not. */
const TRACED = ['a', 'limit', 'dim'];
const BLIND = 'blink';

function world(): ServicesWorld {
  const w = new ServicesWorld();
  w.backend.order('a');
  w.backend.order('limit', { action: 'setPowerLimit', arguments: { power: 60 }, priority: 9 });
  w.backend.order('dim', { ecu: 'EDT', action: 'dim' });
  w.backend.order(BLIND, { action: 'blink', arguments: { colour: 'red' } });
  w.backend.want({ pollInterval: 1, uploadInterval: 5, dids: ['CGW.FD01'] });
  return w;
}

/** One process. After a power cut it does nothing more; a request that it has sent to an ECU is still executed. */
async function life(
  w: ServicesWorld,
  disk: SimulatedDisk,
  ms: number,
  cut?: { readonly at: number; readonly moment: DiskMoment },
  killAtMs?: number,
): Promise<void> {
  const abort = new AbortController();
  const { promise: dead, resolve: die } = Promise.withResolvers<void>();
  const end = (): void => {
    disk.cut(seededRandom(cut?.at ?? killAtMs ?? 0));
    abort.abort();
    die();
  };
  disk.onOperation = (n, _operation, moment) => {
    if (n === cut?.at && moment === cut.moment) end();
  };
  if (killAtMs !== undefined) w.clock.after('kill', killAtMs, end);
  const storage = disk.open();
  const running = (async () => {
    const services = await w.open({}, storage);
    const timer = w.clock.after('stop', ms, () => abort.abort());
    await services.run(abort.signal);
    timer.cancel();
    await services.close();
  })();
  await w.clock.within(2 * ms, Promise.race([running, dead]));
  disk.onOperation = undefined;
  disk.kill();
}

function check(w: ServicesWorld, what: string): void {
  for (const id of TRACED) {
    expect(w.ecus.runs.get(id), `${what}: runs of ${id}`).toBe(1);
    expect(w.backend.finalOf(id), `${what}: ${id}`).toMatchObject({ state: 'completed', runs: 1 });
  }
  const final = w.backend.finalOf(BLIND);
  const runs = w.ecus.runs.get(BLIND) ?? 0;
  expect(runs, `${what}: runs without a trace`).toBeLessThanOrEqual(1);
  if (final?.code !== 'IN_DOUBT') {
    expect(final, what).toMatchObject({ state: 'completed', runs: 1 });
    expect(runs, what).toBe(1);
  }
  expect(w.backend.configurations.at(-1)?.inForce, what).toMatchObject({ pollInterval: 1 });
  expect(w.backend.lostBatches, what).toBe(0);
  const numbers = w.backend.batches.map(({ number }) => number);
  expect(numbers, what).toEqual(numbers.map((_number, index) => index + 1));
  const ends = w.backend.batches.flatMap(({ samples }) => samples.map(({ at }) => at));
  expect(new Set(ends).size, `${what}: a window counted twice`).toBe(ends.length);
}

/** Number of operations of a life without faults. */
async function operations(): Promise<number> {
  const w = world();
  const disk = new SimulatedDisk();
  await life(w, disk, 20_000);
  check(w, 'no cut');
  return disk.operations;
}

describe('a power cut at every write of the state directory', () => {
  it.each(['before', 'during', 'after'] as const)('%s it', async (moment) => {
    const count = await operations();
    expect(count).toBeGreaterThan(30);
    for (let at = 1; at <= count; at++) {
      const w = world();
      const disk = new SimulatedDisk();
      await life(w, disk, 20_000, { at, moment });
      await life(w, disk, 90_000);
      check(w, `cut ${moment} operation ${at}`);
    }
  });

  it('and another one at a write of the next life', async () => {
    const count = await operations();
    for (let at = 1; at <= count; at += 3) {
      for (const more of [2, 5, 9]) {
        const w = world();
        const disk = new SimulatedDisk();
        await life(w, disk, 20_000, { at, moment: 'after' });
        await life(w, disk, 20_000, { at: disk.operations + more, moment: 'before' });
        await life(w, disk, 90_000);
        check(w, `cuts at ${at} and ${more} later`);
      }
    }
  });
});

describe('a kill at any moment', () => {
  it.each([
    ['that says so', true],
    ['that answers as if it had not begun', false],
  ])('also while an ECU does what it was asked for, %s', async (_name, isStrict) => {
    for (let killAtMs = 0; killAtMs < 400; killAtMs += 5) {
      const w = world();
      const disk = new SimulatedDisk();
      w.ecus.isStrict = isStrict;
      await life(w, disk, 20_000, undefined, killAtMs);
      await life(w, disk, 90_000);
      check(w, `killed at ${killAtMs} ms`);
    }
  });
});
