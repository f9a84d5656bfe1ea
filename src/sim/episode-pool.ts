// Runs episodes in worker processes, as many at a time as there are workers.
//
// Processes and not threads: an episode replaces global timers (virtual-clock-guard.ts), counts the work that the
// process has given to the kernel, and listens for unhandled rejections. A worker that runs out of memory does not
// stop the others.

import { type ChildProcess, fork } from 'node:child_process';
import { CanOtaError } from '../core/errors.ts';
import type { EpisodeResult, RunEpisode } from './episode.ts';
import type { FromWorker, WorkerOptions } from './episode-worker.ts';
import type { EpisodePlan } from './scenario.ts';

/** A worker ended without a result, or could not be started. */
export class WorkerError extends CanOtaError {
  readonly code = 'WORKER';
}

/** `measured` applies to the first worker. */
export interface EpisodePoolOptions extends WorkerOptions {
  readonly jobs: number;
  /** Called with the shares of processor time in the first episodes of the first worker. */
  readonly onLimits?: (limits: Readonly<Record<string, number>>) => void;
  /** Program of the workers; only tests use another one. */
  readonly program?: URL;
}

interface Task {
  readonly plan: EpisodePlan;
  readonly resolve: (result: EpisodeResult) => void;
  readonly reject: (error: WorkerError) => void;
}

interface Worker {
  readonly process: ChildProcess;
  task: Task | undefined;
}

/** `.ts` in a checkout, `.js` in the built package. */
const PROGRAM = new URL(
  `./episode-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`,
  import.meta.url,
);

/** Starts workers when they are needed and keeps them until `close`. */
export class EpisodePool {
  readonly #options: EpisodePoolOptions;
  readonly #workers = new Set<Worker>();
  readonly #queue: Task[] = [];
  #isFirst = true;
  #closed = false;

  constructor(options: EpisodePoolOptions) {
    this.#options = options;
  }

  /** Rejects with WorkerError when the worker ends or the pool is closed. */
  readonly run: RunEpisode = (plan) => {
    if (this.#closed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      this.#queue.push({ plan, resolve, reject });
      this.#next();
    });
  };

  /** Ends all workers at once, whatever they do. */
  close(): void {
    this.#closed = true;
    for (const { reject } of this.#queue.splice(0)) reject(closedError());
    for (const { process } of this.#workers) process.kill('SIGKILL');
  }

  #next(): void {
    for (let task = this.#queue[0]; task !== undefined; task = this.#queue[0]) {
      const idle = [...this.#workers].find(({ task }) => task === undefined);
      const worker = idle ?? (this.#workers.size < this.#options.jobs ? this.#start() : undefined);
      if (worker === undefined) return;
      this.#queue.shift();
      worker.task = task;
      // A message that cannot be sent shows as the end of the process or as its error.
      worker.process.send(
        task.plan,
        (error) => error !== null && this.#lost(worker, error.message),
      );
    }
  }

  #start(): Worker {
    const { imageBytes, sabotage, limitMs, program = PROGRAM } = this.#options;
    const measured = this.#isFirst ? this.#options.measured : 0;
    this.#isFirst = false;
    const options: WorkerOptions = { imageBytes, sabotage, limitMs, measured };
    const process = fork(program, [JSON.stringify(options)], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const worker: Worker = { process, task: undefined };
    this.#workers.add(worker);
    process.on('message', (message: FromWorker) => {
      if (message.kind === 'limits') this.#options.onLimits?.(message.limits);
      else this.#done(worker, message.result);
    });
    process.on('error', (error) => this.#lost(worker, error.message));
    process.on('exit', (code, signal) =>
      this.#lost(worker, signal === null ? `exit code ${code}` : `signal ${signal}`),
    );
    return worker;
  }

  #done(worker: Worker, result: EpisodeResult): void {
    const { task } = worker;
    worker.task = undefined;
    task?.resolve(result);
    this.#next();
  }

  #lost(worker: Worker, reason: string): void {
    if (!this.#workers.delete(worker)) return;
    const { task } = worker;
    worker.task = undefined;
    worker.process.kill('SIGKILL');
    if (task === undefined) return;
    const text =
      `episode ${task.plan.episode}: its worker process ended without a result (${reason}); ` +
      `run it alone with --episode ${task.plan.episode}, or all with --jobs 1`;
    task.reject(this.#closed ? closedError() : new WorkerError(text));
    this.#next();
  }
}

function closedError(): WorkerError {
  return new WorkerError('the workers were ended');
}
