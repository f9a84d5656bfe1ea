// What the device is there for, as a counter: it beats once a second, and stands still while an update is under way.

import type { Clock, Timer } from '../core/clock.ts';

const BEAT_MS = 1000;

export class NormalWork {
  readonly #clock: Clock;
  #beats: number;
  #timer: Timer | undefined;

  /** Stopped. `beats`: what was done in earlier lives. */
  constructor(clock: Clock, beats: number) {
    this.#clock = clock;
    this.#beats = beats;
  }

  get beats(): number {
    return this.#beats;
  }

  get running(): boolean {
    return this.#timer !== undefined;
  }

  /** Goes on with it; whether it stood still. */
  resume(): boolean {
    if (this.running) return false;
    this.#arm();
    return true;
  }

  /** Whether it was running. */
  pause(): boolean {
    if (this.#timer === undefined) return false;
    this.#timer.cancel();
    this.#timer = undefined;
    return true;
  }

  #arm(): void {
    this.#timer = this.#clock.after('normal-work', BEAT_MS, () => {
      this.#beats++;
      this.#arm();
    });
  }
}
