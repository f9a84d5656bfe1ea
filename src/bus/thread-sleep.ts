// Sleeps below a millisecond for a thread that paces a wire: setTimeout has whole milliseconds only.

import { readKernelLink, writeKernelFile } from '../core/kernel-files.ts';

/** How late a sleep may end. Measured: 90 us with the kernel's default timer slack of 50 us, 35 us without. */
const OVERSHOOT_MS = 0.1;
const PRECISE_OVERSHOOT_MS = 0.045;

/** Sleeps that block the calling thread. */
export class ThreadSleep {
  readonly #cell = new Int32Array(new SharedArrayBuffer(4));
  /** How much longer than asked a sleep may take; the caller polls for the rest of a wait. */
  readonly overshootMs: number;

  /** With `precise` the kernel is asked to wake this thread without slack. */
  constructor(precise: boolean) {
    const thread = precise ? readKernelLink('/proc/thread-self')?.split('/').pop() : undefined;
    const granted =
      thread !== undefined && writeKernelFile(`/proc/${thread}/timerslack_ns`, '1000');
    this.overshootMs = granted ? PRECISE_OVERSHOOT_MS : OVERSHOOT_MS;
  }

  /** Sleeps at most `maxMs`, and usually not longer than `leftMs`. Does not sleep when `leftMs` is too short for it. */
  sleepTowards(leftMs: number, maxMs: number): void {
    const sleepMs = Math.min(maxMs, leftMs - this.overshootMs);
    if (sleepMs > 0) Atomics.wait(this.#cell, 0, 0, sleepMs);
  }
}
