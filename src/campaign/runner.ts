// Runs a campaign: journals every event before its commands run, gives the commands to the executor, and stops at safe points.

import type { Clock } from '../core/clock.ts';
import { sleep } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import type { Storage } from '../core/storage.ts';
import { commandKey, commandsOf } from './commands.ts';
import type { CampaignEvent } from './event.ts';
import { Journal } from './journal.ts';
import { step } from './reducer.ts';
import { type CampaignCommand, type CampaignConfig, type CampaignState, IDLE } from './state.ts';

/**
 * Does one command and says what came of it. Undefined: it was interrupted by the signal and will be given again.
 * A throw is a fault of this machine (disk full): it ends the run, the journal keeps the state.
 */
export type Execute = (
  command: CampaignCommand,
  state: CampaignState,
  signal: AbortSignal,
) => Promise<CampaignEvent | undefined>;

export interface RunnerOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly config: CampaignConfig;
  readonly execute: Execute;
  readonly onState?: (state: CampaignState, event: CampaignEvent) => void;
  /** Journal bytes above which a new file is begun. */
  readonly rotateBytes?: number;
}

interface Running {
  readonly key: string;
  readonly abort: AbortController;
  /** Never rejects. */
  readonly done: Promise<Finished>;
}
type Finished = { readonly key: string } & (
  | { readonly event: CampaignEvent | undefined }
  | { readonly error: unknown }
);

const ROTATE_BYTES = 256 * 1024;

export class CampaignRunner {
  readonly #options: RunnerOptions;
  readonly #journal: Journal;
  readonly #running = new Map<string, Running>();
  #state: CampaignState;

  private constructor(options: RunnerOptions, journal: Journal, state: CampaignState) {
    this.#options = options;
    this.#journal = journal;
    this.#state = state;
  }

  /** Replays the journal. Throws StorageError. */
  static async open(options: RunnerOptions): Promise<CampaignRunner> {
    const { journal, content } = await Journal.open(options.storage);
    if (content.end === 'damaged') {
      options.logger.warn(
        { records: content.records.length },
        'the journal is damaged: everything behind the damage is dropped, ECUs are asked what they hold; ' +
          'a copy is in journal.damaged.log',
      );
    }
    let state: CampaignState = IDLE;
    for (const { event } of content.records) state = step(state, event, options.config).state;
    return new CampaignRunner(options, journal, state);
  }

  get state(): CampaignState {
    return this.#state;
  }

  /** Feeds one event from outside (`poll`, `resumed`, `abandoned`), before `run`. Durable when it resolves. */
  async feed(event: CampaignEvent): Promise<void> {
    const { state } = step(this.#state, event, this.#options.config);
    if (state === this.#state) return;
    if (isDurable(event)) await this.#journal.append(event, this.#options.clock.wallMs());
    this.#state = state;
    this.#options.onState?.(state, event);
  }

  /**
   * Runs until nothing is left to do (`done`) or the signal stops it (`interrupted`). Throws what the executor
   * threw, after everything under way has ended.
   */
  async run(signal: AbortSignal): Promise<'done' | 'interrupted'> {
    const stop = (): void => this.#abortAll();
    signal.addEventListener('abort', stop, { once: true });
    try {
      this.#start(commandsOf(this.#state, this.#options.config), signal);
      while (this.#running.size > 0) {
        const finished = await Promise.race([...this.#running.values()].map(({ done }) => done));
        this.#running.delete(finished.key);
        if ('error' in finished) throw finished.error;
        // Even when the signal has come: what was done is written down, only nothing new is begun.
        if (finished.event !== undefined) await this.#take(finished.event, signal);
      }
      if (signal.aborted && commandsOf(this.#state, this.#options.config).length > 0) {
        return 'interrupted';
      }
      return 'done';
    } finally {
      signal.removeEventListener('abort', stop);
      this.#abortAll();
      await Promise.all([...this.#running.values()].map(({ done }) => done));
      this.#running.clear();
    }
  }

  async close(): Promise<void> {
    await this.#journal.close();
  }

  async #take(event: CampaignEvent, signal: AbortSignal): Promise<void> {
    await this.feed(event);
    const wanted = commandsOf(this.#state, this.#options.config);
    const keys = new Set(wanted.map(commandKey));
    // What the new state does not want any more is stopped, and has ended before anything else begins.
    const obsolete = [...this.#running.values()].filter(({ key }) => !keys.has(key));
    for (const { abort } of obsolete) abort.abort();
    for (const { key, done } of obsolete) {
      const finished = await done;
      this.#running.delete(key);
      if ('error' in finished) throw finished.error;
    }
    if (event.kind === 'closed' && this.#journal.sizeBytes > this.#rotateBytes()) {
      await this.#journal.rotate();
    }
    if (!signal.aborted) this.#start(wanted, signal);
  }

  #rotateBytes(): number {
    return this.#options.rotateBytes ?? ROTATE_BYTES;
  }

  #start(commands: readonly CampaignCommand[], signal: AbortSignal): void {
    if (signal.aborted) return;
    for (const command of commands) {
      const key = commandKey(command);
      if (this.#running.has(key)) continue;
      const abort = new AbortController();
      this.#running.set(key, { key, abort, done: this.#perform(key, command, abort.signal) });
    }
  }

  async #perform(key: string, command: CampaignCommand, signal: AbortSignal): Promise<Finished> {
    try {
      if (command.kind === 'ecu' && command.delayMs > 0) {
        const end = await sleep(this.#options.clock, 'step-retry', command.delayMs, signal);
        if (end === 'aborted') return { key, event: undefined };
      }
      return { key, event: await this.#options.execute(command, this.#state, signal) };
    } catch (error) {
      return { key, error };
    }
  }

  #abortAll(): void {
    for (const { abort } of this.#running.values()) abort.abort();
  }
}

/** Polls that find nothing must not wear the flash of the TMU. */
function isDurable(event: CampaignEvent): boolean {
  return event.kind !== 'poll' && event.kind !== 'nothing';
}
