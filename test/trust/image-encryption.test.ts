// Encrypted images: the format by hand, streams cut anywhere, and every way to tamper with a blob.

import {
  createCipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
} from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { concatBytes, fromHex, toHex } from '../../src/core/bytes.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import {
  BLOCK_BYTES,
  encryptedLength,
  encryptImage,
  HEADER_BYTES,
  ImageDecryptor,
} from '../../src/trust/image-encryption.ts';
import { x25519PublicKey } from '../../src/trust/signing-key.ts';
import {
  chunksOf,
  decrypt,
  ECU_KEY,
  encrypt,
  factsOf,
  imageOf,
  SEALED_BLOCK,
} from './image-encryption-support.ts';

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
