// Downloads the encrypted image into the staging file: keeps the chunks that it holds and requests lost ones again.

import { recordBytes, type TransferPace } from '../contract/chunked/protocol.ts';
import { ChunkReceiver } from '../contract/chunked/receiver.ts';
import type { Clock } from '../core/clock.ts';
import type { Random } from '../core/random.ts';
import { ChunkPace } from '../link/chunk-pace.ts';
import { exchangeInPace } from '../link/paced-exchange.ts';
import type { SealedClient } from '../link/sealed-client.ts';
import type { DeviceEvent } from './device-event.ts';
import type { DeviceTransfer } from './device-state.ts';
import type { Staging } from './staging.ts';
import type { WorkingMemory } from './working-memory.ts';

/** Silence after which a body counts as ended. */
export const TIMEOUT_MS = 30_000;

export interface FetchOptions {
  readonly client: SealedClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly memory: WorkingMemory;
  readonly staging: Staging;
  readonly transfer: DeviceTransfer;
  /** Bytes in the staging file that the backend has confirmed. */
  readonly held: number;
  /** Pace from the backend. */
  readonly pace: TransferPace | undefined;
  readonly signal: AbortSignal;
  readonly onEvent: (event: DeviceEvent) => void;
}

/** Downloads the image; after each answer its chunks are durable. Throws StorageError, WorkingMemoryError. */
export async function fetchImage(options: FetchOptions) {
  const { client, clock, random, memory, staging, transfer, held, signal, onEvent } = options;
  const { id, length, chunkBytes, sha256 } = transfer;
  using record = memory.allocate('a chunk on its way', recordBytes(chunkBytes));
  const receiver = new ChunkReceiver({ length, chunkBytes, held, memory: record.bytes });
  const pace = new ChunkPace(clock, options.pace);
  while (!receiver.complete) {
    const exchanged = await exchangeInPace({
      client,
      clock,
      random,
      transfer: id,
      image: sha256,
      receiver,
      limits: { stallMs: TIMEOUT_MS, leastBytes: 1 },
      pace,
      signal,
      store: ({ number, data }) => staging.put(number, data),
      onTrouble: (reason) => onEvent({ kind: 'trouble', reason }),
      onRetry: (retry) => onEvent({ kind: 'retry', ...retry }),
    });
    await staging.sync();
    onEvent({ kind: 'progress', received: receiver.prefixBytes, total: length });
    if (exchanged.kind !== 'answered') return exchanged;
  }
  return { kind: 'complete' as const };
}
