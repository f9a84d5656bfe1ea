// Composes a device client: files, boot loader, sealed session, backend.

import { DEFAULT_CHUNK_BYTES } from '../contract/chunked/protocol.ts';
import { fromHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import { defined } from '../core/optional.ts';
import type { Random } from '../core/random.ts';
import type { Storage } from '../core/storage.ts';
import { baseUrl, HttpClient } from '../link/http-client.ts';
import type { HttpTransport } from '../link/http-transport.ts';
import { SealedClient } from '../link/sealed-client.ts';
import type { Suite } from '../trust/sealed-session.ts';
import { DeviceClient } from './client.ts';
import { SmallDevice } from './device.ts';
import { DeviceBackend } from './device-backend.ts';
import type { DeviceEvent } from './device-event.ts';
import type { DeviceFaults } from './faults.ts';
import { TIMEOUT_MS } from './fetch-image.ts';
import type { WorkingMemory } from './working-memory.ts';

export interface OpenClientOptions {
  /** Address of the backend: `https://host[:port][/prefix]`. */
  readonly server: string;
  /** The folder of the device. */
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onEvent: (event: DeviceEvent) => void;
  /** Free working memory in bytes; missing: measured. */
  readonly freeBytes?: () => number;
  readonly memory?: WorkingMemory;
  readonly chunkBytes?: number;
  readonly checkIntervalMs?: number;
  readonly suite?: Suite;
  readonly faults?: DeviceFaults;
  /** Transport; missing: the real network. */
  readonly transport?: HttpTransport;
}

/**
 * Opens the client, still powered off. Throws InputError for a bad address or a folder without a device, StorageError.
 */
export async function openDeviceClient(
  options: OpenClientOptions,
): Promise<{ readonly device: SmallDevice; readonly client: DeviceClient }> {
  const { server, storage, clock, random, logger, onEvent, memory, faults, suite } = options;
  const base = baseUrl(server, 'server');
  const device = await SmallDevice.open({
    storage,
    clock,
    onEvent,
    ...defined({ memory, faults }),
  });
  const { serial, hwId, deviceSecret } = device.identity;
  const http = new HttpClient({
    clock,
    headers: {},
    requestMs: TIMEOUT_MS,
    transport: options.transport,
  });
  const sealed = await SealedClient.open({
    client: http,
    base,
    device: { serial, hwId, deviceSecret: fromHex(deviceSecret) },
    storage,
    clock,
    random,
    logger,
    ...defined({ suite }),
    onRefused: ({ code, path }) =>
      onEvent({ kind: 'trouble', reason: `${path}: a message is refused (${code})` }),
  });
  const { checkIntervalMs } = options;
  const client = new DeviceClient({
    device,
    backend: new DeviceBackend({ http, base, sealed, clock, random, onEvent }),
    sealed,
    random,
    chunkBytes: options.chunkBytes ?? DEFAULT_CHUNK_BYTES,
    freeBytes: options.freeBytes ?? (() => device.memory.capacity - device.memory.usedBytes),
    ...defined({ checkIntervalMs }),
  });
  return { device, client };
}
