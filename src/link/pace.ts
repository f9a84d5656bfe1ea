// Limits how slow a download may be: ends it when a server stops, or sends too little (slow retrieval attack).

import type { Clock } from '../core/clock.ts';
import { present } from '../core/present.ts';

export interface PaceLimits {
  /** Length of a window; a window with fewer than `leastBytes` ends the attempt. */
  readonly stallMs: number;
  /** Least bytes in a window, so that a slow server cannot hold a cycle for days. */
  readonly leastBytes: number;
}

/** Passes on chunks, and stops when a whole window brought too few bytes. */
export class PaceWatch {
  readonly #clock: Clock;
  readonly #limits: PaceLimits;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #inWindow = 0;
  #verdict: 'stalled' | 'slow' | undefined;
  #wake: (() => void) | undefined;
  #timer: { cancel(): void };

  constructor(clock: Clock, limits: PaceLimits, chunks: AsyncIterable<Uint8Array>) {
    this.#clock = clock;
    this.#limits = limits;
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#timer = this.#arm();
  }

  #arm(): { cancel(): void } {
    return this.#clock.after('download-window', this.#limits.stallMs, () => {
      if (this.#inWindow < this.#limits.leastBytes) {
        this.#verdict = this.#inWindow === 0 ? 'stalled' : 'slow';
        this.#wake?.();
        return;
      }
      this.#inWindow = 0;
      this.#timer = this.#arm();
    });
  }

  async next(): Promise<Uint8Array | 'stalled' | 'slow' | undefined> {
    if (this.#verdict !== undefined) return this.#verdict;
    const late = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    const chunk = this.#chunks.next();
    chunk.catch(() => {}); // when the verdict comes first, no code waits for the chunk
    const first = await Promise.race([chunk, late]);
    this.#wake = undefined;
    if (first === undefined) return present(this.#verdict, 'the verdict on the pace');
    if (first.done) return undefined;
    this.#inWindow += first.value.length;
    return first.value;
  }

  close(): void {
    this.#timer.cancel();
    // Not awaited, because a stuck stream would never return; the signal of the attempt ends it.
    void this.#chunks.return?.()?.catch(() => {});
  }
}
