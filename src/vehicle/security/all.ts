// All seed and key algorithms for `security` of the vehicle file. A new one is a file here and a line in this list.

import { z } from 'zod';
import { aesCmac } from './aes-cmac.ts';
import type { KeyResult, KeySources, SimulatedSizes } from './algorithm.ts';
import { arithmetic } from './arithmetic.ts';
import { command } from './command.ts';
import { hmacSha256 } from './hmac-sha256.ts';
import { module } from './module.ts';
import { xor } from './xor.ts';

const ALGORITHMS = [hmacSha256, aesCmac, xor, arithmetic, command, module] as const;

export const securitySchema = z.discriminatedUnion('algorithm', [
  z.strictObject({ algorithm: z.literal('none') }),
  ...ALGORITHMS.map(({ schema }) => schema),
]);

/** `security` of one ECU in the vehicle file. */
export type EcuSecurity = z.infer<typeof securitySchema>;
/** `security` of an ECU with a seed and a key. */
export type SeedKeySecurity = Exclude<EcuSecurity, { algorithm: 'none' }>;

/** `security` of an ECU whose key may come from its provisioning. */
export type ProvisionedSecurity = Extract<EcuSecurity, { algorithm: 'hmac-sha256' }>;

/** A row without the type of its fields: the schema has checked that they belong to the algorithm. */
interface Algorithm {
  readonly name: string;
  readonly decisive: string;
  readonly provisioned?: boolean;
  simulated?(fields: object): SimulatedSizes;
  keyFromSeed(
    fields: object,
    seed: Uint8Array,
    sources: KeySources,
  ): KeyResult | Promise<KeyResult>;
}

const BY_NAME: ReadonlyMap<string, Algorithm> = new Map(
  ALGORITHMS.map((row): [string, Algorithm] => [row.name, row]),
);

/** The algorithm that the vehicle file names. */
export function algorithmOf({ algorithm }: SeedKeySecurity): Algorithm {
  const row = BY_NAME.get(algorithm);
  if (row === undefined) throw new RangeError(`no security algorithm is called ${algorithm}`);
  return row;
}

/** The key that an ECU with this `security` expects for a seed. */
export function keyFromSeed(
  security: SeedKeySecurity,
  seed: Uint8Array,
  sources: KeySources,
): KeyResult | Promise<KeyResult> {
  return algorithmOf(security).keyFromSeed(security, seed, sources);
}

/** True where `security.secret` is missing: then the key from the provisioning is used. */
export function usesProvisionedKey(security: EcuSecurity): security is ProvisionedSecurity {
  return security.algorithm !== 'none' && algorithmOf(security).provisioned === true;
}

/** The values of `security.algorithm`, for the reference of the vehicle file. */
export const SECURITY_SUMMARY = `none; ${ALGORITHMS.map(({ name, summary }) => `${name}: ${summary}`).join('; ')}.`;

/** The meaning of each field of an algorithm, for the same reference. A field of two algorithms has both texts. */
export const SECURITY_TEXTS: Readonly<Record<string, string>> = fieldTexts();

function fieldTexts(): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const { name, texts: own } of ALGORITHMS) {
    for (const [field, text] of Object.entries(own)) {
      const before = texts[field] === undefined ? '' : `${texts[field]} `;
      texts[field] = `${before}${name}: ${text}`;
    }
  }
  return texts;
}

/** Names of the algorithms that a simulated ECU can check, for messages. */
export const SIMULATED_ALGORITHMS: readonly string[] = ALGORITHMS.filter(
  (row) => 'simulated' in row,
).map(({ name }) => name);
