// Episodes in worker processes: the same result as in this process, a worker that dies, and closing in the middle.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEpisodeRunner } from '../../src/sim/episode.ts';
import { EpisodePool, type EpisodePoolOptions, WorkerError } from '../../src/sim/episode-pool.ts';
import { FAULT_CATEGORIES } from '../../src/sim/faults/catalogue.ts';
import { sabotageOf } from '../../src/sim/sabotage.ts';
import { type EpisodePlan, planEpisode } from '../../src/sim/scenario.ts';
import { simulate } from '../../src/sim/simulate.ts';

const IMAGE_BYTES = 300;
const SABOTAGE = 'counter-early';
const options = {
  seed: 'pool',
  categories: FAULT_CATEGORIES,
  imageBytes: IMAGE_BYTES,
  vehicles: 1,
};

async function withPool<T>(
  change: Partial<EpisodePoolOptions>,
  work: (pool: EpisodePool) => Promise<T>,
): Promise<T> {
  const pool = new EpisodePool({
    ...{ jobs: 2, imageBytes: IMAGE_BYTES, sabotage: undefined, measured: 0 },
    ...change,
  });
  try {
    return await work(pool);
  } finally {
    pool.close();
  }
}

describe('workers', () => {
  it('play an episode as this process does', async () => {
    const plans = [0, 1].map((episode) => planEpisode(options, episode, 1));
    const here = createEpisodeRunner({ imageBytes: IMAGE_BYTES, sabotage: undefined });
    const alone = [];
    for (const plan of plans) alone.push(await here(plan));
    const limits: object[] = [];
    const change = { measured: 1, onLimits: (told: object) => void limits.push(told) };
    const there = await withPool(change, ({ run }) => Promise.all(plans.map(run)));
    expect(there).toEqual(alone);
    expect(limits).toHaveLength(1);
  });

  it('find the same violations in the same order, and the same shorter histories', async () => {
    const run = (runEpisode: EpisodePool['run'], jobs: number) =>
      simulate({
        ...{ ...options, runEpisode, jobs, sabotage: SABOTAGE, nowMs: () => 0 },
        ...{ campaigns: 100, shrinkLimit: 3, maxFailures: 2, categories: [] },
      });
    const sabotage = sabotageOf(SABOTAGE);
    const alone = await run(createEpisodeRunner({ imageBytes: IMAGE_BYTES, sabotage }), 1);
    const change = { sabotage: SABOTAGE };
    const together = await withPool(change, (pool) => run(pool.run, 2));
    expect(alone.violations.length).toBeGreaterThanOrEqual(2);
    expect(together).toEqual(alone);
  });
});

describe('a worker', () => {
  let folder: string;
  let program: URL;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'can-ota-pool-'));
    const file = path.join(folder, 'worker.mjs');
    // Dies in episode 1, hangs in episode 2, answers the others with their number.
    await writeFile(
      file,
      `process.on('message', ({ episode }) => {
         if (episode === 1) process.exit(7);
         if (episode === 3) process.kill(process.pid, 'SIGKILL');
         if (episode !== 2) process.send({ kind: 'result', result: { frames: episode } });
       });`,
    );
    program = pathToFileURL(file);
  });
  afterAll(() => rm(folder, { recursive: true }));

  const plan = (episode: number): EpisodePlan => planEpisode(options, episode, 1);

  it('that dies is an error that names its episode, and the others go on', async () => {
    await withPool({ jobs: 2, program }, async ({ run }) => {
      const all = await Promise.allSettled([0, 1, 3, 4, 5].map((episode) => run(plan(episode))));
      expect(all).toMatchObject([
        { value: { frames: 0 } },
        { reason: { message: expect.stringMatching(/^episode 1: .*exit code 7.*--episode 1/) } },
        { reason: { message: expect.stringMatching(/^episode 3: .*signal SIGKILL/) } },
        { value: { frames: 4 } },
        { value: { frames: 5 } },
      ]);
    });
  });

  it('is ended in the middle of its episode, and what waits is not begun', async () => {
    await withPool({ jobs: 1, program }, async (pool) => {
      const both = Promise.allSettled([pool.run(plan(2)), pool.run(plan(0))]);
      pool.close();
      const reason = expect.any(WorkerError);
      expect(await both).toMatchObject([{ reason }, { reason }]);
      await expect(pool.run(plan(0))).rejects.toThrow('the workers were ended');
    });
  });
});
