// Service 27 of an ECU: the key check by the algorithm of the vehicle file, and the secrets that it uses.

import { constantTimeEqual } from '../../../src/core/bytes.ts';
import { InputError } from '../../../src/core/errors.ts';
import type { Random } from '../../../src/core/random.ts';
import { isShippedSecret } from '../../../src/trust/bench-keys.ts';
import { SecurityAccess } from '../../../src/uds/security.ts';
import { Session } from '../../../src/uds/sid.ts';
import type { KeyResult } from '../../../src/vehicle/security/algorithm.ts';
import {
  algorithmOf,
  type EcuSecurity,
  keyFromSeed,
  SIMULATED_ALGORITHMS,
} from '../../../src/vehicle/security/all.ts';
import { MAX_SECURITY_ATTEMPTS, type NvData } from '../flash/nv-data.ts';

export interface SeedKeyCheck {
  /** Odd sub-function of requestSeed. */
  readonly level: number;
  readonly seedBytes: number;
  readonly keyBytes: number;
  accepts(seed: Uint8Array, key: Uint8Array): boolean | Promise<boolean>;
}

/**
 * The key check; undefined where the ECU needs no key. `provisioned`: the key of DID FD14, read at each attempt; it is
 * used where the vehicle file has no secret. Throws InputError for an algorithm that only the ECU's maker can compute.
 */
export function seedKeyCheck(
  security: EcuSecurity,
  ecuName: string,
  provisioned: () => string | null,
): SeedKeyCheck | undefined {
  if (security.algorithm === 'none') return undefined;
  const sizes = algorithmOf(security).simulated?.(security);
  if (sizes === undefined) {
    const known = ['none', ...SIMULATED_ALGORITHMS];
    throw new InputError(
      `${ecuName}.security`,
      `a simulated ECU knows the algorithms ${known.slice(0, -1).join(', ')} and ${known.at(-1)}; "${security.algorithm}" is for ECUs of others`,
    );
  }
  return {
    ...sizes,
    level: security.level,
    accepts: (seed, key) => {
      const fits = (made: KeyResult): boolean =>
        made.key !== undefined && constantTimeEqual(made.key, key);
      const made = keyFromSeed(security, seed, { provisioned: provisioned() ?? undefined });
      return made instanceof Promise ? made.then(fits) : fits(made);
    },
  };
}

/** Service 27 with the number of attempts in non-volatile data. */
export function securityAccess(
  nv: NvData,
  check: SeedKeyCheck,
  random: Random,
  nowMs: number,
): SecurityAccess {
  return new SecurityAccess(
    {
      random,
      levels: [check.level],
      seedLength: check.seedBytes,
      keyLength: check.keyBytes,
      checkKey: (_level, seed, key) => check.accepts(seed, key),
      maxAttempts: MAX_SECURITY_ATTEMPTS,
      delayMs: 10_000,
      sessions: [Session.extended, Session.programming],
      record: { failedAttempts: nv.content.failedAttempts },
      save: ({ failedAttempts }) => nv.store({ failedAttempts }),
    },
    nowMs,
  );
}

/**
 * Throws InputError for a secret that is public. The secrets of the bench vehicle protect nothing, and a copy of its
 * file could bring them into a real vehicle.
 */
export function refuseShippedSecret(secret: string | undefined, where: string): void {
  if (secret === undefined || !isShippedSecret(secret)) return;
  throw new InputError(
    where,
    'is a secret that comes with can-ota: leave it out, so that the provisioned key counts, or add --bench-keys on a bench',
  );
}
