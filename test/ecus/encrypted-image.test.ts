// Images that only one ECU can open: decrypted as a stream, refused at the first wrong byte, never taken in plain.

import { beforeEach, describe, expect, it } from 'vitest';
import { concatBytes, toHex } from '../../src/core/bytes.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { benchEcuIdentity } from '../../src/trust/bench-keys.ts';
import {
  BLOCK_BYTES,
  ENCRYPTION_METHOD,
  encryptImage,
  HEADER_BYTES,
  TAG_BYTES,
} from '../../src/trust/image-encryption.ts';
import {
  BANK_ADDRESS,
  checkRequest,
  digestOf,
  downloadRequest,
  EcuBench,
  fileName,
  imageOf,
  type Release,
  releaseOf,
} from '../support/ecu-bench.ts';

const image = imageOf(3 * BLOCK_BYTES + 100);

/** The blob for an ECU, and what is signed about it. */
function encrypted(plain: Uint8Array, { serial = 'BENCH-EDT', version = '2.0.0', seed = 1 } = {}) {
  const release = releaseOf(plain, version);
  const cipher = encryptImage(
    {
      recipient: benchEcuIdentity(serial).encryption.publicKey,
      serial,
      name: fileName(release),
      sha256: release.sha256,
      length: plain.length,
    },
    seededRandom(seed),
  );
  const blob = concatBytes(cipher.header, cipher.update(plain), cipher.finish());
  const encryption = {
    file: `${fileName(release)}.enc`,
    length: blob.length,
    sha256: toHex(digestOf(blob)),
    method: ENCRYPTION_METHOD,
  } as const;
  return { blob, release: { ...release, encryption } satisfies Release };
}

const { blob, release } = encrypted(image);
const startEncrypted = downloadRequest(image.length, BANK_ADDRESS, 0x01);

/** The block of the blob at `index`, tag included. */
const blockAt = (index: number): number => HEADER_BYTES + index * (BLOCK_BYTES + TAG_BYTES);

function flipped(at: number): Uint8Array {
  const copy = Uint8Array.from(blob);
  copy[at]! ^= 0x01;
  return copy;
}

function swapped(): Uint8Array {
  const [first, second, third] = [blockAt(0), blockAt(1), blockAt(2)];
  const parts = [
    [0, first],
    [second, third],
    [first, second],
    [third, blob.length],
  ] as const;
  return concatBytes(...parts.map(([from, to]) => blob.subarray(from, to)));
}

