// The backend's time, against which the expiry of commands is checked instead of the vehicle's own clock.

import type { Clock } from '../../core/clock.ts';

export class BackendTime {
  readonly #clock: Clock;
  #heard: { readonly backendMs: number; readonly atMs: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Takes the `now` (ISO 8601) of an answer. It counts from the moment when the request was sent, so the result is
   * never behind the backend's time: a slow answer does not let a command begin after its expiry.
   */
  heard(now: string, sentMs: number): void {
    this.#heard = { backendMs: Date.parse(now), atMs: sentMs };
  }

  /** Milliseconds since 1970; undefined before the first answer in this process. */
  nowMs(): number | undefined {
    if (this.#heard === undefined) return undefined;
    return this.#heard.backendMs + this.#clock.nowMs() - this.#heard.atMs;
  }
}
