// Program of a worker process: plays the episodes that it receives, one after the other.

import { defined } from '../core/optional.ts';
import { crashed } from './crash.ts';
import { createEpisodeRunner, type EpisodeResult } from './episode.ts';
import { measuring } from './limits.ts';
import { sabotageOf } from './sabotage.ts';
import type { EpisodePlan } from './scenario.ts';

/** The only argument of the program, as JSON. */
export interface WorkerOptions {
  readonly imageBytes: number;
  readonly sabotage: string | undefined;
  readonly limitMs?: number | undefined;
  /** Number of episodes whose shares of processor time are measured; 0: none. */
  readonly measured: number;
}

export type FromWorker =
  | { readonly kind: 'result'; readonly result: EpisodeResult }
  | { readonly kind: 'limits'; readonly limits: Readonly<Record<string, number>> };

const options = JSON.parse(process.argv[2] ?? '') as WorkerOptions;
const { imageBytes, sabotage, limitMs, measured } = options;
const say = (message: FromWorker): void => void process.send?.(message);

const plain = createEpisodeRunner({
  imageBytes,
  sabotage: sabotage === undefined ? undefined : sabotageOf(sabotage),
  ...defined({ limitMs }),
});
const run =
  measured > 0 ? measuring(plain, measured, (limits) => say({ kind: 'limits', limits })) : plain;

process.on('message', async (plan: EpisodePlan) => {
  const result = await run(plan).catch((error: unknown) => crashed(error));
  say({ kind: 'result', result });
});
// Ctrl-C reaches every process of the terminal; the parent process decides what ends.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit());
