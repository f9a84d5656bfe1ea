// Pauses periodic reading for S3 from time to time, so that it cannot keep a session of another tester open.

import type { Clock } from '../core/clock.ts';
import { Session } from '../uds/sid.ts';
import { S3_OVER_MS, S3_SERVER_MS } from './bus-silence.ts';
import type { Exchange } from './exchange.ts';

export interface SessionRestOptions {
  readonly exchange: Pick<Exchange, 'activeSession'>;
  readonly clock: Clock;
  /** Whether this tester has a session open at the ECU on purpose. */
  readonly isOurs: () => boolean;
}

/** Interval between pauses for an ECU that does not report its session. */
const BLIND_REST_EVERY_MS = 60_000;

/**
 * Every request restarts S3 of the server (ISO 14229-2), also a read. When a tester is cut off in the extended session
 * with normal communication off, S3 ends that session only if no other tester continues to read.
 */
export class SessionRest {
  readonly #options: SessionRestOptions;
  #lastMs = Number.NEGATIVE_INFINITY;
  /** Start of the period without a gap of S3 between requests. */
  #sinceMs = 0;
  #restUntilMs = Number.NEGATIVE_INFINITY;
  #restedMs = Number.NEGATIVE_INFINITY;
  /** Whether the session was not the default one when the last pause began. */
  #foreign = false;

  constructor(options: SessionRestOptions) {
    this.#options = options;
  }

  /** Whether a request may be sent now; false during a pause. */
  async mayAsk(): Promise<boolean> {
    const { clock, isOurs } = this.#options;
    const nowMs = clock.nowMs();
    if (nowMs < this.#restUntilMs) return false;
    const rested = nowMs - this.#lastMs >= S3_OVER_MS;
    this.#lastMs = nowMs;
    if (isOurs()) {
      this.#foreign = false;
      this.#sinceMs = nowMs;
      return true;
    }
    if (rested && !this.#foreign) {
      this.#restedMs = nowMs;
      this.#sinceMs = nowMs;
      return true;
    }
    if (!this.#foreign && nowMs - this.#sinceMs < S3_SERVER_MS) return true;
    return this.#look(nowMs, rested);
  }

  async #look(nowMs: number, rested: boolean): Promise<boolean> {
    const session = await this.#options.exchange.activeSession();
    this.#sinceMs = nowMs;
    if (session === Session.default) {
      this.#foreign = false;
      return true;
    }
    this.#foreign = session !== undefined;
    if (session === undefined && nowMs - this.#restedMs < BLIND_REST_EVERY_MS) return true;
    this.#restedMs = nowMs;
    this.#restUntilMs = this.#options.clock.nowMs() + S3_OVER_MS;
    // The session survived a pause, so another tester holds it. One read between two pauses does no harm.
    return this.#foreign && rested;
  }
}
