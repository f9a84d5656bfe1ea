// The row that each seed and key algorithm of this folder exports.

import { z } from 'zod';
import { byte } from '../field-schema.ts';

/** Runs the program of an ECU's maker: seed and key are hexadecimal digits. Handed in by the composition root. */
export type KeyCommand = (command: string, seedHex: string) => Promise<string>;

/** Inputs of a key besides the seed and the fields of the vehicle file. */
export interface KeySources {
  /** The key from the provisioning of the ECU, as hexadecimal digits. */
  readonly provisioned?: string | undefined;
  readonly runCommand?: KeyCommand | undefined;
}

/** The key, or the reason why there is none. Without a reason the secret is unknown. */
export type KeyResult =
  | { readonly key: Uint8Array }
  | { readonly key?: undefined; readonly reason: string | undefined };

export interface AlgorithmRow<Name extends string, Fields extends z.ZodRawShape> {
  /** Name for `security.algorithm` in the vehicle file. */
  readonly name: Name;
  /** Its fields in the vehicle file, beside `algorithm` and `level`. */
  readonly fields: Fields;
  /** How the key is made from the seed, for the reference of the vehicle file. */
  readonly summary: string;
  /** The meaning of each field, for the same reference. */
  readonly texts: Readonly<Record<keyof Fields & string, string>>;
  /** The field of the vehicle file that determines the key, for messages. */
  readonly decisive: string;
  /** `secret` may be missing in the vehicle file: then the key from the provisioning of the ECU is used. */
  readonly provisioned?: boolean;
  /** Lengths in bytes of seed and key in a simulated ECU. Missing: only the program of the ECU's maker computes the key. */
  readonly simulated?: { readonly seedBytes: number; readonly keyBytes: number };
  keyFromSeed(
    fields: z.infer<z.ZodObject<Fields>>,
    seed: Uint8Array,
    sources: KeySources,
  ): KeyResult | Promise<KeyResult>;
}

/** Makes a row with its schema of `security` in the vehicle file. */
export function securityAlgorithm<const Name extends string, Fields extends z.ZodRawShape>(
  row: AlgorithmRow<Name, Fields>,
) {
  const schema = z.strictObject({
    algorithm: z.literal(row.name),
    /** Odd sub-function of requestSeed. */
    level: byte.default(0x01),
    ...row.fields,
  });
  return { ...row, schema };
}
