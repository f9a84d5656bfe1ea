// How an image is read: in pieces of 64 KiB, one ahead, never beyond its end, whatever lengths are asked for.

import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { ImageReader } from '../../src/drivers/image-reader.ts';
import type { ImageSource } from '../../src/image/image-source.ts';

const PIECE = 64 * 1024;

function source(length: number, readable = length) {
  const bytes = Uint8Array.from({ length }, (_, index) => (index * 31) >> 3);
  const reads: [offset: number, length: number][] = [];
  const image: ImageSource = {
    ...{ length, sha256: '' },
    read: async (offset, count) => {
      reads.push([offset, count]);
      return bytes.slice(offset, Math.min(offset + count, readable));
    },
  };
  return { bytes, reads, reader: new ImageReader(image) };
}

describe('an image', () => {
  it('is read ahead by one piece, and not beyond its end', async () => {
    const { bytes, reads, reader } = source(2 * PIECE + 100);
    expect(await reader.next(10)).toEqual(bytes.subarray(0, 10));
    expect(reads).toEqual([
      [0, PIECE],
      [PIECE, PIECE],
    ]);
    expect(await reader.next(PIECE)).toEqual(bytes.subarray(10, PIECE + 10));
    expect(await reader.next(2 * PIECE)).toEqual(bytes.subarray(PIECE + 10));
    expect(reads).toEqual([
      [0, PIECE],
      [PIECE, PIECE],
      [2 * PIECE, 100],
    ]);
    expect(reader.position).toBe(2 * PIECE + 100);
    expect(reader.crc32).toBe(crc32(bytes));
    expect(await reader.next(1)).toHaveLength(0);
    expect(reads).toHaveLength(3);
  });

  it('skips to any place, which counts as handed out', async () => {
    const { bytes, reader } = source(PIECE + 500);
    expect(await reader.skip(PIECE + 400)).toBe(true);
    expect(reader.position).toBe(PIECE + 400);
    expect(reader.crc32).toBe(crc32(bytes.subarray(0, PIECE + 400)));
    expect(await reader.next(1000)).toEqual(bytes.subarray(PIECE + 400));
    expect(await reader.skip(PIECE + 500)).toBe(true);
    expect(await reader.skip(PIECE + 501)).toBe(false);
  });

  it('that ends early gives what there is', async () => {
    const { bytes, reader } = source(1000, 600);
    expect(await reader.next(1000)).toEqual(bytes.subarray(0, 600));
    expect(await reader.next(10)).toHaveLength(0);
    expect(reader.position).toBe(600);
  });
});
