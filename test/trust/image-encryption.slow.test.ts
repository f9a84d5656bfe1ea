// Encrypted images: tampered with and cut anywhere.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, toHex } from '../../src/core/bytes.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import {
  BLOCK_BYTES,
  type EncryptionFacts,
  encryptImage,
  HEADER_BYTES,
  ImageDecryptor,
} from '../../src/trust/image-encryption.ts';
import { generateX25519 } from '../../src/trust/signing-key.ts';
import {
  decrypt,
  ECU_KEY,
  encrypt,
  factsOf,
  imageOf,
  SEALED_BLOCK,
} from './image-encryption-support.ts';

const isPrefix = (part: Uint8Array, whole: Uint8Array): boolean =>
  toHex(whole).startsWith(toHex(part));

describe('an encrypted image', () => {
  it('may be cut into chunks anywhere, on both sides', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 3 * BLOCK_BYTES }), {
      minLength: 1,
      maxLength: 5,
    });
    const lengths = fc.integer({ min: 0, max: 5 * BLOCK_BYTES });
    fc.assert(
      fc.property(lengths, sizes, sizes, (length, inSizes, outSizes) => {
        const image = imageOf(length);
        const blob = encrypt(image, { sizes: inSizes });
        expect(toHex(blob)).toBe(toHex(encrypt(image)));
        const opened = decrypt(blob, factsOf(image), { sizes: outSizes });
        expect(opened.code).toBe('complete');
        expect(toHex(opened.plain)).toBe(toHex(image));
      }),
      { numRuns: 60 },
    );
  });
});

