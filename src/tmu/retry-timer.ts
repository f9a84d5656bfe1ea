// Timer for work left over from a campaign (counters, the safe state): due at every start, then with growing pauses.

import { recoveryPauseMs } from '../campaign/retry-policy.ts';
import type { Clock } from '../core/clock.ts';

/** Due at once in a new process, then after 1 min, 2 min and so on, up to an hour. */
export class RetryTimer {
  readonly #clock: Clock;
  #tries = 0;
  #dueMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isDue(): boolean {
    return this.#clock.nowMs() >= this.#dueMs;
  }

  /** A try begins; the next one is due after a pause. */
  begin(): void {
    this.#dueMs = this.#clock.nowMs() + recoveryPauseMs(this.#tries++);
  }

  /** Nothing is left to do: the first try of the next work is due at once. */
  reset(): void {
    this.#tries = 0;
    this.#dueMs = Number.NEGATIVE_INFINITY;
  }
}
