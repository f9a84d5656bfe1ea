// Runs a campaign: journals each event before its commands run, hands them to the executor, stops at safe points.

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
 * Carries out one command and returns the event of its result. Undefined: the signal interrupted it, and it will be
 * given again. A throw means a fault of this machine (disk full): it ends the run, and the journal keeps the state.
 * Several commands run at the same time (ECUs of one rank, ECUs on several buses).
 */
export type Execute = (
  command: CampaignCommand,
  state: CampaignState,
  signal: AbortSignal,
  note: Note,
) => Promise<CampaignEvent | undefined>;

/**
 * Journals an event of a command under way. Durable when it resolves; false: the command is no longer wanted. Rejects
 * with StorageError.
 */
export type Note = (event: CampaignEvent) => Promise<boolean>;

export interface RunnerOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Configuration of campaigns that begin from now on; a campaign under way keeps its limits. */
  readonly config: CampaignConfig;
  readonly execute: Execute;
  readonly onState?: (state: CampaignState, event: CampaignEvent) => void;
  /** Size of the journal above which a new file begins. */
  readonly rotateBytes?: number;
}

/** The states before and after an event. They are equal when the event came too late or was a repetition. */
export interface StateChange {
  readonly before: CampaignState;
  readonly after: CampaignState;
}

interface Running {
  readonly key: string;
  readonly abort: AbortController;
  /** Resolves with the end of the command; never rejects. */
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
  /** Wakes `run` while it waits for the commands under way. */
  #wake: (() => void) | undefined;
  /** Tail of the queue in which events are taken one after the other. */
  #taking: Promise<unknown> = Promise.resolve();

  private constructor(options: RunnerOptions, journal: Journal, state: CampaignState) {
    this.#options = options;
    this.#journal = journal;
    this.#state = state;
  }

  /** Opens a runner in the state to which the journal replays. Throws StorageError. */
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
    // Shorten here, because a process that dies in every attempt to leave the safe state reaches no other place.
    if (runner.#state.kind === 'rolling-back' && runner.#isLong()) await runner.#shorten();
    return runner;
  }

  get state(): CampaignState {
    return this.#state;
  }

  /** Takes one event from outside (`poll`, `resumed`, `abandoned`), before `run`. Durable when it resolves. */
  async feed(event: CampaignEvent): Promise<void> {
    await this.#exclusively(() => this.#apply(event));
  }

  /**
   * Takes an event from outside (`cancelled`, `condition-lost`) at any time, also during `run`. The event is durable
   * before its commands begin and before this resolves. Rejects with StorageError; then the state is unchanged.
   */
  inject(event: CampaignEvent): Promise<StateChange> {
    if (!this.#isRunning) return this.#exclusively(() => this.#apply(event));
    return new Promise((resolve, reject) => {
      this.#inbox.push({ event, resolve, reject });
      this.#wake?.();
    });
  }

  /**
   * Runs until nothing is left to do (`done`) or the signal stops it (`interrupted`). An error that the executor threw
   * is thrown here after all commands under way have ended.
   */
  async run(signal: AbortSignal): Promise<'done' | 'interrupted'> {
    const stop = (): void => this.#abortAll();
    signal.addEventListener('abort', stop, { once: true });
    this.#isRunning = true;
    try {
      // Events that were injected before this run come first.
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
        // After the signal, too, results are journaled; only no new command begins.
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

  /** The next command that ends; undefined when an event was injected. */
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

  /** Takes one step: the event is made durable first, then the state changes. */
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
      // The caller of inject handles the error; commands under way get the same error from the disk.
      reject(error);
      return;
    }
    // Resolve before waiting for commands: a command may wait for this answer.
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

  /** Stops the commands that the new state no longer needs, and waits for their end before new ones begin. */
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

  /** Shortens the journal. A failure is only logged, and it is tried again at the end of the next campaign. */
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

  /** Journals directly and not through the inbox, which `run` does not read while an obsolete command ends. */
  async #note(event: CampaignEvent, key: string, signal: AbortSignal): Promise<boolean> {
    const { after } = await this.#exclusively(() => this.#apply(event));
    return !signal.aborted && commandsOf(after).some((command) => commandKey(command) === key);
  }

  #abortAll(): void {
    for (const { abort } of this.#running.values()) abort.abort();
  }
}

/** Whether an event is journaled. Polls without an update are not, because they would wear the TMU's flash. */
function isDurable(event: CampaignEvent): boolean {
  return event.kind !== 'poll' && event.kind !== 'nothing';
}
