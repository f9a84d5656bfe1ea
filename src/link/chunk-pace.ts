// The pace of a chunked download: as fast as the backend says.

import type { TransferPace } from '../contract/chunked/protocol.ts';
import { type Clock, sleep } from '../core/clock.ts';

/** Below what the backend allows: its clock and ours see the requests at different times. */
const SHARE = 0.95;

/** Spends what one download may have. */
export class ChunkPace {
  readonly #clock: Clock;
  readonly #pace: TransferPace | undefined;
  #bytes: number;
  #atMs: number;

  /** Without `pace` nothing is waited for. */
  constructor(clock: Clock, pace: TransferPace | undefined) {
    this.#clock = clock;
    this.#pace = pace;
    this.#bytes = (pace?.burstBytes ?? 0) * SHARE;
    this.#atMs = clock.nowMs();
  }

  /** Waits until `bytes` may be asked for, or until the signal comes. */
  async spend(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.#pace === undefined) return;
    const { burstBytes, bytesPerSecond } = this.#pace;
    const nowMs = this.#clock.nowMs();
    const perMs = (bytesPerSecond * SHARE) / 1000;
    this.#bytes = Math.min(burstBytes * SHARE, this.#bytes + (nowMs - this.#atMs) * perMs);
    this.#atMs = nowMs;
    // The debt is waited for here, and is paid back by the time that passes.
    this.#bytes -= bytes;
    if (this.#bytes < 0) await sleep(this.#clock, 'chunk-pace', -this.#bytes / perMs, signal);
  }
}