describe('an encrypted image', () => {
  let bench: EcuBench;
  beforeEach(async () => {
    bench = await EcuBench.start();
    await bench.prepare();
    await bench.sendMetadata(release);
    await bench.expect('3101FF00');
  });

  it.each([4093, 4096 + 16, 1000, 77])('is decrypted on the way, in blocks of %i', async (size) => {
    await bench.expect(startEncrypted);
    await bench.sendBlocks(blob, Math.min(size, 4093));
    await bench.expect('37');
    expect(await bench.ask(checkRequest(image))).toBe('7101020200');
    expect(bench.storage.contents('bank-b.bin')).toEqual(image);
    await bench.expectOrder('activate');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
  });

  it('is not taken in plain, nor in any other format', async () => {
    expect(await bench.ask(downloadRequest(image.length))).toBe('7F3431');
    expect(await bench.ask(downloadRequest(image.length, BANK_ADDRESS, 0x02))).toBe('7F3431');
    expect(await bench.ask(downloadRequest(image.length, BANK_ADDRESS, 0x11))).toBe('7F3431');
    expect(await bench.ask(downloadRequest(blob.length, BANK_ADDRESS, 0x01))).toBe('7F3431');
  });

  it('a repeated block is not decrypted twice', async () => {
    await bench.expect(startEncrypted);
    for (let at = 0, counter = 1; at < blob.length; at += 2000, counter++) {
      const block = concatBytes(Uint8Array.of(0x36, counter), blob.subarray(at, at + 2000));
      await bench.expect(block);
      await bench.expect(block);
    }
    await bench.expect('37');
    expect(await bench.ask(checkRequest(image))).toBe('7101020200');
  });

  const attacks: readonly (readonly [string, Uint8Array])[] = [
    ['a changed header', flipped(0)],
    ['a changed ephemeral key', flipped(10)],
    ['a changed salt', flipped(45)],
    ['a changed byte in the first block', flipped(blockAt(0))],
    ['a changed byte in the last block', flipped(blockAt(3) + 5)],
    ['a changed tag at the very end', flipped(blob.length - 1)],
    ['two blocks swapped', swapped()],
    ['a blob for another ECU', encrypted(image, { serial: 'BENCH-INV' }).blob],
    ['a blob of another image', encrypted(imageOf(image.length, 8)).blob],
    ['a blob of another version', encrypted(image, { version: '2.0.1' }).blob],
    ['the plain image behind a header', concatBytes(blob.subarray(0, HEADER_BYTES), image)],
    [
      'blocks of two blobs',
      concatBytes(
        blob.subarray(0, blockAt(1)),
        encrypted(image, { seed: 2 }).blob.subarray(blockAt(1)),
      ),
    ],
  ];

  it.each(attacks)('%s fails the transfer, and the bank stays invalid', async (_what, forged) => {
    const bytes = concatBytes(forged, new Uint8Array(blob.length)).subarray(0, blob.length);
    await bench.expect(startEncrypted);
    let answer = '';
    for (let at = 0, counter = 1; at < bytes.length; at += 4000, counter++) {
      const block = bytes.subarray(at, at + 4000);
      answer = await bench.ask(concatBytes(Uint8Array.of(0x36, counter), block));
      if (answer.startsWith('7F')) break;
    }
    expect(answer).toBe('7F3672');
    expect(bench.events).toContainEqual(
      expect.objectContaining({ kind: 'image-refused', code: 'IMAGE_MISMATCH' }),
    );
    // Nothing of it goes on or counts.
    expect(await bench.ask('3602AA')).toBe('7F3624');
    expect(await bench.ask('37')).toBe('7F3724');
    expect(await bench.ask('31010202')).toBe('7F3124');
    expect(await bench.ask('22FD00')).toBe('62FD000000010000');
    const sha256 = toHex(digestOf(image));
    expect(await bench.order('activate', { sha256 })).toBe('7F3122');
    expect(await bench.text('FD22')).toContain('"attack":"IMAGE_MISMATCH"');
    // The right one is still welcome.
    await bench.expect('3101FF00');
    await bench.expect(startEncrypted);
    await bench.sendBlocks(blob);
    await bench.expect('37');
    expect(await bench.ask(checkRequest(image))).toBe('7101020200');
  });

  it('that ends early is not finished', async () => {
    await bench.expect(startEncrypted);
    await bench.sendBlocks(blob.subarray(0, blob.length - TAG_BYTES));
    expect(await bench.ask('37')).toBe('7F3724');
    await bench.prepare();
    expect(await bench.ask('22FD00')).toBe('62FD000000010000');
  });

  it('of one byte, and one of whole blocks, come out as they went in', async () => {
    for (const plain of [imageOf(1), imageOf(2 * BLOCK_BYTES)]) {
      const small = encrypted(plain, { version: '2.1.0' });
      await bench.sendMetadata(small.release);
      await bench.expect('3101FF00');
      await bench.expect(downloadRequest(plain.length, BANK_ADDRESS, 0x01));
      await bench.sendBlocks(small.blob, 100);
      await bench.expect('37');
      expect(await bench.ask(checkRequest(plain))).toBe('7101020200');
    }
  });
});

describe('a plain image', () => {
  it('is not taken encrypted', async () => {
    const bench = await EcuBench.start();
    await bench.prepare();
    await bench.sendMetadata(releaseOf(image, '2.0.0'));
    await bench.expect('3101FF00');
    expect(await bench.ask(startEncrypted)).toBe('7F3431');
    expect(await bench.ask(downloadRequest(image.length))).toBe('74200FFF');
  });
});
