// The normal work of the device, simulated by a counter: one beat a second, paused during an update.

import type { Clock, Timer } from '../core/clock.ts';

const BEAT_MS = 1000;

export class NormalWork {
  readonly #clock: Clock;
  #beats: number;
  #timer: Timer | undefined;

  /** Starts paused. `beats`: count from earlier runs. */
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

  /** Resumes the work; true when it was paused. */
  resume(): boolean {
    if (this.running) return false;
    this.#arm();
    return true;
  }

  /** Pauses the work; true when it was running. */
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
