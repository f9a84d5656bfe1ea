// Repeats what a network can spoil: at most three times, with growing and jittered pauses, on the clock that is handed in.

import pRetry from 'p-retry';
import type { BackendFailure } from '../core/backend-failure.ts';
import { type Clock, sleep } from '../core/clock.ts';
import { jitter, type Random } from '../core/random.ts';

export interface RetryOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly onRetry?: (retry: {
    readonly retry: number;
    readonly of: number;
    readonly delayMs: number;
    readonly reason: string;
  }) => void;
}

export const RETRIES = 3;
const FIRST_DELAY_MS = 1000;
const JITTER = 0.3;
/** A server that asks for more patience than this gets it: from the next poll, not from a sleeping cycle. */
export const LONGEST_WAIT_MS = 60_000;

/** Carries a failure through p-retry, which knows only errors. */
class Failed extends Error {
  readonly failure: BackendFailure;

  constructor(failure: BackendFailure) {
    super(failure.reason);
    this.failure = failure;
  }
}

/**
 * Calls `attempt` until it gives something else than a transient failure, at most 1 + RETRIES times. Retry-After of
 * the server is honoured. `interrupted` when the signal came.
 */
export async function retrying<T extends { readonly kind: string }>(
  attempt: (signal: AbortSignal) => Promise<T | BackendFailure>,
  options: RetryOptions,
): Promise<T | BackendFailure | { readonly kind: 'interrupted' }> {
  const { clock, random, signal } = options;
  const call = async (): Promise<T> => {
    const outcome = await attempt(signal);
    if (isFailure(outcome)) throw new Failed(outcome);
    return outcome;
  };
  try {
    return await pRetry(call, {
      retries: RETRIES,
      // The pauses are made below, on our clock: p-retry would sleep on the machine's.
      minTimeout: 0,
      signal,
      shouldRetry: ({ error }) => error instanceof Failed && mayRetry(error.failure),
      onFailedAttempt: async ({ error, retriesConsumed, retriesLeft }) => {
        if (!(error instanceof Failed) || retriesLeft <= 0 || !mayRetry(error.failure)) return;
        const grown = jitter(random, FIRST_DELAY_MS * 2 ** retriesConsumed, JITTER);
        const { reason, atOnce, retryAfterMs = 0 } = error.failure;
        const delayMs = Math.round(atOnce === true ? retryAfterMs : Math.max(grown, retryAfterMs));
        options.onRetry?.({ retry: retriesConsumed + 1, of: RETRIES, delayMs, reason });
        if (delayMs > 0) await sleep(clock, 'retry', delayMs, signal);
      },
    });
  } catch (error) {
    if (signal.aborted) return { kind: 'interrupted' };
    if (error instanceof Failed) return error.failure;
    throw error;
  }
}

function isFailure(outcome: { readonly kind: string }): outcome is BackendFailure {
  return outcome.kind === 'failed';
}

function mayRetry(failure: BackendFailure): boolean {
  return failure.transient && (failure.retryAfterMs ?? 0) <= LONGEST_WAIT_MS;
}
