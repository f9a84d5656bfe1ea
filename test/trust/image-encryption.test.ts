// Encrypted images: the format by hand, streams cut anywhere, and every way to tamper with a blob.

import {
  createCipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
} from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, fromHex, toHex } from '../../src/core/bytes.ts';
import type { Random } from '../../src/core/random.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import {
  BLOCK_BYTES,
  encryptedLength,
  encryptImage,
  HEADER_BYTES,
  ImageDecryptor,
  type ImageFacts,
  TAG_BYTES,
} from '../../src/trust/image-encryption.ts';
import { generateX25519, x25519PublicKey } from '../../src/trust/signing-key.ts';

const ECU_KEY = generateX25519(seededRandom(1));
const SEALED_BLOCK = BLOCK_BYTES + TAG_BYTES;

function imageOf(length: number, seed = 7): Uint8Array {
  return seededRandom(seed).bytes(length);
}

function factsOf(image: Uint8Array): ImageFacts {
  return {
    serial: 'CO-000001',
    name: 'EDT-2.0.0-0123456789ab.bin',
    sha256: createHash('sha256').update(image).digest('hex'),
    length: image.length,
  };
}

/** Cuts bytes into chunks of these lengths, over and over. */
function* chunksOf(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = Math.max(1, sizes[turn % sizes.length] ?? bytes.length);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

function encrypt(
  image: Uint8Array,
  how: { random?: Random; sizes?: readonly number[]; recipient?: Uint8Array } = {},
): Uint8Array {
  const recipient = how.recipient ?? ECU_KEY.publicKey;
  const encryptor = encryptImage({ recipient, ...factsOf(image) }, how.random ?? seededRandom(99));
  const parts = [encryptor.header];
  for (const chunk of chunksOf(image, how.sizes ?? [])) parts.push(encryptor.update(chunk));
  return concatBytes(...parts, encryptor.finish());
}

interface Decrypted {
  readonly plain: Uint8Array;
  readonly code: string;
}

/** All plain text that was given out, and how it ended. */
function decrypt(
  blob: Uint8Array,
  facts: ImageFacts,
  how: { sizes?: readonly number[]; privateKey?: Uint8Array } = {},
): Decrypted {
  const decryptor = new ImageDecryptor({
    privateKey: how.privateKey ?? ECU_KEY.privateKey,
    ...facts,
  });
  const parts: Uint8Array[] = [];
  for (const chunk of chunksOf(blob, how.sizes ?? [])) {
    const plain = decryptor.update(chunk);
    if (!plain.ok) {
      expect(decryptor.update(chunk)).toBe(plain);
      expect(decryptor.finish()).toBe(plain);
      return { plain: concatBytes(...parts), code: plain.code };
    }
    parts.push(plain.value);
  }
  const end = decryptor.finish();
  const plain = concatBytes(...parts, ...(end.ok ? [end.value] : []));
  return { plain, code: end.ok ? 'complete' : end.code };
}

const isPrefix = (part: Uint8Array, whole: Uint8Array): boolean =>
  toHex(whole).startsWith(toHex(part));

describe('an encrypted image', () => {
  it('has the documented form, computed by hand', () => {
    // Any two numbers below 2^255 make a test vector; the random source hands out the ephemeral key, then the salt.
    const ephemeral = fromHex('42'.repeat(32));
    const salt = fromHex('17'.repeat(16));
    const given = [ephemeral, salt];
    const random = { bytes: () => given.shift()!, fraction: () => 0 };
    const recipient = fromHex('24'.repeat(32));
    const image = imageOf(BLOCK_BYTES + 100);
    const facts = factsOf(image);
    const recipientPublic = x25519PublicKey(recipient);
    const blob = encrypt(image, { random, recipient: recipientPublic });

    const der = (prefix: string, raw: Uint8Array) =>
      Buffer.concat([Buffer.from(prefix, 'hex'), raw]);
    const privateKey = createPrivateKey({
      key: der('302e020100300506032b656e04220420', ephemeral),
      format: 'der',
      type: 'pkcs8',
    });
    const ephemeralPublic = createPublicKey(privateKey)
      .export({ format: 'der', type: 'spki' })
      .subarray(-32);
    const publicKey = createPublicKey({
      key: der('302a300506032b656e032100', recipientPublic),
      format: 'der',
      type: 'spki',
    });
    const header = Buffer.concat([
      Buffer.from('COE1'),
      Buffer.from([1, 12]),
      ephemeralPublic,
      salt,
    ]);
    const field = (bytes: Uint8Array | string) => {
      const part = Buffer.from(bytes as string);
      return Buffer.concat([Buffer.from([part.length >> 8, part.length & 0xff]), part]);
    };
    const length = Buffer.alloc(6);
    length.writeUIntBE(image.length, 0, 6);
    const info = Buffer.concat(
      [
        'can-ota image encryption 1',
        ephemeralPublic,
        recipientPublic,
        facts.serial,
        facts.name,
        Buffer.from(facts.sha256, 'hex'),
        length,
      ].map(field),
    );
    const shared = diffieHellman({ privateKey, publicKey });
    const derived = Buffer.from(hkdfSync('sha256', shared, salt, info, 39));
    const seal = (block: Uint8Array, nonceEnd: string): Buffer => {
      const nonce = Buffer.concat([derived.subarray(32), Buffer.from(nonceEnd, 'hex')]);
      const cipher = createCipheriv('aes-256-gcm', derived.subarray(0, 32), nonce);
      cipher.setAAD(header);
      return Buffer.concat([cipher.update(block), cipher.final(), cipher.getAuthTag()]);
    };
    const expected = Buffer.concat([
      header,
      seal(image.subarray(0, BLOCK_BYTES), '0000000000'),
      seal(image.subarray(BLOCK_BYTES), '0000000101'),
    ]);
    expect(toHex(blob)).toBe(expected.toString('hex'));
    expect(decrypt(blob, facts, { privateKey: recipient })).toEqual({
      plain: image,
      code: 'complete',
    });
  });

  it.each([0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES, 100_000])(
    'of %i bytes has the announced length, and opens again',
    (length) => {
      const image = imageOf(length);
      const blob = encrypt(image);
      expect(blob).toHaveLength(encryptedLength(length));
      expect(decrypt(blob, factsOf(image))).toEqual({ plain: image, code: 'complete' });
    },
  );

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

  it('gives out a block as soon as it is complete, and keeps no more than one', () => {
    const image = imageOf(3 * BLOCK_BYTES);
    const blob = encrypt(image);
    const decryptor = new ImageDecryptor({ privateKey: ECU_KEY.privateKey, ...factsOf(image) });
    let given = 0;
    for (const [index, chunk] of [...chunksOf(blob, [1])].entries()) {
      const plain = decryptor.update(chunk);
      if (!plain.ok) throw new Error(plain.reason);
      given += plain.value.length;
      const blocks = Math.floor((index + 1 - HEADER_BYTES) / SEALED_BLOCK);
      if (given !== Math.max(0, blocks) * BLOCK_BYTES) throw new Error(`${given} after ${index}`);
    }
    expect(given).toBe(image.length);
  });

  it('is another one each time', () => {
    const image = imageOf(100);
    const random = seededRandom(5);
    const one = encrypt(image, { random });
    const other = encrypt(image, { random });
    expect(toHex(one.subarray(6, HEADER_BYTES))).not.toBe(toHex(other.subarray(6, HEADER_BYTES)));
    expect(toHex(one.subarray(HEADER_BYTES))).not.toBe(toHex(other.subarray(HEADER_BYTES)));
    expect(decrypt(one, factsOf(image)).code).toBe('complete');
    expect(decrypt(other, factsOf(image)).code).toBe('complete');
  });

  it('shows nothing of the image', () => {
    const image = new Uint8Array(3 * BLOCK_BYTES);
    const blob = Buffer.from(encrypt(image));
    expect(blob.indexOf(Buffer.alloc(16))).toBe(-1);
    const sealed = [0, 1, 2].map((index) => {
      const at = HEADER_BYTES + index * SEALED_BLOCK;
      return blob.subarray(at, at + BLOCK_BYTES).toString('hex');
    });
    expect(new Set(sealed).size).toBe(3);
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

  it.each<[string, Partial<ImageFacts>]>([
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
      expect(verdict.ok ? '' : verdict.reason).toContain('its header is none');
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

describe('mistakes of the caller', () => {
  const image = imageOf(1000);
  const facts = factsOf(image);
  const { publicKey: recipient } = ECU_KEY;

  it('an image that is not what its facts say is not encrypted', () => {
    const start = () => encryptImage({ recipient, ...facts }, seededRandom());
    const short = start();
    short.update(image.subarray(1));
    expect(() => short.finish()).toThrow('fewer than the 1000 bytes of the image');
    expect(() => start().update(concatBytes(image, image))).toThrow('more than the 1000 bytes');
    const wrong = start();
    wrong.update(imageOf(1000, 8));
    expect(() => wrong.finish()).toThrow('wrong SHA-256');
  });

  it('facts that cannot be', () => {
    for (const bad of [
      { sha256: 'x' },
      { sha256: 'AB'.repeat(32) },
      { length: -1 },
      { length: 0.5 },
    ]) {
      expect(() => encryptImage({ recipient, ...facts, ...bad }, seededRandom())).toThrow(
        RangeError,
      );
      expect(
        () => new ImageDecryptor({ privateKey: ECU_KEY.privateKey, ...facts, ...bad }),
      ).toThrow(RangeError);
    }
  });

  it('a recipient without a key', () => {
    for (const key of [new Uint8Array(32), new Uint8Array(31)]) {
      expect(() => encryptImage({ ...facts, recipient: key }, seededRandom())).toThrow(
        'the key of CO-000001 is no X25519 key',
      );
    }
  });
});
