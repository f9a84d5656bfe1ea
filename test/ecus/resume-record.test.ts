// The record of a place in a download: which ones an ECU believes, and what it counts on the way.

import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { encodeSealed } from '../../ecus/bootloader/flash/sealed-json.ts';
import {
  type ResumePoint,
  ResumeStore,
  TransferPosition,
} from '../../ecus/bootloader/programming/resume-point.ts';
import { BLOCK_BYTES, HEADER_BYTES, TAG_BYTES } from '../../src/trust/image-encryption.ts';
import { FaultStorage } from '../support/fault-storage.ts';

const plain: ResumePoint = {
  ...{ bank: 1, name: 'EDT.bin', sha256: 'ab'.repeat(32), length: 10_000, encrypted: false },
  ...{ received: 5000, carried: 5000, crc32: 1, header: '' },
};
const encrypted = {
  ...plain,
  ...{ encrypted: true, received: BLOCK_BYTES, header: 'cd'.repeat(HEADER_BYTES) },
  carried: HEADER_BYTES + BLOCK_BYTES + TAG_BYTES,
};

async function pointIn(point: object): Promise<object | undefined> {
  const storage = new FaultStorage();
  await storage.replace('resume.json', encodeSealed({ format: 1, point }));
  return (await ResumeStore.open(storage)).point;
}

describe('a place', () => {
  it.each<[string, object]>([
    ['in the middle', plain],
    ['behind the first byte', { ...plain, received: 1, carried: 1 }],
    ['before the last byte', { ...plain, received: 9999, carried: 9999 }],
    ['with the highest checksum', { ...plain, crc32: 0xffff_ffff }],
    ['in the other bank', { ...plain, bank: 0 }],
    ['behind a block of the cipher', encrypted],
  ])('%s is believed', async (_where, point) => {
    expect(await pointIn(point)).toEqual(point);
  });

  it.each<[string, object]>([
    ['at the beginning', { ...plain, received: 0, carried: 0 }],
    ['at the end', { ...plain, received: 10_000, carried: 10_000 }],
    ['in a third bank', { ...plain, bank: 2 }],
    ['with another count on the wire', { ...plain, carried: 5001 }],
    ['with a checksum of 33 bits', { ...plain, crc32: 0x1_0000_0000 }],
    ['with a negative checksum', { ...plain, crc32: -1 }],
    ['plain, with a header', { ...plain, header: 'cd' }],
    ['encrypted, with half a header', { ...encrypted, header: 'cd'.repeat(HEADER_BYTES - 1) }],
    ['encrypted, with the count of a plain one', { ...encrypted, carried: BLOCK_BYTES }],
    ['of a name that is too long', { ...plain, name: 'x'.repeat(257) }],
    ['without a digest', { ...plain, sha256: '' }],
  ])('%s is not', async (_where, point) => {
    expect(await pointIn(point)).toBeUndefined();
  });

  it('that is forgotten stays so, also where the disk does not take it', async () => {
    const storage = new FaultStorage();
    const store = await ResumeStore.open(storage);
    await store.forget();
    expect(storage.operations).toBe(0);
    await store.set(plain);
    expect(store.point).toEqual(plain);
    storage.failing = 'NO_SPACE';
    await expect(store.forget()).rejects.toThrow();
    expect(store.point).toBeUndefined();
    storage.failing = undefined;
    await store.set({ ...plain, received: 6000, carried: 6000 });
    expect(store.point).toMatchObject({ received: 6000 });
  });
});

describe('the position', () => {
  const bytes = Uint8Array.from({ length: 30 }, (_, index) => index);

  it('of a plain transfer is behind every byte', () => {
    const position = new TransferPosition();
    expect(position.resumable).toEqual({ carried: 0, received: 0, crc32: 0 });
    position.push(bytes.subarray(0, 10), 10, 10);
    position.push(bytes.subarray(10), 30, 30);
    expect(position.resumable).toEqual({ carried: 30, received: 30, crc32: crc32(bytes) });
  });

  it('of an encrypted one is behind the last whole block', () => {
    const position = new TransferPosition();
    position.push(bytes.subarray(0, 12), 8, 4);
    const first = { carried: 8, received: 4, crc32: crc32(bytes.subarray(0, 8)) };
    expect(position.resumable).toEqual(first);
    position.push(bytes.subarray(12, 14), 8, 4);
    expect(position.resumable).toEqual(first);
    position.push(bytes.subarray(14, 26), 20, 16);
    expect(position.resumable).toEqual({
      ...{ carried: 20, received: 16 },
      crc32: crc32(bytes.subarray(0, 20)),
    });
  });

  it('goes on from where it was', () => {
    const from = { carried: 8, received: 8, crc32: crc32(bytes.subarray(0, 8)) };
    const position = new TransferPosition(from);
    expect(position.resumable).toEqual(from);
    position.push(bytes.subarray(8, 30), 30, 30);
    expect(position.resumable).toEqual({ carried: 30, received: 30, crc32: crc32(bytes) });
  });
});
