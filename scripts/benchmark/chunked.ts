// An image over the chunked transport compared with plain HTTP: server process, the TMU's download, real sockets.

import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AuditLog } from '../../server/features/audit/store.ts';
import { DeviceStore } from '../../server/features/registry/store.ts';
import { addToken } from '../../server/features/registry/tool-commands.ts';
import { openDatabase } from '../../server/platform/db/database.ts';
import type { Backend } from '../../src/campaign/ports.ts';
import { toHex } from '../../src/core/bytes.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { itemAt } from '../../src/core/present.ts';
import { systemRandom } from '../../src/core/random.ts';
import { DiskStorage } from '../../src/core/storage.ts';
import type { DeviceIdentity } from '../../src/link/device-keys.ts';
import { baseUrl, HttpClient } from '../../src/link/http-client.ts';
import { SealedClient } from '../../src/link/sealed-client.ts';
import { chunkedDownloads } from '../../src/tmu/chunked-download.ts';
import { downloadImage } from '../../src/tmu/download.ts';
import { HttpBackend } from '../../src/tmu/http-backend.ts';
import { VehicleImageStore } from '../../src/tmu/image-store.ts';
import { deviceKeyOf } from '../../src/trust/device-session.ts';
import { hasKey, Worker } from './processes.ts';

/** Size of an image of a small device. */
const IMAGE_BYTES = 1_030_000;
/** Number of vehicles, enough that none exceeds the server's rate limit. */
const VEHICLES = 16;

export interface ChunkedRates {
  /** Plain HTTP, with SHA-256 and fsync like all measurements. */
  readonly httpBytesPerSecond: number;
  readonly chunked: readonly { readonly chunkBytes: number; readonly bytesPerSecond: number }[];
}

interface Release {
  readonly file: string;
  readonly size: number;
  readonly sha256: string;
}

interface Vehicle {
  readonly vin: string;
  readonly device: DeviceIdentity;
}

export async function measureChunked(
  seconds: number,
  chunkSizes: readonly number[],
): Promise<ChunkedRates> {
  const folder = await mkdtemp(path.join(tmpdir(), 'can-ota-benchmark-'));
  try {
    await using stack = new AsyncDisposableStack();
    const data = path.join(folder, 'data');
    const token = await addToken(data, 'benchmark', 'release');
    const vehicles = await register(data);
    const server = new Worker('src/cli/main.ts', [
      ...['server', '--port', '0', '--data', data, '--json', '--log-level', 'error'],
    ]);
    stack.use(server);
    const { url } = (await server.until(hasKey('url'))) as unknown as { url: string };
    const release = await upload(url, token);
    const rate = async (name: string, backendOf: (vehicle: Vehicle) => Promise<Backend>) => {
      const images = new VehicleImageStore(await DiskStorage.open(path.join(folder, name)));
      const backends = await Promise.all(vehicles.map(backendOf));
      return rateOf(seconds, images, backends, release);
    };
    const httpBytesPerSecond = await rate('http', async (vehicle) => httpBackend(url, vehicle));
    const chunked: { chunkBytes: number; bytesPerSecond: number }[] = [];
    for (const chunkBytes of chunkSizes) {
      const name = `chunked-${chunkBytes}`;
      const bytesPerSecond = await rate(name, async (vehicle) => {
        const storage = await DiskStorage.open(path.join(folder, `${name}-${vehicle.vin}`));
        return chunkedBackend(url, vehicle, storage, chunkBytes);
      });
      chunked.push({ chunkBytes, bytesPerSecond });
    }
    return { httpBytesPerSecond, chunked };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Measures downloads. Sessions are opened before the measurement; each image is fetched whole and made durable. */
async function rateOf(
  seconds: number,
  images: VehicleImageStore,
  backends: readonly Backend[],
  release: Release,
): Promise<number> {
  const fetchOnce = async (backend: Backend): Promise<void> => {
    const result = await downloadImage({
      backend,
      images,
      release,
      clock: systemClock,
      random: systemRandom,
      signal: new AbortController().signal,
    });
    if (result.kind !== 'done') throw new Error(`a download ended as ${JSON.stringify(result)}`);
    await images.retain(new Set());
  };
  for (const backend of backends) await fetchOnce(backend);
  let count = 0;
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  while (performance.now() < endMs) await fetchOnce(itemAt(backends, count++ % backends.length));
  return (1000 * count * release.size) / (performance.now() - startMs);
}

function httpBackend(server: string, { vin, device }: Vehicle): HttpBackend {
  const identity = { device, random: systemRandom };
  return new HttpBackend({ server, vin, clock: systemClock, identity });
}

function chunkedBackend(
  server: string,
  vehicle: Vehicle,
  storage: DiskStorage,
  chunkBytes: number,
): Backend {
  const tools = { clock: systemClock, random: systemRandom };
  const client = new HttpClient({ clock: systemClock, headers: {} });
  const { device } = vehicle;
  return chunkedDownloads({
    ...tools,
    backend: httpBackend(server, vehicle),
    connect: () =>
      SealedClient.open({
        ...tools,
        client,
        base: baseUrl(server, 'server'),
        device,
        storage,
        logger: silentLogger,
      }),
    chunkBytes,
  });
}

/** Registers Primaries with the factory's function of the database. */
async function register(data: string): Promise<Vehicle[]> {
  const db = await openDatabase(data, { clock: systemClock, random: systemRandom });
  const devices = new DeviceStore(db, new AuditLog(db, silentLogger));
  const factory = { who: 'benchmark', address: 'local' };
  const vehicles: Vehicle[] = [];
  for (let number = 0; number < VEHICLES; number++) {
    const vin = `BENCHMARK${String(number).padStart(8, '0')}`;
    const deviceSecret = Uint8Array.from(randomBytes(32));
    const facts = { vin, name: 'TMU', secretHash: toHex(deviceKeyOf(deviceSecret)) };
    const hwId = toHex(randomBytes(16));
    await devices.provision(hwId, facts, factory);
    const device = await devices.activate(hwId, factory);
    if ('kind' in device) throw new Error(`not registered: ${device.kind}`);
    vehicles.push({ vin, device: { serial: device.serial, hwId, deviceSecret } });
  }
  await db.close();
  return vehicles;
}

async function upload(url: string, token: string): Promise<Release> {
  const image = Uint8Array.from(randomBytes(IMAGE_BYTES));
  const form = new FormData();
  form.set('ecu', 'EDT');
  form.set('version', '1.0.0');
  form.set('file', new Blob([image]), 'image.bin');
  const answer = await fetch(new URL('/upload', url), {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
    body: form,
  });
  if (answer.status !== 201) throw new Error(`upload: ${answer.status} ${await answer.text()}`);
  const { file } = (await answer.json()) as { file: string };
  return { file, size: image.length, sha256: createHash('sha256').update(image).digest('hex') };
}
