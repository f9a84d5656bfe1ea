// A vehicle fetches images over the chunked protocol: the same store, the same checks, other records on the way.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { ServerOptions } from '../../server/server.ts';
import { toHex } from '../../src/core/bytes.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import type { NetworkFault } from '../../src/sim/simulated-network.ts';
import { chunkedDownloads } from '../../src/tmu/chunked-download.ts';
import { downloadImage } from '../../src/tmu/download.ts';
import { HttpBackend } from '../../src/tmu/http-backend.ts';
import { baseUrl, HttpClient } from '../../src/tmu/http-client.ts';
import { ImageStore } from '../../src/tmu/image-store.ts';
import { Memory } from '../../src/tmu/memory.ts';
import { SealedClient } from '../../src/tmu/sealed-client.ts';
import { TrafficMeter } from '../../src/tmu/traffic-meter.ts';
import { deviceKeyOf } from '../../src/trust/device-session.ts';
import { DeviceWorld, imageOf, SERVER } from '../device/support.ts';

const VIN = 'WVWZZZ1JZXW000001';
const deviceSecret = new Uint8Array(32).fill(7);

async function ready(size: number, options: Partial<ServerOptions> = {}, chunkBytes?: number) {
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
  const device = { serial, deviceSecret };
  const http = new HttpBackend({
    server: SERVER,
    vin: VIN,
    clock,
    transport: network,
    identity: { device, random },
  });
  const client = new HttpClient({ clock, headers: { 'x-vehicle-vin': VIN }, transport: network });
  const base = baseUrl(SERVER, 'server');
  const backend = chunkedDownloads({
    backend: http,
    connect: () =>
      SealedClient.open({ client, base, device, storage, clock, random, logger: silentLogger }),
    clock,
    random,
    ...(chunkBytes === undefined ? {} : { chunkBytes }),
  });
  const images = new ImageStore(storage);
  const release = { file, size, sha256 };
  const { memory } = await Memory.open(storage);
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

const chunks = (paths: readonly string[]): number =>
  paths.filter((path) => path === '/ota/chunk').length;

describe('a chunked download', () => {
  it.each([
    ['of many chunks', 100_000, 1024, 4],
    ['in large ones', 100_000, 16_384, 1],
    ['that is smaller than a chunk', 100, 1024, 1],
    ['whose last chunk is whole', 4096, 1024, 1],
  ])('%s ends in the store', async (_name, size, chunkBytes, requests) => {
    const { download, stored, image, paths, traffic } = await ready(size, {}, chunkBytes);
    expect(await download()).toEqual({ kind: 'done' });
    expect(stored()).toEqual(image);
    expect(chunks(paths)).toBe(requests);
    expect(paths.some((path) => /get_nonce|ota_download/.test(path))).toBe(false);
    await traffic.settle();
    expect(traffic.today.imageBytes).toBe(size);
  });

  it('goes on within a chunk, where an earlier process stopped', async () => {
    const { download, stored, image, paths, keep, traffic } = await ready(100_000);
    await keep(image.slice(0, 70_001));
    expect(await download()).toEqual({ kind: 'done' });
    expect(stored()).toEqual(image);
    expect(chunks(paths)).toBe(1);
    await traffic.settle();
    expect(traffic.today.imageBytes).toBe(100_000 - 70_001);
  });

  it('begins anew when what was left is not of this image', async () => {
    const { download, stored, image, keep } = await ready(50_000);
    await keep(imageOf(20_000, 99));
    expect(await download()).toEqual({ kind: 'done' });
    expect(stored()).toEqual(image);
  });

  it('keeps what came when the network is gone, and fetches only the rest later', async () => {
    const { download, stored, image, paths, part, breakAt } = await ready(100_000);
    let seen = 0;
    breakAt((path) => (path === '/ota/chunk' && ++seen > 2 ? { kind: 'cut' } : undefined));
    expect(await download()).toMatchObject({ kind: 'failed', transient: true });
    expect(part()).toEqual(image.subarray(0, 64 * 1024));
    breakAt(() => undefined);
    const before = chunks(paths);
    expect(await download()).toEqual({ kind: 'done' });
    expect(chunks(paths) - before).toBe(2);
    expect(stored()).toEqual(image);
  });

  it('survives any single exchange that goes wrong', async () => {
    for (const fault of [
      { kind: 'cut' },
      { kind: 'drop', what: 'answer' },
      { kind: 'truncate', share: 0.4 },
      { kind: 'garbage', how: 'flip' },
    ] as const) {
      for (let at = 1; at <= 4; at++) {
        const { download, stored, image, breakAt } = await ready(100_000);
        let seen = 0;
        breakAt((path) => (path === '/ota/chunk' && ++seen === at ? fault : undefined));
        expect([fault, at, await download()]).toEqual([fault, at, { kind: 'done' }]);
        expect(stored()).toEqual(image);
      }
    }
  });

  it.each(['corrupt-chunk', 'bad-hmac', 'truncate', 'replay', 'wrong-order'] as const)(
    'gets the right bytes from a server that spoils some of them (%s)',
    async (fault) => {
      const { download, stored, image } = await ready(60_000, { chunkFaults: { [fault]: 0.2 } });
      let result = await download();
      for (let more = 0; more < 5 && result.kind === 'failed'; more++) result = await download();
      expect(result).toEqual({ kind: 'done' });
      expect(stored()).toEqual(image);
    },
  );

  it('of a file that is not the one that was signed is refused before a byte has come', async () => {
    const { download, release, paths } = await ready(5000);
    const other = { ...release, sha256: 'ab'.repeat(32) };
    expect(await download(other)).toMatchObject({ kind: 'failed', code: 'HTTP_404' });
    expect(chunks(paths)).toBe(0);
  });

  it('leaves everything else to plain requests', async () => {
    const { world, http, paths } = await ready(5000);
    const latest = await world.settle(http.latest(['EDT'], undefined));
    expect(latest.kind).toBe('releases');
    expect(paths).toContain('/latest_version');
  });
});
