// aes-cmac: the key is the AES-CMAC (RFC 4493) of the seed, as AUTOSAR's secure ECUs have it.

import { createCipheriv } from 'node:crypto';
import { z } from 'zod';
import { byteAt, fromHex } from '../../core/bytes.ts';
import { securityAlgorithm } from './algorithm.ts';

const BLOCK_BYTES = 16;
/** RFC 4493 2.3: the constant of the doubling in GF(2^128). */
const R = 0x87;

export const aesCmac = securityAlgorithm({
  name: 'aes-cmac',
  fields: {
    secret: z
      .string('expected a key of AES as hexadecimal digits, in quotes when they look like a number')
      .regex(
        /^(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{48}|[0-9a-fA-F]{64})$/,
        'expected 16, 24 or 32 bytes as hexadecimal digits',
      ),
    keyBytes: z.number().int().min(1).max(BLOCK_BYTES).default(BLOCK_BYTES),
  },
  summary: 'first keyBytes bytes of AES-CMAC(secret, seed)',
  texts: {
    secret: 'the key of AES, 16, 24 or 32 bytes as hexadecimal digits.',
    keyBytes: 'bytes of the MAC that are sent.',
  },
  decisive: 'security.secret',
  simulated: ({ keyBytes }) => ({ seedBytes: 16, keyBytes }),
  keyFromSeed({ secret, keyBytes }, seed) {
    return { key: cmac(fromHex(secret), seed).slice(0, keyBytes) };
  },
});

/** RFC 4493 2.4. */
export function cmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  const encrypt = (block: Uint8Array): Uint8Array => {
    const cipher = createCipheriv(`aes-${key.length * 8}-ecb`, key, null).setAutoPadding(false);
    return Uint8Array.from(cipher.update(block));
  };
  const first = doubled(encrypt(new Uint8Array(BLOCK_BYTES)));
  const blocks = Math.max(1, Math.ceil(message.length / BLOCK_BYTES));
  const last = new Uint8Array(BLOCK_BYTES);
  const rest = message.subarray((blocks - 1) * BLOCK_BYTES);
  last.set(rest);
  const isWhole = rest.length === BLOCK_BYTES;
  if (!isWhole) last[rest.length] = 0x80;
  let chained = new Uint8Array(BLOCK_BYTES);
  for (let at = 0; at < blocks - 1; at++) {
    const block = message.subarray(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES);
    chained = Uint8Array.from(encrypt(xored(chained, block)));
  }
  return encrypt(xored(chained, xored(last, isWhole ? first : doubled(first))));
}

function doubled(block: Uint8Array): Uint8Array {
  const shifted = block.map((byte, at) => ((byte << 1) & 0xff) | ((block[at + 1] ?? 0) >> 7));
  if (byteAt(block, 0) & 0x80) shifted[BLOCK_BYTES - 1] = byteAt(shifted, BLOCK_BYTES - 1) ^ R;
  return shifted;
}

function xored(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, at) => byte ^ byteAt(b, at));
}
