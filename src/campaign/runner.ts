// Runs a campaign: journals every event before its commands run, gives the commands to the executor, and stops at safe points.

import type { Clock } from '../core/clock.ts';
import { sleep } from '../core/clock.ts';
import { describeError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Storage } from '../core/storage.ts';
import { commandKey, commandsOf } from './commands.ts';
import { compacted } from './compaction.ts';
import type { CampaignEvent } from './event.ts';
import { decodeJournal, JOURNAL_FILE, Journal } from './journal.ts';
import { replay, step } from './reducer.ts';
import type { CampaignCommand, CampaignConfig, CampaignState } from './state.ts';

/**
 * Does one command and says what came of it. Undefined: it was interrupted by the signal and will be given again.
 * A throw is a fault of this machine (disk full): it ends the run, the journal keeps the state. Several commands run at
 * the same time (ECUs of one rank, ECUs on several buses).
 */
export type Execute = (
  command: CampaignCommand,
  state: CampaignState,
  signal: AbortSignal,
  note: Note,
) => Promise<CampaignEvent | undefined>;

/**
 * Puts an event of a command under way into the journal. Durable when it resolves; false: the command is not wanted any
 * more. Rejects with StorageError.
 */
export type Note = (event: CampaignEvent) => Promise<boolean>;

export interface RunnerOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly logger: Logger;
  /** For campaigns that begin from now on; one under way keeps the limits it began with. */
  readonly config: CampaignConfig;
  readonly execute: Execute;
  readonly onState?: (state: CampaignState, event: CampaignEvent) => void;
  /** Journal bytes above which a new file is begun. */
  readonly rotateBytes?: number;
}

/** What an event has changed. Equal: it came too late, or said nothing new. */
export interface StateChange {
  readonly before: CampaignState;
  readonly after: CampaignState;
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

interface Injected {
  readonly event: CampaignEvent;
  readonly resolve: (change: StateChange) => void;
  readonly reject: (error: unknown) => void;
}

const ROTATE_BYTES = 256 * 1024;

export class CampaignRunner {
  readonly #options: RunnerOptions;
  readonly #journal: Journal;
  readonly #running = new Map<string, Running>();
  #state: CampaignState;
  #isRunning = false;
  #inbox: Injected[] = [];
  /** Ends the wait of `run` for the commands under way. */
  #wake: (() => void) | undefined;
  /** Events are taken one after the other, whoever brings them. */
  #taking: Promise<unknown> = Promise.resolve();

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
    const runner = new CampaignRunner(options, journal, replay(content.records));
    // A process that dies in every attempt to leave the safe state comes to no other place to do this.
    if (runner.#state.kind === 'rolling-back' && runner.#isLong()) await runner.#shorten();
    return runner;
  }

  get state(): CampaignState {
    return this.#state;
  }

  /** Feeds one event from outside (`poll`, `resumed`, `abandoned`), before `run`. Durable when it resolves. */
  async feed(event: CampaignEvent): Promise<void> {
    await this.#exclusively(() => this.#apply(event));
  }

