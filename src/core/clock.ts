// Time as a capability: engines receive `nowMs`, shells receive a Clock, only this file asks the machine.

import { uptime } from 'node:os';
import { performance } from 'node:perf_hooks';

/** A timer that has been started. `cancel` after it fired does nothing. */
export interface Timer {
  cancel(): void;
}

/** Where a shell gets its time from. The real one is `systemClock`; `src/sim` has the virtual one. */
export interface Clock {
  /** Monotonic milliseconds with fractions; the zero point means nothing. */
  nowMs(): number;
  /** Milliseconds since 1970-01-01T00:00:00Z, for what people and servers read. */
  wallMs(): number;
  /**
   * Calls `fire` once, not before `delayMs` from now. `name` is the standard's name of the timer
   * (`N_Bs`, `P2*`) or ours in kebab-case: traces and the simulation show it.
   * Fractions of a millisecond are kept: STmin asks for 100 microseconds.
   */
  after(name: string, delayMs: number, fire: () => void): Timer;
}

/** The remainder below which the system clock polls instead of sleeping: `setTimeout` has whole milliseconds. */
const POLL_BELOW_MS = 1;

class SystemTimer implements Timer {
  readonly #dueMs: number;
  readonly #fire: () => void;
  #timeout: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  constructor(delayMs: number, fire: () => void) {
    this.#dueMs = performance.now() + delayMs;
    this.#fire = fire;
    this.#arm(delayMs);
  }

  #arm(leftMs: number): void {
    // A whole number of milliseconds can be slept; setTimeout never fires more than a rounding error early.
    const sleepMs = Math.floor(leftMs);
    if (sleepMs >= POLL_BELOW_MS) {
      // Node caps a delay at 2^31-1 ms and would otherwise fire at once.
      this.#timeout = setTimeout(this.#wake, Math.min(sleepMs, 0x7fffffff));
    } else {
      this.#immediate = setImmediate(this.#wake);
    }
  }

  readonly #wake = (): void => {
    this.#timeout = undefined;
    this.#immediate = undefined;
    const leftMs = this.#dueMs - performance.now();
    if (leftMs > 0) this.#arm(leftMs);
    else this.#fire();
  };

  cancel(): void {
    clearTimeout(this.#timeout);
    clearImmediate(this.#immediate);
  }
}

/** The machine's own clock. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (_name, delayMs, fire) => new SystemTimer(Math.max(0, delayMs), fire),
};

/** Milliseconds since this machine started. */
export function systemUptimeMs(): number {
  return uptime() * 1000;
}

/** Why a wait ended. */
export type SleepEnd = 'elapsed' | 'aborted';

/** Waits on `clock`; an aborted signal ends the wait early and is a value, not an exception. */
export function sleep(
  clock: Clock,
  name: string,
  delayMs: number,
  signal?: AbortSignal,
): Promise<SleepEnd> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve('aborted');
    const onAbort = (): void => {
      timer.cancel();
      resolve('aborted');
    };
    const timer = clock.after(name, delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve('elapsed');
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
