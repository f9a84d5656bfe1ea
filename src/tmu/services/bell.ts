// Wakes a loop before its time; what rings while nobody waits is heard by the next wait.

import type { Clock } from '../../core/clock.ts';

export class Bell {
  #hasRung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#hasRung = true;
    this.#wake?.();
  }

  /** What has rung so far is being seen to. */
  hush(): void {
    this.#hasRung = false;
  }

  /** Until it rings, `ms` have passed (undefined: however long), or the signal comes. One waiter at a time. */
  wait(clock: Clock, name: string, ms: number | undefined, signal: AbortSignal): Promise<void> {
    if (this.#hasRung || signal.aborted) {
      this.#hasRung = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const end = (): void => {
        timer?.cancel();
        signal.removeEventListener('abort', end);
        this.#wake = undefined;
        this.#hasRung = false;
        resolve();
      };
      const timer = ms === undefined ? undefined : clock.after(name, ms, end);
      signal.addEventListener('abort', end, { once: true });
      this.#wake = end;
    });
  }
}
