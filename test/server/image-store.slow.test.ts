// Images on a disk: durable before they are named, gone when somebody takes them away, and read as streams.

import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { FileStream } from '../../server/features/releases/file-stream.ts';
import { ImageStore } from '../../server/features/releases/image-store.ts';
import type { StorageFile } from '../../src/core/storage.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';

const IMAGE = Buffer.alloc(700_000, 'firmware');
const SHA256 = createHash('sha256').update(IMAGE).digest('hex');

async function* pieces(): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < IMAGE.length; at += 65_536) yield IMAGE.subarray(at, at + 65_536);
}

function open(disk: SimulatedDisk) {
  const storage = disk.open();
  let name = 0;
  return ImageStore.open(storage, () => `n${name++}`).then((images) => ({ images, storage }));
}

describe('ImageStore', () => {
  it('has the whole image after a power cut once it was committed, and nothing before', async () => {
    for (let seed = 0; seed < 30; seed++) {
      const disk = new SimulatedDisk();
      const { images } = await open(disk);
      const staged = await images.stage(pieces(), IMAGE.length);
      const commits = seed % 2 === 0;
      if (commits) await staged.commit();
      disk.cut(seededRandom(seed));
      const next = await open(disk);
      const [file, ...rest] = [...disk.files()];
      expect(rest).toEqual([]);
      expect(file?.[0]).toBe(commits ? `images/${SHA256}` : undefined);
      expect(await next.images.has(SHA256)).toBe(commits);
      if (commits) expect(createHash('sha256').update(file![1]).digest('hex')).toBe(SHA256);
    }
  });

  it('misses an image that somebody took away, and finds it when it is back', async () => {
    const disk = new SimulatedDisk();
    const { images, storage } = await open(disk);
    await (await images.stage(pieces(), IMAGE.length)).commit();
    await storage.remove(`images/${SHA256}`);
    for (let round = 0; round < 3; round++) expect(await images.has(SHA256)).toBe(false);
    await storage.replace(`images/${SHA256}`, Uint8Array.from(IMAGE));
    expect(await images.has(SHA256)).toBe(true);
    const image = (await images.openImage(SHA256))!;
    expect(await buffer(image.stream(0, IMAGE.length - 1))).toEqual(IMAGE);
    await images.remove(SHA256);
    expect(await images.has(SHA256)).toBe(false);
    expect([...disk.files().keys()]).toEqual([]);
  });
});

describe('FileStream', () => {
  /** Counts what is open. */
  function file(size: number) {
    let closed = 0;
    const reads: number[] = [];
    const stored: Pick<StorageFile, 'read' | 'close'> = {
      read: async (offset, length) => {
        reads.push(length);
        return Uint8Array.from(IMAGE.subarray(offset, Math.min(size, offset + length)));
      },
      close: async () => {
        closed++;
      },
    };
    return { stored: stored as StorageFile, reads, closed: () => closed };
  }

  it.each([
    [0, IMAGE.length],
    [5, 6],
    [262_143, 524_289],
    [699_999, 700_000],
  ])('gives bytes %i to %i, and closes the file', async (start, end) => {
    const { stored, reads, closed } = file(IMAGE.length);
    const bytes = await buffer(new FileStream(stored, start, end));
    expect(bytes.equals(IMAGE.subarray(start, end))).toBe(true);
    expect(Math.max(...reads)).toBeLessThanOrEqual(256 * 1024);
    await expect.poll(closed).toBe(1);
  });

  it('fails where the file is shorter than was promised, and closes it', async () => {
    const { stored, closed } = file(300_000);
    const whole = buffer(new FileStream(stored, 0, IMAGE.length));
    await expect(whole).rejects.toThrow(/ends \d+ bytes early/);
    expect(closed()).toBe(1);
  });

  it('closes the file when the reader goes away in the middle of a read', async () => {
    const { stored, closed } = file(IMAGE.length);
    const stream = new FileStream(stored, 0, IMAGE.length);
    stream.read(); // begins
    stream.destroy();
    expect(closed()).toBe(0);
    await expect.poll(closed).toBe(1);
  });

  it('hands on what the disk says', async () => {
    const { stored } = file(1);
    stored.read = () => Promise.reject(new Error('the disk is broken'));
    await expect(buffer(new FileStream(stored, 0, 9))).rejects.toThrow('the disk is broken');
  });
});
