// The least pace of what comes over the network: a server that stops, and one that drips (slow retrieval attack).

import type { Clock } from '../core/clock.ts';
import { present } from '../core/present.ts';

export interface PaceLimits {
  /** A window of this length without `leastBytes` ends the attempt. */
  readonly stallMs: number;
  /** Fewer bytes in a window are as good as none: a drip must not hold a cycle for days. */
  readonly leastBytes: number;
}

/** Takes chunks as they come, and gives up when a whole window brought too little. */
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
    chunk.catch(() => {}); // when the verdict comes first, nobody waits for it any more
    const first = await Promise.race([chunk, late]);
    this.#wake = undefined;
    if (first === undefined) return present(this.#verdict, 'the verdict on the pace');
    if (first.done) return undefined;
    this.#inWindow += first.value.length;
    return first.value;
  }

  close(): void {
    this.#timer.cancel();
    // Not awaited: a stream that is stuck would keep us here; the attempt's signal ends it.
    void this.#chunks.return?.()?.catch(() => {});
  }
}
