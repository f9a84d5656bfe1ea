// Sleeps shorter than a millisecond for a thread that paces a wire: setTimeout knows whole milliseconds only.

import { readKernelLink, writeKernelFile } from '../core/kernel-files.ts';

/** Measured: a sleep ends 90 us late with the kernel's default timer slack of 50 us, 35 us without. */
const OVERSHOOT_MS = 0.1;
const PRECISE_OVERSHOOT_MS = 0.045;

/** Blocks the calling thread. */
export class ThreadSleep {
  readonly #cell = new Int32Array(new SharedArrayBuffer(4));
  /** What a sleep may take longer than asked for; the rest of a wait has to be polled away. */
  readonly overshootMs: number;

  /** With `precise` the kernel is asked to wake this very thread without slack. */
  constructor(precise: boolean) {
    const thread = precise ? readKernelLink('/proc/thread-self')?.split('/').pop() : undefined;
    const granted =
      thread !== undefined && writeKernelFile(`/proc/${thread}/timerslack_ns`, '1000');
    this.overshootMs = granted ? PRECISE_OVERSHOOT_MS : OVERSHOOT_MS;
  }

  /** Sleeps at most `maxMs`, and so that `leftMs` is not exceeded as a rule; not at all when it is too short. */
  sleepTowards(leftMs: number, maxMs: number): void {
    const sleepMs = Math.min(maxMs, leftMs - this.overshootMs);
    if (sleepMs > 0) Atomics.wait(this.#cell, 0, 0, sleepMs);
  }
}
