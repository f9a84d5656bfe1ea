// Periodic reading must not keep a session open that somebody else has left: from time to time the ECU gets a rest of S3.

import type { Clock } from '../core/clock.ts';
import { Session } from '../uds/sid.ts';
import { S3_OVER_MS, S3_SERVER_MS } from './bus-silence.ts';
import type { Exchange } from './exchange.ts';

export interface SessionRestOptions {
  readonly exchange: Pick<Exchange, 'activeSession'>;
  readonly clock: Clock;
  /** A session of this tester is open at the ECU on purpose. */
  readonly isOurs: () => boolean;
}

/** Rests of an ECU that does not tell its session. */
const BLIND_REST_EVERY_MS = 60_000;

/**
 * Every request restarts S3 of the server (ISO 14229-2), also one that reads in the default session. A tester that was
 * cut off in the extended session with normal communication off is followed by S3, unless another one goes on reading.
 */
export class SessionRest {
  readonly #options: SessionRestOptions;
  #lastMs = Number.NEGATIVE_INFINITY;
  /** Since then the requests came so close that none of them let S3 run out. */
  #sinceMs = 0;
  #restUntilMs = Number.NEGATIVE_INFINITY;
  #restedMs = Number.NEGATIVE_INFINITY;
  /** The session was not the default one when the last rest began. */
  #foreign = false;

  constructor(options: SessionRestOptions) {
    this.#options = options;
  }

  /** False: the ECU must hear nothing now. */
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
    // The session outlived a rest: another tester holds it, and one reading between two rests does no harm.
    return this.#foreign && rested;
  }
}