describe('tampering', () => {
  const image = imageOf(3 * BLOCK_BYTES + 500);
  const facts = factsOf(image);
  const blob = encrypt(image);
  const header = blob.subarray(0, HEADER_BYTES);
  const block = (index: number, of = blob): Uint8Array => {
    const at = HEADER_BYTES + index * SEALED_BLOCK;
    return of.subarray(at, at + SEALED_BLOCK);
  };
  const other = encrypt(image, { random: seededRandom(3) });
  const longer = imageOf(4 * BLOCK_BYTES);

  it('blocks put together as they were are accepted', () => {
    const whole = concatBytes(header, block(0), block(1), block(2), block(3));
    expect(decrypt(whole, facts)).toEqual({ plain: image, code: 'complete' });
  });

  it.each<[string, Uint8Array]>([
    ['two blocks swapped', concatBytes(header, block(1), block(0), block(2), block(3))],
    ['a block twice', concatBytes(header, block(0), block(0), block(2), block(3))],
    ['a block left out', concatBytes(header, block(0), block(1), block(3))],
    ['the last block missing', concatBytes(header, block(0), block(1), block(2))],
    ['cut at a block', concatBytes(header, block(0))],
    ['only the header', header],
    ['half the header', header.subarray(0, 20)],
    ['nothing', new Uint8Array()],
    ['one byte missing', blob.subarray(0, -1)],
    ['one byte more', concatBytes(blob, new Uint8Array(1))],
    ['a block more', concatBytes(blob, block(3))],
    ['a block of another blob', concatBytes(header, block(0), block(1, other), block(2), block(3))],
    [
      'the header of another blob',
      concatBytes(other.subarray(0, HEADER_BYTES), blob.subarray(HEADER_BYTES)),
    ],
    ['the blob of another image', encrypt(longer)],
    ['the blob of an image of the same length', encrypt(imageOf(image.length, 8))],
    [
      'a blob for another ECU',
      encrypt(image, { recipient: generateX25519(seededRandom(2)).publicKey }),
    ],
    ['the plain image', image],
    ['the plain image with a header', concatBytes(header, image)],
  ])('%s is refused: IMAGE_MISMATCH', (_name, tampered) => {
    for (const sizes of [[], [1], [1000], [SEALED_BLOCK], [4093]]) {
      const { plain, code } = decrypt(tampered, facts, { sizes });
      expect(code).toBe('IMAGE_MISMATCH');
      expect(isPrefix(plain, image)).toBe(true);
    }
  });

  it('an image cut to its first blocks does not pass for a shorter one', () => {
    // The attacker also controls what the ECU believes: length and hash are in the key.
    const short = image.subarray(0, BLOCK_BYTES);
    for (const claimed of [factsOf(short), { ...facts, length: BLOCK_BYTES }]) {
      expect(decrypt(concatBytes(header, block(0)), claimed)).toEqual({
        plain: new Uint8Array(),
        code: 'IMAGE_MISMATCH',
      });
    }
  });

  it.each<[string, Partial<EncryptionFacts>]>([
    ['serial', { serial: 'CO-000002' }],
    ['name', { name: 'INV-2.0.0-0123456789ab.bin' }],
    ['sha256', { sha256: '00'.repeat(32) }],
    ['length', { length: image.length - 1 }],
  ])('a blob opens only with its %s', (_name, change) => {
    const { plain, code } = decrypt(blob, { ...facts, ...change });
    expect(code).toBe('IMAGE_MISMATCH');
    expect(plain).toHaveLength(0);
  });

  it('fields cannot be moved from one name into the next', () => {
    const one = { ...facts, serial: 'AB', name: 'C' };
    const encryptor = encryptImage({ recipient: ECU_KEY.publicKey, ...one }, seededRandom(1));
    const moved = concatBytes(encryptor.header, encryptor.update(image), encryptor.finish());
    expect(decrypt(moved, one).code).toBe('complete');
    expect(decrypt(moved, { ...one, serial: 'A', name: 'BC' }).code).toBe('IMAGE_MISMATCH');
  });

  it('any changed bit is found, and nothing wrong is given out before', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: blob.length - 1 }),
        fc.integer({ min: 0, max: 7 }),
        fc.integer({ min: 1, max: 9000 }),
        (at, bit, size) => {
          const tampered = Uint8Array.from(blob);
          tampered[at]! ^= 1 << bit;
          const { plain, code } = decrypt(tampered, facts, { sizes: [size] });
          // RFC 7748 5: the top bit of a public key is ignored, but the header is authenticated as it came.
          expect(code).toBe('IMAGE_MISMATCH');
          expect(isPrefix(plain, image)).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('every byte of the header counts', () => {
    for (let at = 0; at < HEADER_BYTES; at++) {
      for (const mask of [0x01, 0x80]) {
        const tampered = Uint8Array.from(blob);
        tampered[at]! ^= mask;
        const { plain, code } = decrypt(tampered, facts);
        expect([at, code, plain.length]).toEqual([at, 'IMAGE_MISMATCH', 0]);
      }
    }
  });

  it('another format is named as such', () => {
    for (const at of [0, 4, 5]) {
      const tampered = Uint8Array.from(blob);
      tampered[at]! += 1;
      const decryptor = new ImageDecryptor({ privateKey: ECU_KEY.privateKey, ...facts });
      const verdict = decryptor.update(tampered);
      expect(verdict.ok ? '' : verdict.reason).toContain('its header is damaged');
    }
  });

  it('what follows the last block is refused at once', () => {
    const decryptor = new ImageDecryptor({ privateKey: ECU_KEY.privateKey, ...facts });
    expect(decryptor.update(blob).ok).toBe(true);
    expect(decryptor.update(new Uint8Array()).ok).toBe(true);
    expect(decryptor.update(new Uint8Array(1))).toMatchObject({ code: 'IMAGE_MISMATCH' });
  });

  it('an ephemeral key of small order is refused', () => {
    const tampered = concatBytes(blob.subarray(0, 6), new Uint8Array(32), blob.subarray(6 + 32));
    const { code } = decrypt(tampered, facts);
    expect(code).toBe('IMAGE_MISMATCH');
  });
});
