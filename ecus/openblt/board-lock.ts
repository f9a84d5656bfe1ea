// The lock of a simulated OpenBLT board: the seed and key of `security` in the vehicle file.

import { InputError } from '../../src/core/errors.ts';
import type { Random } from '../../src/core/random.ts';
import type { VehicleEcu } from '../../src/vehicle/schema.ts';
import { algorithmOf, keyFromSeed, SIMULATED_ALGORITHMS } from '../../src/vehicle/security/all.ts';
import type { XcpLock } from '../../src/xcp/slave.ts';

/** Undefined: the board is not locked. Throws InputError for an algorithm that only a program computes. */
export function boardLock(
  { name, security }: Pick<VehicleEcu, 'name' | 'security'>,
  random: Random,
): XcpLock | undefined {
  if (security.algorithm === 'none') return undefined;
  const sizes = algorithmOf(security).simulated?.(security);
  if (sizes === undefined) {
    throw new InputError(
      `security.algorithm of ${name}`,
      `${security.algorithm} cannot be simulated: expected ${SIMULATED_ALGORITHMS.join(', ')}`,
    );
  }
  return {
    seed: () => random.bytes(sizes.seedBytes),
    keyFor: async (seed) => (await keyFromSeed(security, seed, {})).key,
  };
}
