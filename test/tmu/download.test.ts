// One download: resumed, restarted, cut, stalled, with false answers; never more than was asked for.

import { describe, expect, it } from 'vitest';
import { canonicalPayload } from '../../src/image/canonical.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { DEFAULT_DOWNLOAD_LIMITS, downloadImage } from '../../src/tmu/download.ts';
import { VehicleImageStore } from '../../src/tmu/image-store.ts';
import { FaultStorage } from '../support/fault-storage.ts';
import { bytesOf, type DownloadFault, FakeBackend, refused, sha256 } from './support.ts';

const image = bytesOf(10_000);
const SHA = sha256(image);

function start(...faults: DownloadFault[]) {
  const clock = new VirtualClock();
  const backend = new FakeBackend(clock);
  backend.release('EDT', '2.0.0', image);
  backend.downloadFaults = faults;
  const storage = new FaultStorage();
  const images = new VehicleImageStore(storage);
  const retries: string[] = [];
  const progress: number[] = [];
  const download = (signal: AbortSignal = new AbortController().signal) =>
    clock.within(
      3_600_000,
      downloadImage({
        backend,
        images,
        release: backend.releases[0]!,
        clock,
        random: seededRandom(),
        signal,
        onRetry: ({ reason }) => retries.push(reason),
        onProgress: (received) => progress.push(received),
      }),
    );
  const calls = (): string[] => backend.calls.filter((call) => call.startsWith('download'));
  return { clock, backend, storage, images, download, calls, retries, progress };
}

const stored = (storage: FaultStorage): Uint8Array | undefined =>
  storage.contents(`images/${SHA}.bin`);

