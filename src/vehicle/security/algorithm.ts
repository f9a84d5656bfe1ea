// The row that each seed and key algorithm of this folder exports.

import { z } from 'zod';
import { fromHex, toHex } from '../../core/bytes.ts';
import { describeError } from '../../core/errors.ts';
import { byte } from '../field-schema.ts';

/** What makes a key in a process of its own. */
export type KeyProgram =
  | { readonly kind: 'command'; readonly file: string }
  | { readonly kind: 'module'; readonly file: string; readonly level: number };

/** Runs the program: seed and key as hexadecimal digits. Handed in by the composition root. */
export type KeyCommand = (program: KeyProgram, seedHex: string) => Promise<string>;

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

/** Lengths in bytes. */
export interface SimulatedSizes {
  readonly seedBytes: number;
  readonly keyBytes: number;
}

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
  /** Lengths of seed and key in a simulated ECU. Missing: only the program of the ECU's maker computes the key. */
  readonly simulated?: (fields: z.infer<z.ZodObject<Fields>>) => SimulatedSizes;
  keyFromSeed(
    fields: z.infer<z.ZodObject<Fields>> & { readonly level: number },
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
    /** securityAccessDataRecord of requestSeed. */
    dataRecord: z
      .string('expected bytes as hexadecimal digits, in quotes when they look like a number')
      .regex(/^(?:[0-9a-fA-F]{2}){1,64}$/, 'expected 1 to 64 bytes as hexadecimal digits')
      .optional(),
    ...row.fields,
  });
  return { ...row, schema };
}

/** The key that a program prints. */
export async function keyOfProgram(
  program: KeyProgram,
  seed: Uint8Array,
  { runCommand }: KeySources,
): Promise<KeyResult> {
  if (runCommand === undefined) {
    return {
      reason: `security.algorithm is "${program.kind}", and this process may not run programs`,
    };
  }
  try {
    const key = fromHex((await runCommand(program, toHex(seed))).trim());
    return key.length === 0 ? { reason: `${program.file} gave no key` } : { key };
  } catch (error) {
    return {
      reason: `${program.file} gave no key: ${describeError(error)}; expected the key as hexadecimal digits on one line`,
    };
  }
}
