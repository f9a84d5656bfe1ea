// Wakes a loop before its time. A signal raised while nothing waits ends the next wait at once.

import type { Clock } from '../../core/clock.ts';

export class WakeSignal {
  #isRaised = false;
  #wake: (() => void) | undefined;

  raise(): void {
    this.#isRaised = true;
    this.#wake?.();
  }

  /** Marks what was raised so far as handled. */
  clear(): void {
    this.#isRaised = false;
  }

  /**
   * Ends when the signal is raised, after `ms` (undefined: no limit), or when `signal` aborts. Only one waiter at a time.
   */
  wait(clock: Clock, name: string, ms: number | undefined, signal: AbortSignal): Promise<void> {
    if (this.#isRaised || signal.aborted) {
      this.#isRaised = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const end = (): void => {
        timer?.cancel();
        signal.removeEventListener('abort', end);
        this.#wake = undefined;
        this.#isRaised = false;
        resolve();
      };
      const timer = ms === undefined ? undefined : clock.after(name, ms, end);
      signal.addEventListener('abort', end, { once: true });
      this.#wake = end;
    });
  }
}