describe('a download', () => {
  it('ends in the store', async () => {
    const { download, storage, progress, images } = start();
    expect(await download()).toEqual({ kind: 'done' });
    expect(stored(storage)).toEqual(image);
    expect(progress).toEqual([1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10_000]);
    expect(await storage.list('images')).toEqual([`${SHA}.bin`]);
    const opened = (await images.open({ sha256: SHA, size: image.length }, null))!;
    expect(await opened.read(9990, 100)).toEqual(image.subarray(9990));
    await opened.close();
  });

  it('is placed by its address, or by its own segment map', async () => {
    const storage = new FaultStorage();
    const images = new VehicleImageStore(storage);
    const put = async (bytes: Uint8Array) => {
      const digest = sha256(bytes);
      await storage.replace(`images/${digest}.bin`, bytes);
      return { sha256: digest, size: bytes.length };
    };
    const segments = [
      { address: 0x1000, bytes: Uint8Array.of(1, 2) },
      { address: 0x2000, bytes: Uint8Array.of(3) },
    ];
    const payload = canonicalPayload({ segments });
    const plain = await put(Uint8Array.of(1, 2, 3));
    const mapOf = async (download: Parameters<typeof images.open>[0], encryption = false) => {
      const opened = await images.open(
        download,
        encryption ? 'X25519-HKDF-SHA256-AES-256-GCM' : null,
      );
      await opened?.close();
      return opened?.map ?? opened?.mapFault;
    };
    expect(await mapOf(plain)).toBeUndefined();
    expect(await mapOf({ ...plain, address: 0x8000 })).toEqual({
      segments: [{ address: 0x8000, length: 3 }],
      dataOffset: 0,
    });
    const several = await put(payload);
    expect(await mapOf(several)).toEqual({
      segments: [
        { address: 0x1000, length: 2 },
        { address: 0x2000, length: 1 },
      ],
      dataOffset: 36,
    });
    expect(await mapOf(several, true)).toBeUndefined();
    expect(await mapOf(await put(payload.subarray(0, 38)))).toMatch(/its segments have 3 bytes/);
  });

  it('is not made again for what is there, unless that is spoilt', async () => {
    const { download, storage, calls } = start();
    await download();
    expect(await download()).toEqual({ kind: 'done' });
    expect(calls()).toHaveLength(1);
    storage.corrupt(`images/${SHA}.bin`, 5000);
    expect(await download()).toEqual({ kind: 'done' });
    expect(calls()).toHaveLength(2);
    expect(stored(storage)).toEqual(image);
  });

  it('goes on where the connection broke, each time with a new nonce', async () => {
    const { download, storage, calls, retries } = start(
      { cutAfter: 2500 },
      { cutAfter: 3000 },
      { cutAfter: 10 },
    );
    expect(await download()).toEqual({ kind: 'done' });
    expect(calls()).toEqual([
      'download EDT 0 nonce-1',
      'download EDT 2500 nonce-2',
      'download EDT 5500 nonce-3',
      'download EDT 5510 nonce-4',
    ]);
    expect(retries[0]).toContain('cut after 2500 of 10000 bytes');
    expect(stored(storage)).toEqual(image);
  });

  it('is tried four times in all, and what came is kept for the next cycle', async () => {
    const cut = { cutAfter: 100 };
    const { download, calls, storage } = start(cut, cut, cut, cut);
    expect(await download()).toMatchObject({ kind: 'failed', code: 'ECONNRESET' });
    expect(calls()).toHaveLength(4);
    expect(storage.contents(`images/${SHA}.part`)).toEqual(image.slice(0, 400));
    expect(await download()).toEqual({ kind: 'done' });
    expect(calls()[4]).toContain('EDT 400 ');
  });

  it('goes on with what another process left, and checks its bytes too', async () => {
    const { download, storage, calls } = start();
    await storage.replace(`images/${SHA}.part`, image.slice(0, 4321));
    expect(await download()).toEqual({ kind: 'done' });
    expect(calls()).toEqual(['download EDT 4321 nonce-1']);
    expect(stored(storage)).toEqual(image);
  });

  it('begins anew when what was left is not of this image', async () => {
    const { download, storage, calls } = start();
    await storage.replace(`images/${SHA}.part`, bytesOf(4321, 99));
    expect(await download()).toEqual({ kind: 'done' });
    expect(calls()).toEqual(['download EDT 4321 nonce-1', 'download EDT 0 nonce-2']);
    expect(stored(storage)).toEqual(image);
  });

  it('needs no request for a part that is complete, and restarts one that is too long', async () => {
    const complete = start();
    await complete.storage.replace(`images/${SHA}.part`, image);
    expect(await complete.download()).toEqual({ kind: 'done' });
    expect(complete.backend.calls).toEqual([]);
    const long = start();
    await long.storage.replace(`images/${SHA}.part`, bytesOf(10_001));
    expect(await long.download()).toEqual({ kind: 'done' });
    expect(long.calls()).toEqual(['download EDT 0 nonce-1']);
  });

  it('begins anew when the server ignores the range', async () => {
    const { download, storage, calls } = start({ cutAfter: 2500 }, { ignoreRange: true });
    expect(await download()).toEqual({ kind: 'done' });
    expect(calls()).toHaveLength(2);
    expect(stored(storage)).toEqual(image);
  });

  it('begins anew when the server has nothing behind the offset', async () => {
    const { download, calls } = start({ cutAfter: 2500 }, { failure: refused('HTTP_416') });
    expect(await download()).toEqual({ kind: 'done' });
    expect(calls()[2]).toContain('EDT 0 ');
  });

  it('is not mixed up by a body that begins somewhere else', async () => {
    const { download, storage, calls } = start({ cutAfter: 2500 }, { offset: 2000 });
    expect(await download()).toEqual({ kind: 'done' });
    expect(calls()).toHaveLength(3);
    expect(stored(storage)).toEqual(image);
  });
});

