// The seed and key algorithms of the vehicle description, from the ECU's side, and which secrets count.

import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { constantTimeEqual, fromHex } from '../../../src/core/bytes.ts';
import { InputError } from '../../../src/core/errors.ts';
import { isShippedSecret } from '../../../src/trust/bench-keys.ts';
import type { EcuSecurity } from '../../../src/vehicle/schema.ts';

export interface SeedKeyAlgorithm {
  /** Odd sub-function of requestSeed. */
  readonly level: number;
  accepts(seed: Uint8Array, key: Uint8Array): boolean;
}

/**
 * Undefined where the ECU asks for no key. `provisioned`: the key of DID FD14, asked for at each attempt; it counts
 * where the vehicle file names none. Throws InputError for `command`, which only a tester can run.
 */
export function seedKeyAlgorithm(
  security: EcuSecurity,
  ecuName: string,
  provisioned: () => string | null,
): SeedKeyAlgorithm | undefined {
  switch (security.algorithm) {
    case 'none':
      return undefined;
    case 'hmac-sha256': {
      return {
        level: security.level,
        accepts: (seed, key) => {
          const secret = security.secret ?? provisioned();
          if (secret === null) return false;
          return constantTimeEqual(hmac(sha256, fromHex(secret), seed).subarray(0, 16), key);
        },
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

/**
 * Throws InputError for a secret that everybody has: those of the bench vehicle protect nothing, and a copy of its
 * file is how they would come into a real one.
 */
export function refuseShippedSecret(secret: string | undefined, where: string): void {
  if (secret === undefined || !isShippedSecret(secret)) return;
  throw new InputError(
    where,
    'is a secret that comes with can-ota: leave it out, so that the provisioned key counts, or add --bench-keys on a bench',
  );
}
