// Whether the vehicle moves: the gateway sends the speed in a cyclic frame, and the other ECUs receive it.

import { type CanBus, exactFilter, type Subscription } from '../src/bus/can-bus.ts';
import type { Clock } from '../src/core/clock.ts';
import type { TrafficFrame } from './profile.ts';

/** Identifier of the frame with the vehicle's speed: 2 bytes in 0.01 km/h, FFFF while it is not known. */
const SPEED_ID = 0x051;
const PERIOD_MS = 100;
const UNKNOWN = 0xffff;
const SCALE = 0.01;
/**
 * Age after which a speed is ignored. While normal communication is off (28), or without a gateway, the vehicle counts
 * as standing, because a workshop must be able to restart an ECU on its bench.
 */
const STALE_MS = 1000;

export interface Motion {
  isMoving(): boolean;
  close(): void;
}

/** The gateway's frame; `speedKmh` is called for each frame, undefined when the speed is not available. */
export function speedFrame(speedKmh: () => number | undefined): TrafficFrame {
  return {
    id: SPEED_ID,
    periodMs: PERIOD_MS,
    data: (_upMs, count) => {
      const speed = speedKmh();
      const raw = speed === undefined ? UNKNOWN : Math.round(Math.abs(speed) / SCALE);
      const told = Math.min(raw, UNKNOWN);
      return Uint8Array.of(told >> 8, told & 0xff, 0, 0, 0, 0, 0, count & 0x0f);
    },
  };
}

/** Motion for an ECU that receives the speed from the bus. */
export class MotionWatch implements Motion {
  readonly #clock: Clock;
  readonly #subscription: Subscription;
  #movingAtMs = Number.NEGATIVE_INFINITY;

  constructor(bus: CanBus, clock: Clock) {
    this.#clock = clock;
    this.#subscription = bus.subscribe([exactFilter(SPEED_ID, false)], ({ frame }) => {
      const raw = (frame.data[0] ?? 0) * 256 + (frame.data[1] ?? 0);
      this.#movingAtMs = raw > 0 && raw < UNKNOWN ? this.#clock.nowMs() : Number.NEGATIVE_INFINITY;
    });
  }

  isMoving(): boolean {
    return this.#clock.nowMs() - this.#movingAtMs < STALE_MS;
  }

  close(): void {
    this.#subscription.close();
  }
}