describe('a server that lies', () => {
  it.each<[string, DownloadFault, string]>([
    ['about the length', { total: 9999 }, 'LENGTH_MISMATCH'],
    ['by sending more', { bytes: bytesOf(10_001), total: undefined }, 'TOO_LONG'],
    ['by sending other bytes', { bytes: bytesOf(10_000, 66) }, 'DIGEST_MISMATCH'],
  ])(
    '%s is asked again at once, three times, from the start and with new nonces',
    async (_name, fault, code) => {
      const { clock, download, storage, calls } = start(fault, fault, fault, fault);
      expect(await download()).toMatchObject({ kind: 'integrity', code });
      expect(calls()).toEqual([1, 2, 3, 4].map((n) => `download EDT 0 nonce-${n}`));
      // No pauses: only the time of the bytes.
      expect(clock.nowMs()).toBeLessThan(1000);
      expect(await storage.list('images')).toEqual([]);
      const once = start(fault);
      expect(await once.download()).toEqual({ kind: 'done' });
      expect(stored(once.storage)).toEqual(image);
    },
  );

  it('about the length costs nothing of what is here already', async () => {
    const lie = { total: 9999 };
    const { download, calls } = start({ cutAfter: 2500 }, lie, lie, lie);
    expect(await download()).toMatchObject({ kind: 'integrity', code: 'LENGTH_MISMATCH' });
    expect(await download()).toEqual({ kind: 'done' });
    expect(calls().at(-1)).toContain('EDT 2500 ');
  });

  it('by ending early without a word is asked for the rest, three times', async () => {
    const early = { endAfter: 100, total: undefined };
    const { download, calls } = start(early, early, early, early);
    expect(await download()).toMatchObject({ kind: 'failed', code: 'TOO_SHORT' });
    expect(calls()).toHaveLength(4);
    const once = start(early);
    expect(await once.download()).toEqual({ kind: 'done' });
  });
});

describe('a slow server', () => {
  it('that stops is left after the stall time, and asked again', async () => {
    const { download, clock, retries } = start({ stallAfter: 3000 });
    expect(await download()).toEqual({ kind: 'done' });
    expect(retries[0]).toContain('after 3000 of 10000 bytes');
    expect(clock.nowMs()).toBeLessThan(2 * DEFAULT_DOWNLOAD_LIMITS.stallMs + 5000);
  });

  it('that drips is left, too', async () => {
    const drip = { chunkMs: 5000 };
    const { download, backend, retries } = start(drip, drip, drip, drip);
    backend.chunkBytes = 1;
    expect(await download()).toMatchObject({ kind: 'failed', code: 'TOO_SLOW' });
    expect(retries).toHaveLength(3);
  });

  it('that is slow but steady is waited for', async () => {
    const { download, clock } = start({ chunkMs: 3000 });
    expect(await download()).toEqual({ kind: 'done' });
    expect(clock.nowMs()).toBeGreaterThan(29_000);
  });
});

describe('refusals', () => {
  it('of nonces are retried, for good reasons only', async () => {
    const { download, backend, calls } = start();
    backend.nonceFaults = [refused('HTTP_500')];
    expect(await download()).toEqual({ kind: 'done' });
    expect(calls()).toHaveLength(1);
    const gone = start({ failure: refused('HTTP_404', { transient: false }) });
    expect(await gone.download()).toMatchObject({ kind: 'failed', code: 'HTTP_404' });
    expect(gone.calls()).toHaveLength(1);
  });

  it('with a long Retry-After are left to the next poll', async () => {
    const { download, clock, calls } = start({
      failure: refused('HTTP_503', { retryAfterMs: 3_600_000 }),
    });
    expect(await download()).toMatchObject({ code: 'HTTP_503', retryAfterMs: 3_600_000 });
    expect(calls()).toHaveLength(1);
    expect(clock.nowMs()).toBeLessThan(1000);
  });
});

it('the signal ends it at once, and what came is durable', async () => {
  const { download, clock, storage } = start({ chunkMs: 1000 });
  const abort = new AbortController();
  clock.after('SIGTERM', 3500, () => abort.abort());
  expect(await download(abort.signal)).toEqual({ kind: 'interrupted' });
  expect(clock.nowMs()).toBeLessThan(3600);
  expect(storage.afterPowerCut('lost').contents(`images/${SHA}.part`)).toEqual(
    image.slice(0, 3000),
  );
});
