// The commands that this vehicle knows: stored durably, each once, and reported until the backend knows how they ended.

import type { CommandOrder, CommandReport, CommandState } from '../../contract/command.ts';
import { MAX_COMMANDS } from '../../contract/sync.ts';
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import { defined } from '../../core/optional.ts';
import type { Storage } from '../../core/storage.ts';
import type { TmuListener } from '../tmu-event.ts';
import type { BackendTime } from './backend-time.ts';
import {
  type CommandEnding,
  type CommandEntry,
  endedEntry,
  isOpen,
  MAX_ORDER_BYTES,
  reportOf,
  sizeOf,
  stateOf,
} from './command-entry.ts';
import { CommandJournal } from './command-journal.ts';

export interface VehicleCommandStoreOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly time: BackendTime;
  readonly emit: TmuListener;
  /** Called when there is something to report. */
  readonly onChange: () => void;
  readonly commandLimits?: CommandLimits;
}

export interface CommandLimits {
  /** Open commands that are kept; the backend keeps the others and offers them again. */
  readonly open: number;
  /** Open and ended commands that are kept; see `#makeRoom`. */
  readonly kept: number;
}
const COMMAND_LIMITS: CommandLimits = { open: 64, kept: 512 };
/** How long an ended command is remembered after its expiry, so that a late repetition gets the same answer. */
const REMEMBER_MS = 24 * 60 * 60_000;

export class VehicleCommandStore {
  readonly #options: VehicleCommandStoreOptions;
  readonly #journal: CommandJournal;
  readonly #cancelled = new Set<string>();
  /** By id: the last state that the backend acknowledged. */
  readonly #heard = new Map<string, CommandState>();
  #arrivals: number;

  private constructor(options: VehicleCommandStoreOptions, journal: CommandJournal) {
    this.#options = options;
    this.#journal = journal;
    this.#arrivals = Math.max(-1, ...journal.all.map(({ arrival }) => arrival)) + 1;
  }

  /** Throws StorageError. */
  static async open(options: VehicleCommandStoreOptions): Promise<VehicleCommandStore> {
    return new VehicleCommandStore(options, await CommandJournal.open(options));
  }

  get open(): readonly CommandEntry[] {
    return this.#journal.all.filter(isOpen);
  }

  get(id: string): CommandEntry | undefined {
    return this.#journal.get(id);
  }

  isCancelled(id: string): boolean {
    return this.#cancelled.has(id);
  }

  /** Reports for the next contact: what the backend does not know yet, ended commands first. */
  reports(): CommandReport[] {
    const isNews = (entry: CommandEntry): boolean =>
      entry.state.kind === 'ended'
        ? !entry.state.acknowledged
        : this.#heard.get(entry.order.id) !== stateOf(entry);
    return this.#journal.all
      .filter(isNews)
      .sort((a, b) => Number(isOpen(a)) - Number(isOpen(b)) || a.arrival - b.arrival)
      .slice(0, MAX_COMMANDS)
      .map(reportOf);
  }

  /** The backend has this report. On StorageError it is reported again. */
  async acknowledge({ id, state }: CommandReport): Promise<void> {
    this.#heard.set(id, state);
    const entry = this.#journal.get(id);
    // The command may have changed its state while the answer was under way.
    if (entry?.state.kind !== 'ended' || stateOf(entry) !== state) return;
    await this.#journal.put({ ...entry, state: { ...entry.state, acknowledged: true } });
    this.#heard.delete(id);
  }

  /** A repeated order is the same command, whatever its state is now. Throws StorageError. */
  async receive(order: CommandOrder): Promise<void> {
    const { logger } = this.#options;
    if (this.#journal.get(order.id) !== undefined) return;
    if (this.open.length >= this.#limits.open || !this.#makeRoom()) {
      logger.warn({ command: order.id }, 'no room for another command: it stays with the backend');
      return;
    }
    const state = { kind: 'received', again: false } as const;
    const entry: CommandEntry = { order, arrival: this.#arrivals++, at: this.#at, state };
    if (sizeOf(order) > MAX_ORDER_BYTES) {
      const reason = `the order is longer than ${MAX_ORDER_BYTES} bytes`;
      const bare = { ...entry, order: { ...order, arguments: {} } };
      return this.end(bare, { state: 'failed', code: 'BAD_ARGUMENT', reason, runs: 0 });
    }
    await this.#journal.put(entry);
    this.#tell(entry, { state: 'delivered' });
  }

  /** A command that has begun completes; any other is cancelled from now on. */
  cancel(id: string): void {
    if (this.#journal.get(id)?.state.kind === 'received') this.#cancelled.add(id);
  }

  /** From here on the command may have been executed. Durable when it resolves. Throws StorageError. */
  async begin(entry: CommandEntry, mark: string | null): Promise<void> {
    await this.#journal.put({ ...entry, at: this.#at, state: { kind: 'begun', mark } });
    this.#tell(entry, { state: 'executing' });
  }

  /** The command was certainly not executed. Throws StorageError. */
  async again(entry: CommandEntry): Promise<void> {
    await this.#journal.put({ ...entry, at: this.#at, state: { kind: 'received', again: true } });
  }

  /** Durable before it is reported. Throws StorageError. */
  async end(entry: CommandEntry, ending: CommandEnding): Promise<void> {
    await this.#journal.put(endedEntry(entry, ending, this.#options.clock.wallMs()));
    this.#cancelled.delete(entry.order.id);
    const { state, code, reason } = ending;
    this.#tell(entry, {
      state,
      ...defined({ code, reason }),
    });
  }

  compact(): Promise<void> {
    return this.#journal.compact();
  }

  close(): Promise<void> {
    return this.#journal.close();
  }

  /**
   * Ended commands are forgotten a day after their expiry, or sooner when many arrive, but never before their
   * expiry and never before the backend has their report. An expired order does not run, known or not, so no
   * command runs twice.
   */
  #makeRoom(): boolean {
    const nowMs = this.#options.time.nowMs() ?? Number.NEGATIVE_INFINITY;
    const past = this.#journal.all
      .filter(({ state }) => state.kind === 'ended' && state.acknowledged)
      .map(({ order }) => ({ id: order.id, expiryMs: Date.parse(order.expiresAt) }))
      .filter(({ expiryMs }) => expiryMs < nowMs)
      .sort((a, b) => a.expiryMs - b.expiryMs);
    for (const { id, expiryMs } of past) {
      const isOld = expiryMs + REMEMBER_MS < nowMs;
      if (!isOld && this.#journal.size < this.#limits.kept) break;
      this.#journal.forget(id);
    }
    return this.#journal.size < this.#limits.kept;
  }

  get #limits(): CommandLimits {
    return this.#options.commandLimits ?? COMMAND_LIMITS;
  }

  get #at(): string {
    return new Date(this.#options.clock.wallMs()).toISOString();
  }

  #tell(
    { order }: CommandEntry,
    what: { readonly state: CommandState; readonly code?: string; readonly reason?: string },
  ): void {
    const { id, ecu, action } = order;
    this.#options.emit({ kind: 'command', id, ecu, action, ...what });
    this.#options.onChange();
  }
}
