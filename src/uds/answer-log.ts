// Answers that a client discards: counted, with one log line at the first and summaries later, not a line for each.

import { toHex } from '../core/bytes.ts';
import type { Logger } from '../core/logger.ts';
import type { ClientEffect } from './client-state.ts';

type Discarded = Extract<ClientEffect, { kind: 'discarded' }>;

/** Least time between two summaries. */
const SUMMARY_MS = 60_000;

const HOW_TO_READ: Readonly<Record<Discarded['answer'], string>> = {
  foreign:
    'an answer to no request of ours is discarded: another tester talks to the same ECU; more of them are counted',
  late: "an answer to a request that was given up is discarded: where this happens often, raise the ECU's timing in the vehicle file; more of them are counted",
};

export class AnswerLog {
  readonly #logger: Logger;
  readonly #counts = { foreign: 0, late: 0 };
  /** The counts in the last log line. */
  readonly #told = { foreign: 0, late: 0 };
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  get foreign(): number {
    return this.#counts.foreign;
  }

  note({ answer, message, reason }: Discarded, nowMs: number): void {
    this.#counts[answer]++;
    if (this.#counts[answer] === 1) {
      this.#told[answer] = 1;
      if (this.#lastMs === Number.NEGATIVE_INFINITY) this.#lastMs = nowMs;
      this.#logger.warn({ message: toHex(message.subarray(0, 16)), reason }, HOW_TO_READ[answer]);
    } else if (nowMs - this.#lastMs >= SUMMARY_MS) {
      this.#lastMs = nowMs;
      this.#summary();
    }
  }

  /** Logs the answers that were counted since the last line. */
  close(): void {
    this.#summary();
  }

  #summary(): void {
    const { foreign, late } = this.#counts;
    if (foreign === this.#told.foreign && late === this.#told.late) return;
    Object.assign(this.#told, this.#counts);
    this.#logger.warn({ foreign, late }, 'answers that were discarded on this connection so far');
  }
}
