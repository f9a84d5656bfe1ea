// A backend with the chunked protocol for tests.

import { createHash } from 'node:crypto';
import type { ServerOptions } from '../../server/server.ts';
import { toHex } from '../../src/core/bytes.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { baseUrl, HttpClient } from '../../src/link/http-client.ts';
import { SealedClient } from '../../src/link/sealed-client.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import type { NetworkFault } from '../../src/sim/simulated-network.ts';
import { chunkedDownloads } from '../../src/tmu/chunked-download.ts';
import { downloadImage } from '../../src/tmu/download.ts';
import { HttpBackend } from '../../src/tmu/http-backend.ts';
import { VehicleImageStore } from '../../src/tmu/image-store.ts';
import { TmuMemory } from '../../src/tmu/memory.ts';
import { TrafficMeter } from '../../src/tmu/traffic-meter.ts';
import { deviceKeyOf } from '../../src/trust/device-session.ts';
import { DeviceWorld, imageOf, SERVER } from '../device/support.ts';

const VIN = 'WVWZZZ1JZXW000001';
const deviceSecret = new Uint8Array(32).fill(7);

export async function ready(
  size: number,
  options: Partial<ServerOptions> = {},
  chunkBytes?: number,
) {
  const world = await DeviceWorld.start(options);
  const { clock, random, network } = world;
  const registry = world.registry();
  const deviceSecretHash = toHex(deviceKeyOf(deviceSecret));
  const registered = await registry.provision({
    hwId: 'tmu-1',
    vin: VIN,
    name: 'TMU',
    deviceSecretHash,
  });
  if (!registered.ok) throw new Error(registered.reason);
  await registry.activate('tmu-1');
  const { serial } = registered.value;

  const image = imageOf(size);
  const file = await world.upload(image, 'EDT', '2.0.0');
  const sha256 = createHash('sha256').update(image).digest('hex');
  const disk = new SimulatedDisk();
  const storage = disk.open();
  const device = { serial, hwId: 'tmu-1', deviceSecret };
  const http = new HttpBackend({
    server: SERVER,
    vin: VIN,
    clock,
    transport: network,
    identity: { device, random },
  });
  const client = new HttpClient({ clock, headers: { 'x-vehicle-vin': VIN }, transport: network });
  const base = baseUrl(SERVER, 'server');
  const sealed = () =>
    SealedClient.open({ client, base, device, storage, clock, random, logger: silentLogger });
  const backend = chunkedDownloads({
    backend: http,
    connect: () => sealed(),
    clock,
    random,
    ...(chunkBytes === undefined ? {} : { chunkBytes }),
  });
  const images = new VehicleImageStore(storage);
  const release = { file, size, sha256 };
  const { memory } = await TmuMemory.open(storage);
  const traffic = new TrafficMeter({ memory, clock, bytesPerDay: null });
  const paths: string[] = [];
  let fault: (path: string) => NetworkFault | undefined = () => undefined;
  network.fault = ({ path }) => {
    paths.push(path);
    return fault(path);
  };
  const progress: number[] = [];
  return {
    world,
    disk,
    image,
    release,
    paths,
    traffic,
    progress,
    http,
    client,
    sealed,
    stored: () => disk.contents(`images/${sha256}.bin`),
    part: () => disk.contents(`images/${sha256}.part`),
    breakAt: (next: typeof fault) => {
      fault = next;
    },
    download: (wanted = release) =>
      world.settle(
        downloadImage({
          backend,
          images,
          release: wanted,
          clock,
          random,
          signal: new AbortController().signal,
          traffic,
          onProgress: (received) => progress.push(received),
        }),
      ),
    keep: (bytes: Uint8Array) => storage.replace(`images/${sha256}.part`, bytes),
  };
}

export const chunks = (paths: readonly string[]): number =>
  paths.filter((path) => path === '/ota/chunk').length;
