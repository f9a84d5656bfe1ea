// Images over the chunked protocol: each chunk is authenticated by itself; lost chunks are requested again one by one.

import type { Backend, DownloadAnswer } from '../campaign/ports.ts';
import {
  type CheckRequest,
  DEFAULT_CHUNK_BYTES,
  recordBytes,
  type TransferFacts,
} from '../contract/chunked/protocol.ts';
import { ChunkReceiver } from '../contract/chunked/receiver.ts';
import { otaCheck } from '../contract/endpoints/small-devices/check.ts';
import { type BackendFailure, DownloadCut } from '../core/backend-failure.ts';
import type { Clock } from '../core/clock.ts';
import type { Random } from '../core/random.ts';
import { ChunkPace } from '../link/chunk-pace.ts';
import { exchangeInPace } from '../link/paced-exchange.ts';
import type { SealedClient } from '../link/sealed-client.ts';
import { DEFAULT_DOWNLOAD_LIMITS } from './download.ts';

export interface ChunkedDownloadOptions {
  /** Used for everything except the images. */
  readonly backend: Backend;
  /** Called once, for the first image. */
  readonly connect: () => Promise<SealedClient>;
  readonly clock: Clock;
  readonly random: Random;
  /** Largest chunk that is requested; 1 KiB by default. */
  readonly chunkBytes?: number;
}

/** `backend` with the chunked protocol for images. The caller checks the received bytes as with any other transport. */
export function chunkedDownloads(options: ChunkedDownloadOptions): Backend {
  const { backend } = options;
  let connected: Promise<SealedClient> | undefined;
  const client = (): Promise<SealedClient> => {
    connected ??= options.connect().catch((error) => {
      connected = undefined;
      throw error;
    });
    return connected;
  };
  return {
    latest: (ecus, etag, signal) => backend.latest(ecus, etag, signal),
    // A sealed request cannot be replayed, so it needs no nonce.
    nonce: async () => ({ kind: 'nonce', nonce: 'sealed' }),
    download: async (release, _nonce, offset, signal) =>
      download(options, await client(), release, offset, signal ?? new AbortController().signal),
    report: (report, signal) => backend.report(report, signal),
    campaign: (status, signal) => backend.campaign(status, signal),
    checkin: (checkin, signal) => backend.checkin(checkin, signal),
    time: (nonces, signal) => backend.time(nonces, signal),
    metadata: (repository, file, signal) => backend.metadata(repository, file, signal),
  };
}

async function download(
  options: ChunkedDownloadOptions,
  client: SealedClient,
  { file, sha256 }: { readonly file: string; readonly sha256: string },
  offset: number,
  signal: AbortSignal,
): Promise<DownloadAnswer> {
  const { chunkBytes = DEFAULT_CHUNK_BYTES } = options;
  const request: CheckRequest = { kind: 'file', file, sha256, chunkBytes };
  const answer = await client.json(otaCheck, request, signal);
  if ('kind' in answer) return answer;
  if (answer.value.kind === 'none') {
    return notThere(`${otaCheck.path}: the backend has no file ${file} for this vehicle`);
  }
  const { transfer } = answer.value;
  if (transfer.image.sha256 !== sha256) {
    return notThere(
      `${otaCheck.path}: expected SHA-256 ${sha256}, the backend has ${transfer.image.sha256}`,
    );
  }
  if (offset > transfer.image.length) {
    return notThere(
      `${file} has ${transfer.image.length} bytes, but byte ${offset} was requested`,
      'HTTP_416',
    );
  }
  return {
    kind: 'body',
    offset,
    total: transfer.image.length,
    chunks: bodyOf(options, client, transfer, offset, signal),
  };
}

/** The bytes from `offset` on, in order. A failed download throws DownloadCut. */
async function* bodyOf(
  { clock, random }: ChunkedDownloadOptions,
  client: SealedClient,
  { id, image, chunkBytes, pace: told }: TransferFacts,
  offset: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const receiver = new ChunkReceiver({
    length: image.length,
    chunkBytes,
    held: offset,
    memory: new Uint8Array(recordBytes(chunkBytes)),
  });
  const pace = new ChunkPace(clock, told);
  /** Chunks that came before their turn: at most twice what one answer holds. */
  const waiting = new Map<number, Uint8Array>();
  let next = receiver.prefix;
  while (!receiver.complete) {
    const exchanged = await exchangeInPace({
      client,
      clock,
      random,
      transfer: id,
      image: image.sha256,
      receiver,
      limits: DEFAULT_DOWNLOAD_LIMITS,
      pace,
      signal,
      store: ({ number, data }) => void waiting.set(number, data.slice()),
    });
    if (exchanged.kind === 'interrupted') {
      throw new DownloadCut('ABORTED', 'the download was given up');
    }
    if (exchanged.kind === 'failed') throw new DownloadCut(exchanged.code, exchanged.reason);
    for (let data = waiting.get(next); data !== undefined; data = waiting.get(next)) {
      waiting.delete(next);
      // A part of the first chunk may be here already.
      const known = Math.max(0, offset - next * chunkBytes);
      next++;
      yield data.subarray(known);
    }
  }
}

function notThere(reason: string, code = 'NOT_OFFERED'): BackendFailure {
  return { kind: 'failed', code, reason, transient: code === 'HTTP_416' };
}
