// Runs the commands of this vehicle: one at a time on each ECU, in their order, each exactly once.

import type { CommandReport } from '../../contract/command.ts';
import type { Configuration } from '../../contract/configuration.ts';
import type { EcuServices } from '../../contract/ecu-services.ts';
import type { SyncAnswer } from '../../contract/sync.ts';
import { type Clock, sleep } from '../../core/clock.ts';
import { describeError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { BackendTime } from './backend-time.ts';
import { type Attempted, attempt, CANCELLED, expired, inDoubt, settle } from './command-attempt.ts';
import { byTurn, type CommandEnding, type CommandEntry } from './command-entry.ts';
import type { VehicleCommandStore } from './command-store.ts';
import type { EcuGate } from './ecu-gate.ts';

export interface CommandQueueOptions {
  readonly commands: VehicleCommandStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly ecus: EcuServices;
  readonly gate: EcuGate;
  readonly time: BackendTime;
  readonly limits: () => Configuration['limits'];
}

/** Tries of a command that the ECU certainly did not execute. */
const MAX_TRIES = 3;
const RETRY_MS = 5000;
/** How often an ECU that does not say whether a command ran is asked: about five minutes in all. */
const MAX_QUESTIONS = 10;
const QUESTION_MS = 2000;
const LONGEST_QUESTION_MS = 60_000;
/** Pause after a StorageError: a full disk may have room again. */
const DISK_RETRY_MS = 5000;

/** State of a command that only this process knows. */
interface Progress {
  tries: number;
  questions: number;
  /** How it ended, kept here while the journal cannot be written. */
  ending: CommandEnding | undefined;
}

export class CommandQueue {
  readonly #options: CommandQueueOptions;
  readonly #commands: VehicleCommandStore;
  /** By ECU: the loop that works on its commands. */
  readonly #workers = new Map<string, Promise<void>>();
  /** By ECU: releases the gate. Kept while a command has begun and its end is unknown. */
  readonly #kept = new Map<string, () => void>();
  /** By id: commands that are being tried or were tried. */
  readonly #progress = new Map<string, Progress>();
  /** Commands that are being tried at this moment; nothing else may end them. */
  readonly #inWork = new Set<string>();
  #signal: AbortSignal = AbortSignal.abort();

  /** Commands that began before a restart occupy their ECU until their end is known. */
  constructor(options: CommandQueueOptions) {
    this.#options = options;
    this.#commands = options.commands;
    for (const { order, state } of this.#commands.open) {
      if (state.kind !== 'begun' || this.#kept.has(order.ecu)) continue;
      this.#kept.set(order.ecu, options.gate.resume(order.ecu));
    }
  }

  /** Works until the signal; resolves when none of its work is running any more. */
  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    this.#pump();
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    while (this.#workers.size > 0) await Promise.all([...this.#workers.values()]);
  }

  /** Resolves when nothing is left that can be done now, or after `limitMs`. */
  async drained(limitMs: number, signal: AbortSignal): Promise<void> {
    const end = new AbortController();
    const stop = (): void => end.abort();
    signal.addEventListener('abort', stop, { once: true });
    const work = (): Promise<void>[] =>
      [...this.#workers]
        .filter(([ecu]) => !this.#options.gate.isClaimed(ecu))
        .map(([, worker]) => worker);
    const rest = async (): Promise<void> => {
      while (work().length > 0 && !end.signal.aborted) await Promise.all(work());
    };
    await Promise.race([
      rest(),
      sleep(this.#options.clock, 'commands-drained', limitMs, end.signal),
    ]);
    end.abort();
    signal.removeEventListener('abort', stop);
  }

  /**
   * Handles the backend's answer to a contact that reported `told`. Throws StorageError: what was not stored is
   * not acknowledged, and the next contact brings it again.
   */
  async take(answer: SyncAnswer['commands'], told: readonly CommandReport[]): Promise<void> {
    const heard = new Set(answer.acknowledged);
    for (const report of told) if (heard.has(report.id)) await this.#commands.acknowledge(report);
    for (const order of answer.orders) await this.#commands.receive(order);
    for (const id of answer.cancel) this.#commands.cancel(id);
    await this.#endWhatMayNotBegin();
    await this.#commands.compact();
    this.#pump();
  }

  /** Ends cancelled and expired commands, also while their ECU is busy. */
  async #endWhatMayNotBegin(): Promise<void> {
    const nowMs = this.#options.time.nowMs() ?? Number.NEGATIVE_INFINITY;
    for (const entry of this.#commands.open) {
      const { id, expiresAt } = entry.order;
      if (entry.state.kind !== 'received' || this.#inWork.has(id)) continue;
      if (this.#commands.isCancelled(id)) await this.#end(entry, CANCELLED);
      else if (nowMs >= Date.parse(expiresAt)) await this.#end(entry, expired(entry));
    }
  }

  #pump(): void {
    if (this.#signal.aborted) return;
    for (const { order } of this.#commands.open) {
      const { ecu } = order;
      if (this.#workers.has(ecu) || this.#next(ecu) === undefined) continue;
      const work = this.#work(ecu, this.#signal).finally(() => {
        this.#workers.delete(ecu);
        // A command may have arrived just as the loop ended.
        this.#pump();
      });
      this.#workers.set(ecu, work);
    }
  }

  /** Nothing begins before the backend has told the time. */
  #next(ecu: string): CommandEntry | undefined {
    const mayBegin = this.#options.time.nowMs() !== undefined;
    return this.#commands.open
      .filter(({ order, state }) => order.ecu === ecu && (mayBegin || state.kind === 'begun'))
      .sort(byTurn)[0];
  }

  /** Runs the commands of one ECU, one after the other, until none is left. Never rejects. */
  async #work(ecu: string, signal: AbortSignal): Promise<void> {
    const { gate, clock, logger } = this.#options;
    while (!signal.aborted) {
      const leave = this.#kept.get(ecu) ?? (await gate.enter(ecu, signal));
      const entry = this.#next(ecu);
      let pauseMs = 0;
      if (leave !== undefined && entry !== undefined) {
        this.#kept.set(ecu, leave);
        try {
          pauseMs = await this.#step(entry, signal);
        } catch (error) {
          const text = describeError(error);
          logger.error({ command: entry.order.id, error: text }, 'a command cannot continue now');
          pauseMs = DISK_RETRY_MS;
        }
      }
      // While the end of a command is unknown, nothing else may change the state that the ECU is asked about.
      if (this.#next(ecu)?.state.kind !== 'begun') {
        this.#kept.delete(ecu);
        leave?.();
      }
      if (entry === undefined) return;
      if (pauseMs > 0) await sleep(clock, 'command-retry', pauseMs, signal);
    }
  }

  /** Returns the milliseconds until the next step of this ECU. Throws StorageError. */
  async #step(entry: CommandEntry, signal: AbortSignal): Promise<number> {
    const { id } = entry.order;
    this.#inWork.add(id);
    try {
      const attempted = await this.#try(entry, signal);
      // `begin` has stored a newer entry meanwhile.
      return await this.#follow(this.#commands.get(id) ?? entry, attempted);
    } finally {
      this.#inWork.delete(id);
    }
  }

  async #try(entry: CommandEntry, signal: AbortSignal): Promise<Attempted> {
    const { state, order } = entry;
    const { ending, questions } = this.#progressOf(order.id);
    if (ending !== undefined) return { kind: 'ended', ending };
    if (state.kind === 'begun') {
      // The ECU may be about to execute it; an answer at this moment would be too early.
      if (questions === 0) return { kind: 'doubt', reason: `${order.action} was interrupted` };
      return settle(entry, state.mark, this.#options, signal);
    }
    const begin = (begun: CommandEntry, mark: string | null): Promise<void> =>
      this.#commands.begin(begun, mark);
    const isCancelled = (id: string): boolean => this.#commands.isCancelled(id);
    return attempt(entry, { ...this.#options, begin, isCancelled }, signal);
  }

  async #follow(entry: CommandEntry, attempted: Attempted): Promise<number> {
    const { id } = entry.order;
    const progress = this.#progressOf(id);
    switch (attempted.kind) {
      case 'interrupted':
        return 0;
      case 'ended':
        await this.#end(entry, attempted.ending);
        return 0;
      case 'again': {
        const { code, reason, begun } = attempted;
        progress.tries++;
        progress.questions = 0;
        const { tries } = progress;
        this.#options.logger.info({ command: id, code, reason, tries }, 'a command was not begun');
        if (tries < MAX_TRIES) {
          if (begun) await this.#commands.again(entry);
          return RETRY_MS * tries;
        }
        const failed = { state: 'failed', code: 'SILENT', runs: 0 } as const;
        await this.#end(entry, { ...failed, reason: `${reason} (${tries} tries)` });
        return 0;
      }
      case 'doubt': {
        progress.questions++;
        const { questions } = progress;
        if (questions <= MAX_QUESTIONS) {
          return Math.min(LONGEST_QUESTION_MS, QUESTION_MS * 2 ** (questions - 1));
        }
        const reason = `${attempted.reason}: it may have run once, and is not run again`;
        await this.#end(entry, inDoubt(reason));
        return 0;
      }
    }
  }

  #progressOf(id: string): Progress {
    let progress = this.#progress.get(id);
    if (progress === undefined) {
      progress = { tries: 0, questions: 0, ending: undefined };
      this.#progress.set(id, progress);
    }
    return progress;
  }

  /** A known end of a command stays known, also while the disk is full. */
  async #end(entry: CommandEntry, ending: CommandEnding): Promise<void> {
    const { id } = entry.order;
    this.#progressOf(id).ending = ending;
    await this.#commands.end(entry, ending);
    this.#progress.delete(id);
  }
}
