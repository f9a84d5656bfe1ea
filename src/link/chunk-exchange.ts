// One exchange of the chunked download: requests missing chunks and passes on each authentic one.

import { type ChunkRequest, chunkCost, chunkKey } from '../contract/chunked/protocol.ts';
import type { ChunkEvent, ChunkReceiver } from '../contract/chunked/receiver.ts';
import { otaChunk } from '../contract/endpoints/small-devices/chunk.ts';
import type { BackendFailure } from '../core/backend-failure.ts';
import type { Clock } from '../core/clock.ts';
import { describeError, systemErrorCode } from '../core/errors.ts';
import type { ChunkPace } from './chunk-pace.ts';
import { type PaceLimits, PaceWatch } from './pace.ts';
import type { SealedClient } from './sealed-client.ts';

type ReceivedChunk = Extract<ChunkEvent, { kind: 'next' | 'out-of-order' }>;

export interface ChunkExchange {
  readonly client: SealedClient;
  readonly clock: Clock;
  readonly transfer: string;
  /** SHA-256 of the image as it is transferred, hexadecimal. */
  readonly image: string;
  readonly receiver: ChunkReceiver;
  /** Most chunks in one answer. */
  readonly most?: number;
  readonly limits: PaceLimits;
  readonly pace: ChunkPace;
  readonly signal: AbortSignal;
  /** Stores a chunk. It must resolve before the next piece is read, because `data` is overwritten then. */
  readonly store: (chunk: ReceivedChunk) => Promise<void> | void;
  /** Reports a fault of an answer. */
  readonly onTrouble?: (trouble: string) => void;
}

/**
 * Makes one exchange. `answered` when it brought a missing chunk, even if the answer had faults. It can be repeated at
 * any time, also in another session. Throws the errors of `store`.
 */
export async function exchangeChunks(
  options: ChunkExchange,
): Promise<{ readonly kind: 'answered' } | BackendFailure> {
  const { client, transfer, receiver, most, signal } = options;
  const wanted = receiver.wanted(most);
  if (wanted === undefined) return { kind: 'answered' };
  const request: ChunkRequest =
    'from' in wanted ? { transfer, ...wanted } : { transfer, numbers: [...wanted.numbers] };
  const chunks = 'from' in wanted ? wanted.count : wanted.numbers.length;
  await options.pace.spend(chunkCost(chunks * receiver.chunkBytes), signal);
  // Closes the connection at the end of the exchange in every case.
  const end = new AbortController();
  const opened = await client.open(
    otaChunk.path,
    new TextEncoder().encode(JSON.stringify(request)),
    {
      signal: AbortSignal.any([signal, end.signal]),
      // The download has a separate budget, so its pause does not delay other requests.
      ownPause: true,
    },
  );
  if (opened.kind === 'failed') return opened;
  const troubles: string[] = [];
  const tell = (trouble: string): void => {
    troubles.push(trouble);
    options.onTrouble?.(trouble);
  };
  receiver.begin(chunkKey(opened.session, options.image));
  try {
    const broken = await readAnswer(options, opened.response.body, tell);
    const cut = receiver.end();
    const trouble = cut === undefined ? undefined : troubleOf(cut);
    if (trouble !== undefined) tell(trouble);
    if (broken !== undefined) tell(broken.reason);
    if (receiver.barrenAnswers === 0) return { kind: 'answered' };
    if (broken !== undefined) return broken;
    const why = troubles[0] ?? 'it is empty';
    return failed(
      'NO_CHUNK',
      `an answer to ${otaChunk.path} brought nothing that is missing: ${why}`,
    );
  } finally {
    opened.response.destroy();
    end.abort();
  }
}

async function readAnswer(
  { clock, limits, receiver, store }: ChunkExchange,
  body: AsyncIterable<Uint8Array>,
  tell: (trouble: string) => void,
): Promise<BackendFailure | undefined> {
  const watch = new PaceWatch(clock, limits, body);
  try {
    for (;;) {
      const piece = await nextPiece(watch);
      if (piece === undefined) return undefined;
      if ('kind' in piece) return piece;
      for (let at = 0; at < piece.length; ) {
        const { taken, event } = receiver.take(piece.subarray(at));
        at += taken;
        if (event === undefined) continue;
        if (event.kind === 'next' || event.kind === 'out-of-order') await store(event);
        const trouble = troubleOf(event);
        if (trouble !== undefined) tell(trouble);
      }
    }
  } finally {
    watch.close();
  }
}

async function nextPiece(watch: PaceWatch): Promise<Uint8Array | BackendFailure | undefined> {
  try {
    const piece = await watch.next();
    if (piece !== 'stalled' && piece !== 'slow') return piece;
    return failed(
      piece === 'stalled' ? 'STALLED' : 'TOO_SLOW',
      `the answer to ${otaChunk.path} stopped before its end`,
    );
  } catch (error) {
    const code = systemErrorCode(error) ?? 'CUT';
    return failed(code, `the answer to ${otaChunk.path} was cut: ${describeError(error)}`);
  }
}

function troubleOf(event: ChunkEvent): string | undefined {
  switch (event.kind) {
    case 'next':
      return undefined;
    case 'out-of-order':
      return `chunk ${event.number} came before its turn`;
    case 'repeated':
      return `chunk ${event.number} came once more`;
    case 'too-far':
      return `chunk ${event.number} came much too early`;
    case 'foreign':
      return `chunk ${event.number} is not authentic`;
    case 'unreadable':
      return event.reason;
    case 'truncated':
      return `the answer ends within a chunk, after ${event.bytes} bytes of it`;
  }
}

function failed(code: string, reason: string): BackendFailure {
  return { kind: 'failed', code, reason, transient: true };
}
