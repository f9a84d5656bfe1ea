// The retry policy of all clients: at most three retries, with growing jittered pauses and the pauses of the server.

import pRetry from 'p-retry';
import type { BackendFailure } from '../core/backend-failure.ts';
import { type Clock, sleep } from '../core/clock.ts';
import { jitter, type Random } from '../core/random.ts';

export interface RetryOptions {
  readonly clock: Clock;
  /** Random source for the jitter; missing: only pauses that the server asks for, as for a person at a prompt. */
  readonly random?: Random;
  readonly signal: AbortSignal;
  readonly onRetry?: (retry: {
    readonly retry: number;
    readonly of: number;
    readonly delayMs: number;
    readonly reason: string;
  }) => void;
}

const RETRIES = 3;
const FIRST_DELAY_MS = 1000;
const JITTER = 0.3;
/** Longest pause within a cycle; for a longer one the cycle ends, and the next poll comes after the pause. */
export const LONGEST_WAIT_MS = 60_000;

/** Upper limit for Retry-After. */
const LONGEST_RETRY_AFTER_MS = 60 * 60_000;

/** Carries a failure through p-retry, which handles only errors. */
class Failed extends Error {
  readonly failure: BackendFailure;

  constructor(failure: BackendFailure) {
    super(failure.reason);
    this.failure = failure;
  }
}

/**
 * Calls `attempt` until its result is no transient failure, at most 1 + RETRIES times, with the pauses of Retry-After.
 * `interrupted` when the signal aborts.
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
      // The pauses are made below on the given clock; p-retry would use the machine's.
      minTimeout: 0,
      signal,
      shouldRetry: ({ error }) => error instanceof Failed && mayRetry(error.failure),
      onFailedAttempt: async ({ error, retriesConsumed, retriesLeft }) => {
        if (!(error instanceof Failed) || retriesLeft <= 0 || !mayRetry(error.failure)) return;
        const grown =
          random === undefined ? 0 : jitter(random, FIRST_DELAY_MS * 2 ** retriesConsumed, JITTER);
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

/**
 * The pause that a server asks for (RFC 9110 10.2.3: seconds or a date), in milliseconds, at most
 * LONGEST_RETRY_AFTER_MS, because a pause of years would be a freeze attack. Undefined where the server asks for none.
 */
export function readRetryAfter(
  value: string | readonly string[] | null | undefined,
  wallMs: number,
): number | undefined {
  const text = typeof value === 'string' ? value : value?.[0];
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Math.min(Number(text) * 1000, LONGEST_RETRY_AFTER_MS);
  const dateMs = Date.parse(text);
  if (Number.isNaN(dateMs)) return undefined;
  return Math.min(Math.max(0, dateMs - wallMs), LONGEST_RETRY_AFTER_MS);
}

function isFailure(outcome: { readonly kind: string }): outcome is BackendFailure {
  return outcome.kind === 'failed';
}

function mayRetry(failure: BackendFailure): boolean {
  return failure.transient && (failure.retryAfterMs ?? 0) <= LONGEST_WAIT_MS;
}