  /**
   * An event from outside (`cancelled`, `condition-lost`) at any time, also in the middle of `run`. Durable before
   * anything follows from it, and when this resolves. Rejects with StorageError; then nothing has happened.
   */
  inject(event: CampaignEvent): Promise<StateChange> {
    if (!this.#isRunning) return this.#exclusively(() => this.#apply(event));
    return new Promise((resolve, reject) => {
      this.#inbox.push({ event, resolve, reject });
      this.#wake?.();
    });
  }

  /**
   * Runs until nothing is left to do (`done`) or the signal stops it (`interrupted`). Throws what the executor
   * threw, after everything under way has ended.
   */
  async run(signal: AbortSignal): Promise<'done' | 'interrupted'> {
    const stop = (): void => this.#abortAll();
    signal.addEventListener('abort', stop, { once: true });
    this.#isRunning = true;
    try {
      // What is about to be injected from before this run comes first.
      await this.#taking;
      this.#start(commandsOf(this.#state), signal);
      while (this.#running.size > 0 || this.#inbox.length > 0) {
        const injected = this.#inbox.shift();
        if (injected !== undefined) {
          await this.#takeInjected(injected, signal);
          continue;
        }
        const finished = await this.#nextFinished();
        if (finished === undefined) continue;
        this.#running.delete(finished.key);
        if ('error' in finished) throw finished.error;
        // Even when the signal has come: what was done is written down, only nothing new is begun.
        if (finished.event !== undefined) await this.#take(finished.event, signal);
      }
      return commandsOf(this.#state).length > 0 ? 'interrupted' : 'done';
    } finally {
      signal.removeEventListener('abort', stop);
      this.#abortAll();
      await Promise.all([...this.#running.values()].map(({ done }) => done));
      this.#running.clear();
      this.#isRunning = false;
      for (const { event, resolve, reject } of this.#inbox.splice(0)) {
        await this.#exclusively(() => this.#apply(event)).then(resolve, reject);
      }
    }
  }

  async close(): Promise<void> {
    await this.#taking;
    await this.#journal.close();
  }

  /** Undefined: something was injected. */
  async #nextFinished(): Promise<Finished | undefined> {
    const woken = new Promise<undefined>((resolve) => {
      this.#wake = () => resolve(undefined);
    });
    const finished = await Promise.race([
      ...[...this.#running.values()].map(({ done }) => done),
      woken,
    ]);
    this.#wake = undefined;
    return finished;
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#taking.then(work);
    this.#taking = result.catch(() => {});
    return result;
  }

  /** The step itself: durable first, then the state. */
  async #apply(given: CampaignEvent): Promise<StateChange> {
    const event =
      given.kind === 'offered' && given.limits === undefined
        ? { ...given, limits: this.#options.config }
        : given;
    const before = this.#state;
    const { state } = step(before, event);
    if (state === before) return { before, after: before };
    if (isDurable(event)) await this.#journal.append(event, this.#options.clock.wallMs());
    this.#state = state;
    this.#options.onState?.(state, event);
    return { before, after: state };
  }

  async #takeInjected({ event, resolve, reject }: Injected, signal: AbortSignal): Promise<void> {
    let change: StateChange;
    try {
      change = await this.#exclusively(() => this.#apply(event));
    } catch (error) {
      // The one who brought it knows what to do; what is under way meets the same disk by itself.
      reject(error);
      return;
    }
    // Before anything is waited for: a command may be what waits for this answer.
    resolve(change);
    await this.#follow(signal);
  }

  async #take(event: CampaignEvent, signal: AbortSignal): Promise<void> {
    await this.#exclusively(() => this.#apply(event));
    const { kind } = this.#state;
    if ((kind === 'idle' || kind === 'safe-state') && commandsOf(this.#state).length === 0) {
      if (this.#isLong()) await this.#shorten();
    }
    await this.#follow(signal);
  }

  /** What the new state does not want any more is stopped, and has ended before anything else begins. */
  async #follow(signal: AbortSignal): Promise<void> {
    const wanted = commandsOf(this.#state);
    const keys = new Set(wanted.map(commandKey));
    const obsolete = [...this.#running.values()].filter(({ key }) => !keys.has(key));
    for (const { abort } of obsolete) abort.abort();
    for (const { key, done } of obsolete) {
      const finished = await done;
      this.#running.delete(key);
      if ('error' in finished) throw finished.error;
    }
    this.#start(wanted, signal);
  }

  #isLong(): boolean {
    return this.#journal.sizeBytes > (this.#options.rotateBytes ?? ROTATE_BYTES);
  }

  /** A journal that stays long is no reason to stop: it is tried again at the next end of a campaign. */
  async #shorten(): Promise<void> {
    try {
      if (this.#state.kind === 'idle') return await this.#journal.rotate();
      const bytes = await this.#options.storage.read(JOURNAL_FILE);
      const needed = compacted(decodeJournal(bytes ?? new Uint8Array()).records);
      if (needed === undefined) return;
      await this.#journal.rewrite(needed);
      this.#state = replay(needed);
    } catch (error) {
      this.#options.logger.warn(
        { error: describeError(error) },
        'the journal could not be shortened',
      );
    }
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
    const { clock, execute } = this.#options;
    const beganMs = clock.nowMs();
    try {
      if (command.kind === 'ecu' && command.delayMs > 0) {
        const end = await sleep(clock, 'step-retry', command.delayMs, signal);
        if (end === 'aborted') return { key, event: undefined };
      }
      const note = (noted: CampaignEvent) => this.#note(noted, key, signal);
      const event = await execute(command, this.#state, signal, note);
      if (event?.kind !== 'step-failed') return { key, event };
      return { key, event: { ...event, tookMs: Math.max(0, Math.round(clock.nowMs() - beganMs)) } };
    } catch (error) {
      return { key, error };
    }
  }

  /** Not by the inbox: `run` does not read it while it waits for an obsolete command to end. */
  async #note(event: CampaignEvent, key: string, signal: AbortSignal): Promise<boolean> {
    const { after } = await this.#exclusively(() => this.#apply(event));
    return !signal.aborted && commandsOf(after).some((command) => commandKey(command) === key);
  }

  #abortAll(): void {
    for (const { abort } of this.#running.values()) abort.abort();
  }
}

/** Polls that find nothing must not wear the flash of the TMU. */
function isDurable(event: CampaignEvent): boolean {
  return event.kind !== 'poll' && event.kind !== 'nothing';
}
