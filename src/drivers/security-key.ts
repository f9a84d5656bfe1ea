// The key for a seed, by the algorithms of the vehicle description.

import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { byteAt, fromHex } from '../core/bytes.ts';
import { describeError } from '../core/errors.ts';
import type { EcuSecurity } from '../vehicle/schema.ts';

/** Runs the program of an ECU's maker: seed and key as hexadecimal digits. Handed in by the composition root. */
export type KeyCommand = (command: string, seedHex: string) => Promise<string>;

/** The key, or why there is none; without a reason no secret is known. */
export async function keyFor(
  security: Exclude<EcuSecurity, { algorithm: 'none' }>,
  seed: Uint8Array,
  runCommand: KeyCommand | undefined,
): Promise<{ readonly key: Uint8Array } | { readonly reason: string | undefined }> {
  switch (security.algorithm) {
    case 'hmac-sha256':
      if (security.secret === undefined) return { reason: undefined };
      return { key: hmac(sha256, fromHex(security.secret), seed).slice(0, 16) };
    case 'xor': {
      const constant = fromHex(security.constant);
      return { key: seed.map((byte, index) => byte ^ byteAt(constant, index % constant.length)) };
    }
    case 'command': {
      if (runCommand === undefined) {
        return { reason: 'security.algorithm is "command", and this process may not run commands' };
      }
      try {
        const hex = Buffer.from(seed).toString('hex');
        const key = fromHex((await runCommand(security.command, hex)).trim());
        if (key.length === 0) return { reason: `${security.command} printed no key` };
        return { key };
      } catch (error) {
        return {
          reason: `${security.command} gave no key: ${describeError(error)}; expected the key as hexadecimal digits on one line`,
        };
      }
    }
  }
}
