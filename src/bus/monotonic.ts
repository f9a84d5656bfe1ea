// CLOCK_MONOTONIC in milliseconds: the same clock in all processes and threads of a machine.

import type { Clock } from '../core/clock.ts';

/** Milliseconds with fractions; the zero point means nothing, but all processes have the same. */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

/** What to add to a time of `monotonicMs` to get the same instant on `clock`. */
export function monotonicOffsetMs(clock: Clock): number {
  return clock.nowMs() - monotonicMs();
}
