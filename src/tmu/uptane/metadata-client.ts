// Fetches the files that a verification asks for, with limits on size and pace while they arrive.

import type { Backend } from '../../campaign/ports.ts';
import { type BackendFailure, DownloadCut } from '../../core/backend-failure.ts';
import { describeError } from '../../core/errors.ts';
import { foreignBeginning, foreignMetadata } from '../../link/foreign-answer.ts';
import { LimitedBytes } from '../../link/limited-answer.ts';
import { type PaceLimits, PaceWatch } from '../../link/pace.ts';
import { type RetryOptions, retrying } from '../../link/retry.ts';
import type { RepositoryName } from '../../trust/full-verification.ts';
import type { MetadataAnswer, MetadataRequest } from '../../trust/repository.ts';

/** Limits for a file of a few kB; a slower transfer may be a slow retrieval attack. */
const METADATA_LIMITS: PaceLimits = { stallMs: 10_000, leastBytes: 4 * 1024 };

const TOO_SLOW = 'TOO_SLOW';

export interface MetadataClientOptions extends RetryOptions {
  readonly backend: Pick<Backend, 'metadata'>;
  readonly limits?: PaceLimits;
}

type Fetched = { readonly kind: 'answer'; readonly answer: MetadataAnswer };

/** The repository's answer, or why there is none. An answer that is not a repository file counts as no answer. */
export async function fetchMetadata(
  options: MetadataClientOptions,
  repository: RepositoryName,
  request: MetadataRequest,
): Promise<Fetched | BackendFailure | { readonly kind: 'interrupted' }> {
  const result = await retrying(
    (signal) => fetchOnce(options, repository, request, signal),
    options,
  );
  // A network can be slow once; when every attempt is slow, the verifier decides.
  if (result.kind === 'failed' && result.code === TOO_SLOW) {
    return { kind: 'answer', answer: { kind: 'too-slow' } };
  }
  return result;
}

async function fetchOnce(
  options: MetadataClientOptions,
  repository: RepositoryName,
  { file, maxBytes }: MetadataRequest,
  signal: AbortSignal,
): Promise<Fetched | BackendFailure> {
  // Ends this attempt's connection, however the attempt ends.
  const attemptEnd = new AbortController();
  const either = AbortSignal.any([signal, attemptEnd.signal]);
  const body = await options.backend.metadata(repository, file, either);
  if (body.kind === 'failed') return body;
  if (body.kind === 'missing') return { kind: 'answer', answer: { kind: 'missing' } };
  const limits = options.limits ?? METADATA_LIMITS;
  const watch = new PaceWatch(options.clock, limits, body.chunks);
  const read = new LimitedBytes(maxBytes);
  /** The page of a captive network may be long and slow, too. */
  const foreignSoFar = (): BackendFailure | undefined => {
    const foreign = foreignBeginning(read.bytes);
    return foreign === undefined ? undefined : notOurs(repository, file, foreign);
  };
  try {
    for (;;) {
      const next = await watch.next();
      if (next === 'stalled' || next === 'slow') {
        const slow = failed(
          TOO_SLOW,
          `${repository} ${file}: fewer than ${limits.leastBytes} bytes in ${limits.stallMs} ms after ${read.length} bytes`,
        );
        return foreignSoFar() ?? slow;
      }
      if (next === undefined) break;
      // Stops endless data at the size that the verifier accepts.
      if (!read.add(next)) {
        return foreignSoFar() ?? { kind: 'answer', answer: { kind: 'too-long' } };
      }
    }
  } catch (error) {
    if (!(error instanceof DownloadCut)) throw error;
    return failed(
      error.code,
      `${repository} ${file}: cut after ${read.length} bytes: ${describeError(error)}`,
    );
  } finally {
    watch.close();
    attemptEnd.abort();
  }
  if (body.total !== undefined && body.total > read.length) {
    return failed(
      'TOO_SHORT',
      `${repository} ${file} ends after ${read.length} of ${body.total} bytes`,
    );
  }
  const bytes = Uint8Array.from(read.bytes);
  const foreign = foreignMetadata(bytes);
  if (foreign !== undefined) return notOurs(repository, file, foreign);
  return { kind: 'answer', answer: { kind: 'bytes', bytes } };
}

function notOurs(repository: RepositoryName, file: string, what: string): BackendFailure {
  return failed('FOREIGN_ANSWER', `${repository} ${file} does not come from a repository: ${what}`);
}

function failed(code: string, reason: string): BackendFailure {
  return { kind: 'failed', code, reason, transient: true };
}
