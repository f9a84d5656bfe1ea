// Cyclic frames of normal communication, while the ECU runs and no tester has switched them off (28).

import type { CanBus } from '../src/bus/can-bus.ts';
import { classicFrame } from '../src/bus/can-frame.ts';
import type { Clock, Timer } from '../src/core/clock.ts';

/** A frame and its present data; `upMs`: time since the traffic began, `count`: frames sent so far. */
export interface CyclicFrame {
  readonly id: number;
  readonly periodMs: number;
  data(upMs: number, count: number): Uint8Array;
}

export class NormalTraffic {
  readonly #bus: CanBus;
  readonly #clock: Clock;
  readonly #frames: readonly CyclicFrame[];
  readonly #sinceMs: number;
  /** The timer of the next transmission of each frame. */
  readonly #timers = new Map<CyclicFrame, Timer>();
  readonly #counts = new Map<CyclicFrame, number>();
  #enabled = false;

  /** Creates the traffic, switched off. */
  constructor(bus: CanBus, clock: Clock, frames: readonly CyclicFrame[]) {
    this.#bus = bus;
    this.#clock = clock;
    this.#frames = frames;
    this.#sinceMs = clock.nowMs();
  }

  enable(on: boolean): void {
    if (on === this.#enabled) return;
    this.#enabled = on;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    if (!on) return;
    for (const frame of this.#frames) this.#timers.set(frame, this.#later(frame));
  }

  #later(frame: CyclicFrame): Timer {
    const { id, periodMs, data } = frame;
    return this.#clock.after('normal-traffic', periodMs, () => {
      if (!this.#enabled) return;
      this.#timers.set(frame, this.#later(frame));
      const count = this.#counts.get(frame) ?? 0;
      this.#counts.set(frame, count + 1);
      // A bus that is down loses cyclic frames, as in a vehicle; the next frame follows soon.
      this.#bus.send(classicFrame(id, data(this.#clock.nowMs() - this.#sinceMs, count)));
    });
  }
}
