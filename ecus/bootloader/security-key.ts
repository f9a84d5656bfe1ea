// The seed and key algorithms of the vehicle description, from the ECU's side.

import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { constantTimeEqual, fromHex } from '../../src/core/bytes.ts';
import { InputError } from '../../src/core/errors.ts';
import type { EcuSecurity } from '../../src/vehicle/schema.ts';

export interface SeedKeyAlgorithm {
  /** Odd sub-function of requestSeed. */
  readonly level: number;
  accepts(seed: Uint8Array, key: Uint8Array): boolean;
}

/** Undefined where the ECU asks for no key. Throws InputError for `command`, which only a tester can run. */
export function seedKeyAlgorithm(
  security: EcuSecurity,
  ecuName: string,
): SeedKeyAlgorithm | undefined {
  switch (security.algorithm) {
    case 'none':
      return undefined;
    case 'hmac-sha256': {
      const secret = fromHex(security.secret);
      return {
        level: security.level,
        accepts: (seed, key) => constantTimeEqual(hmac(sha256, secret, seed).subarray(0, 16), key),
      };
    }
    case 'xor': {
      const constant = fromHex(security.constant);
      return {
        level: security.level,
        accepts: (seed, key) =>
          constantTimeEqual(
            seed.map((byte, index) => byte ^ constant[index % constant.length]!),
            key,
          ),
      };
    }
    case 'command':
      throw new InputError(
        `${ecuName}.security`,
        'a simulated ECU knows the algorithms none, hmac-sha256 and xor; "command" is for ECUs of others',
      );
  }
}
