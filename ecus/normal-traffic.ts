// Cyclic frames of normal communication, as long as the ECU runs and nobody has switched them off (28).

import type { CanBus } from '../src/bus/can-bus.ts';
import { classicFrame } from '../src/bus/can-frame.ts';
import type { Clock, Timer } from '../src/core/clock.ts';

/** A frame and what is in it at the moment; `upMs` since the traffic began, `count` of frames sent so far. */
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
  #timers: (Timer | undefined)[] = [];
  #counts: number[];
  #enabled = false;

  /** Starts switched off. */
  constructor(bus: CanBus, clock: Clock, frames: readonly CyclicFrame[]) {
    this.#bus = bus;
    this.#clock = clock;
    this.#frames = frames;
    this.#sinceMs = clock.nowMs();
    this.#counts = frames.map(() => 0);
  }

  enable(on: boolean): void {
    if (on === this.#enabled) return;
    this.#enabled = on;
    for (const timer of this.#timers) timer?.cancel();
    this.#timers = on ? this.#frames.map((_frame, index) => this.#later(index)) : [];
  }

  #later(index: number): Timer {
    return this.#clock.after('normal-traffic', this.#frames[index]!.periodMs, () => {
      if (!this.#enabled) return;
      this.#timers[index] = this.#later(index);
      const { id, data } = this.#frames[index]!;
      const count = this.#counts[index]!;
      this.#counts[index] = count + 1;
      // A bus that is down loses cyclic frames, as in a vehicle; the next one comes in a moment.
      this.#bus.send(classicFrame(id, data(this.#clock.nowMs() - this.#sinceMs, count)));
    });
  }
}
