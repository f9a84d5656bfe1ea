// Reads metadata and images from a URL or a folder, with limits for size, silence and slow data.

import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { concatBytes } from '../core/bytes.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { CanOtaError, describeError, systemErrorCode } from '../core/errors.ts';
import type { MetadataAnswer, MetadataRequest } from '../trust/repository.ts';

export type SourceErrorCode = 'UNREACHABLE' | 'HTTP' | 'UNREADABLE';

/** The network or the disk has failed, so it is unknown whether the file exists. It does not indicate an attack. */
export class SourceError extends CanOtaError {
  readonly code: SourceErrorCode;

  constructor(code: SourceErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** The answer of a source; `chunks` ends early with 'too-long' or 'too-slow'. */
export type SourceAnswer =
  | { readonly kind: 'missing' | 'too-long' | 'too-slow' }
  | {
      readonly kind: 'stream';
      readonly chunks: AsyncIterable<Uint8Array | 'too-long' | 'too-slow'>;
    };

export interface MetadataSource {
  /** Reads a metadata file as a whole. */
  answer(request: MetadataRequest): Promise<MetadataAnswer>;
  /** Opens a file by its path (percent-encoded segments as in a URL), to read it piece by piece. */
  open(file: string, maxBytes: number): Promise<SourceAnswer>;
}

export interface SourceOptions {
  readonly clock?: Clock;
  readonly fetch?: typeof fetch;
  readonly signal?: AbortSignal | undefined;
  readonly limits?: Partial<LeastRate>;
}

/** Least rate of a source, against slow retrieval (Uptane 3.2.2). */
interface LeastRate {
  /** Longest silence between two pieces and before the first one. */
  readonly silenceMs: number;
  /** Least mean rate after `graceMs`. */
  readonly leastBytesPerSecond: number;
  readonly graceMs: number;
}

const RATE_LIMITS: LeastRate = {
  silenceMs: 10_000,
  leastBytesPerSecond: 1024,
  graceMs: 5000,
};

/** A source for `http://...`, `https://...`, or a folder. */
export function metadataSource(place: string, options: SourceOptions = {}): MetadataSource {
  return /^https?:\/\//i.test(place) ? httpSource(place, options) : folderSource(place);
}

export function httpSource(baseUrl: string, options: SourceOptions = {}): MetadataSource {
  const { clock = systemClock, fetch: request = fetch } = options;
  const limits = { ...RATE_LIMITS, ...options.limits };
  const base = baseUrl.endsWith('/') ? baseUrl : `${baseUrl}/`;
  return sourceOf(async (file, maxBytes) => {
    const url = base + file;
    const abort = new AbortController();
    const signal =
      options.signal === undefined ? abort.signal : AbortSignal.any([options.signal, abort.signal]);
    const response = await within(
      clock,
      limits.silenceMs,
      request(url, { signal }).catch((cause: unknown) => {
        throw new SourceError('UNREACHABLE', `${url}: ${describeError(cause)}`, cause);
      }),
    );
    const end = (kind: 'missing' | 'too-long' | 'too-slow'): SourceAnswer => {
      abort.abort();
      return { kind };
    };
    if (response === 'too-slow') return end('too-slow');
    // Object stores answer 403 for a file that does not exist.
    if ([403, 404, 410].includes(response.status)) return end('missing');
    if (!response.ok) {
      abort.abort();
      throw new SourceError('HTTP', `${url}: status ${response.status}`);
    }
    if (Number(response.headers.get('content-length') ?? 0) > maxBytes) return end('too-long');
    const body = response.body ?? emptyBody();
    return { kind: 'stream', chunks: limited(body, url, maxBytes, clock, limits, abort) };
  });
}

/** A source for a folder whose files have the names of a repository. */
export function folderSource(folder: string): MetadataSource {
  const open = async (file: string, maxBytes: number): Promise<SourceAnswer> => {
    const place = path.join(folder, ...file.split('/').map(decodeURIComponent));
    if (!path.resolve(place).startsWith(path.resolve(folder) + path.sep)) {
      return { kind: 'missing' };
    }
    const stream = createReadStream(place);
    try {
      await once(stream, 'open');
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')) return { kind: 'missing' };
      throw new SourceError('UNREADABLE', `${place}: ${describeError(error)}`, error);
    }
    const body = Readable.toWeb(stream) as ReadableStream<Uint8Array>;
    const chunks = limited(body, place, maxBytes, systemClock, NO_LIMITS, new AbortController());
    return { kind: 'stream', chunks };
  };
  // Metadata of a role `a/b` is in one file `a%2Fb.json`, encoded as in a URL.
  return sourceOf(open, encodeURIComponent);
}

const NO_LIMITS: LeastRate = { silenceMs: 0, leastBytesPerSecond: 0, graceMs: 0 };

function sourceOf(
  open: MetadataSource['open'],
  nameOf: (file: string) => string = (file) => file,
): MetadataSource {
  return {
    open,
    answer: async ({ file, maxBytes }) => {
      const answer = await open(nameOf(file), maxBytes);
      if (answer.kind !== 'stream') return { kind: answer.kind };
      const pieces: Uint8Array[] = [];
      for await (const piece of answer.chunks) {
        if (typeof piece === 'string') return { kind: piece };
        pieces.push(piece);
      }
      return { kind: 'bytes', bytes: concatBytes(...pieces) };
    },
  };
}

function emptyBody(): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.close() });
}

/** Reads at most `maxBytes`; a reader that stops early closes the connection. */
async function* limited(
  body: ReadableStream<Uint8Array>,
  place: string,
  maxBytes: number,
  clock: Clock,
  { silenceMs, leastBytesPerSecond, graceMs }: LeastRate,
  abort: AbortController,
): AsyncGenerator<Uint8Array | 'too-long' | 'too-slow'> {
  const reader = body.getReader();
  const startMs = clock.nowMs();
  let received = 0;
  try {
    for (;;) {
      const piece = await within(
        clock,
        silenceMs,
        reader.read().catch((cause: unknown) => {
          throw new SourceError('UNREACHABLE', `${place}: ${describeError(cause)}`, cause);
        }),
      );
      if (piece === 'too-slow') return yield 'too-slow';
      if (piece.done) return;
      received += piece.value.length;
      if (received > maxBytes) return yield 'too-long';
      const elapsedMs = clock.nowMs() - startMs;
      const least = (leastBytesPerSecond * elapsedMs) / 1000;
      if (elapsedMs > graceMs && received < least) return yield 'too-slow';
      yield piece.value;
    }
  } finally {
    abort.abort();
    await reader.cancel().catch(() => {});
  }
}

/** Limits the wait for `work`; a limit of 0 waits for ever. */
function within<T>(clock: Clock, limitMs: number, work: Promise<T>): Promise<T | 'too-slow'> {
  if (limitMs === 0) return work;
  return new Promise((resolve, reject) => {
    const timer = clock.after('silence', limitMs, () => resolve('too-slow'));
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}
