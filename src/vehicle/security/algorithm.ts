// What a seed and key algorithm is: the form of the row in each file of this folder.

import { z } from 'zod';
import { byte } from '../field-schema.ts';

/** Runs the program of an ECU's maker: seed and key as hexadecimal digits. Handed in by the composition root. */
export type KeyCommand = (command: string, seedHex: string) => Promise<string>;

/** What a key may need besides the seed and the fields of the vehicle file. */
export interface KeySources {
  /** The key that the ECU was provisioned with, as hexadecimal digits. */
  readonly provisioned?: string | undefined;
  readonly runCommand?: KeyCommand | undefined;
}

/** The key, or why there is none; without a reason no secret is known. */
export type KeyResult =
  | { readonly key: Uint8Array }
  | { readonly key?: undefined; readonly reason: string | undefined };

export interface AlgorithmRow<Name extends string, Fields extends z.ZodRawShape> {
  /** `security.algorithm` in the vehicle file. */
  readonly name: Name;
  /** Its fields in the vehicle file, beside `algorithm` and `level`. */
  readonly fields: Fields;
  /** How the key comes from the seed, for the reference of the vehicle file. */
  readonly summary: string;
  /** What each field means, for the same reference. */
  readonly texts: Readonly<Record<keyof Fields & string, string>>;
  /** What of the vehicle file decides about the key, for messages. */
  readonly decisive: string;
  /** Where `secret` may be missing in the vehicle file: then the key counts that the ECU was provisioned with. */
  readonly provisioned?: boolean;
  /** Bytes of seed and key in a simulated ECU. Missing: only the ECU's maker can compute the key. */
  readonly simulated?: { readonly seedBytes: number; readonly keyBytes: number };
  keyFromSeed(
    fields: z.infer<z.ZodObject<Fields>>,
    seed: Uint8Array,
    sources: KeySources,
  ): KeyResult | Promise<KeyResult>;
}

/** The row with its schema of `security` in the vehicle file. */
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
