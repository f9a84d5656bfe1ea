// Randomness as a capability: secrets and jitter come from here, the simulation hands in a seed.

import { randomBytes } from 'node:crypto';

export interface Random {
  /** Unpredictable bytes (predictable under a seed, which is the point of the simulation). */
  bytes(length: number): Uint8Array;
  /** 0 <= x < 1 */
  fraction(): number;
}

export const systemRandom: Random = {
  bytes: (length) => Uint8Array.from(randomBytes(length)),
  fraction: () => randomBytes(4).readUInt32BE() / 2 ** 32,
};

/** `centre` changed by at most `share` of itself in either direction, so that a fleet does not call at the same time. */
export function jitter(random: Random, centre: number, share: number): number {
  return centre * (1 + share * (2 * random.fraction() - 1));
}
