// The pace of a chunked download: as fast as the backend says, and a wait that it asks for is no failed try.

import type { BackendFailure } from '../campaign/ports.ts';
import { type Clock, sleep } from '../core/clock.ts';
import type { Random } from '../core/random.ts';
import type { TransferPace } from '../services/chunked/protocol.ts';
import { type ChunkExchange, exchangeChunks } from './chunk-exchange.ts';
import { LONGEST_WAIT_MS, type RetryOptions, retrying } from './retry.ts';

/** Below what the backend allows: its clock and ours see the requests at different times. */
const SHARE = 0.95;
/** How long in all the backend may ask to wait for one answer. */
const PATIENCE_MS = 3 * 60_000;

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

export interface PacedExchange extends Omit<ChunkExchange, 'pace' | 'signal'> {
  readonly pace: ChunkPace;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly onRetry?: RetryOptions['onRetry'];
}

/** `exchangeChunks` with retries, at the pace that the backend tells. `interrupted` when the signal came. */
export function exchangeInPace(
  options: PacedExchange,
): Promise<{ readonly kind: 'answered' } | BackendFailure | { readonly kind: 'interrupted' }> {
  const { clock, random, signal, onRetry } = options;
  const retry = { clock, random, signal, ...(onRetry === undefined ? {} : { onRetry }) };
  return retrying(async (inner) => {
    for (let waitedMs = 0; ; ) {
      const outcome = await exchangeChunks({ ...options, signal: inner });
      const waitMs = askedToWait(outcome);
      if (waitMs === undefined || waitMs > LONGEST_WAIT_MS || inner.aborted) return outcome;
      waitedMs += waitMs;
      if (waitedMs > PATIENCE_MS) return outcome;
      await sleep(clock, 'chunk-pace', waitMs, inner);
    }
  }, retry);
}

function askedToWait(outcome: { readonly kind: 'answered' } | BackendFailure): number | undefined {
  if (outcome.kind === 'answered' || outcome.code !== 'HTTP_429') return undefined;
  return outcome.retryAfterMs;
}
