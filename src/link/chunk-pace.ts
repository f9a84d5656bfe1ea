// Paces a chunked download by the budget that the backend allows.

import type { TransferPace } from '../contract/chunked/protocol.ts';
import { type Clock, sleep } from '../core/clock.ts';

/** Share of the allowed budget that is used; less than 1 because the two clocks see requests at different times. */
const SHARE = 0.95;

/** The budget of one download. */
export class ChunkPace {
  readonly #clock: Clock;
  readonly #pace: TransferPace | undefined;
  #bytes: number;
  #atMs: number;

  /** Without `pace` it never waits. */
  constructor(clock: Clock, pace: TransferPace | undefined) {
    this.#clock = clock;
    this.#pace = pace;
    this.#bytes = (pace?.burstBytes ?? 0) * SHARE;
    this.#atMs = clock.nowMs();
  }

  /** Waits until `bytes` may be requested, or until the signal aborts. */
  async spend(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.#pace === undefined) return;
    const { burstBytes, bytesPerSecond } = this.#pace;
    const nowMs = this.#clock.nowMs();
    const perMs = (bytesPerSecond * SHARE) / 1000;
    this.#bytes = Math.min(burstBytes * SHARE, this.#bytes + (nowMs - this.#atMs) * perMs);
    this.#atMs = nowMs;
    // A negative budget is waited for here; the time that passes fills it again.
    this.#bytes -= bytes;
    if (this.#bytes < 0) await sleep(this.#clock, 'chunk-pace', -this.#bytes / perMs, signal);
  }
}
