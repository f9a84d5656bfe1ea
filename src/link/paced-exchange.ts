// Exchanges of the chunked download with retries; a pause that the backend asks for does not count as a failed try.

import type { BackendFailure } from '../core/backend-failure.ts';
import { sleep } from '../core/clock.ts';
import { defined } from '../core/optional.ts';
import type { Random } from '../core/random.ts';
import { type ChunkExchange, exchangeChunks } from './chunk-exchange.ts';
import { LONGEST_WAIT_MS, type RetryOptions, retrying } from './retry.ts';

/** Longest total pause that the backend may ask for before one answer. */
const PATIENCE_MS = 3 * 60_000;

export interface PacedExchange extends ChunkExchange {
  readonly random: Random;
  readonly onRetry?: RetryOptions['onRetry'];
}

/** `exchangeChunks` with retries, at the pace of the backend. `interrupted` when the signal aborted it. */
export function exchangeInPace(
  options: PacedExchange,
): Promise<{ readonly kind: 'answered' } | BackendFailure | { readonly kind: 'interrupted' }> {
  const { clock, random, signal, onRetry } = options;
  const retry = { clock, random, signal, ...defined({ onRetry }) };
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
