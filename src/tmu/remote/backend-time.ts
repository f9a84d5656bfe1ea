// The backend's time: the expiry of commands is checked against it, not against the vehicle's own clock.

import type { Clock } from '../../core/clock.ts';

export class BackendTime {
  readonly #clock: Clock;
  #heard: { readonly backendMs: number; readonly atMs: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * An answer said `now` (ISO 8601). It counts from when the request went out, so that what is taken for the time is
   * never behind the backend's: nothing begins too late because an answer was slow.
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
