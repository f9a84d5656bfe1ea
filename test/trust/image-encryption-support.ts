// Encrypted images for tests, made by hand.

import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { concatBytes } from '../../src/core/bytes.ts';
import type { Random } from '../../src/core/random.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import {
  BLOCK_BYTES,
  type EncryptionFacts,
  encryptImage,
  ImageDecryptor,
  TAG_BYTES,
} from '../../src/trust/image-encryption.ts';
import { generateX25519 } from '../../src/trust/signing-key.ts';

export const ECU_KEY = generateX25519(seededRandom(1));
export const SEALED_BLOCK = BLOCK_BYTES + TAG_BYTES;

export function imageOf(length: number, seed = 7): Uint8Array {
  return seededRandom(seed).bytes(length);
}

export function factsOf(image: Uint8Array): EncryptionFacts {
  return {
    serial: 'CO-000001',
    name: 'EDT-2.0.0-0123456789ab.bin',
    sha256: createHash('sha256').update(image).digest('hex'),
    length: image.length,
  };
}

/** Cuts bytes into chunks of these lengths, over and over. */
export function* chunksOf(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = Math.max(1, sizes[turn % sizes.length] ?? bytes.length);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

export function encrypt(
  image: Uint8Array,
  how: { random?: Random; sizes?: readonly number[]; recipient?: Uint8Array } = {},
): Uint8Array {
  const recipient = how.recipient ?? ECU_KEY.publicKey;
  const encryptor = encryptImage({ recipient, ...factsOf(image) }, how.random ?? seededRandom(99));
  const parts = [encryptor.header];
  for (const chunk of chunksOf(image, how.sizes ?? [])) parts.push(encryptor.update(chunk));
  return concatBytes(...parts, encryptor.finish());
}

export interface Decrypted {
  readonly plain: Uint8Array;
  readonly code: string;
}

/** All plain text that was given out, and how it ended. */
export function decrypt(
  blob: Uint8Array,
  facts: EncryptionFacts,
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
