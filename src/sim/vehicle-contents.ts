// What an ECU really holds, read from the bytes on its disk, independent of what TMU and ECU say.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { EcuContents, ReadFile } from './ecu-contents.ts';
import { ECU_NAMES, type EcuName, OTHER_MAKE } from './machine-names.ts';
import { readPlainContents } from './other-make/memory.ts';

export type VehicleContents = Readonly<Record<EcuName, EcuContents>>;

const BANKS = ['bank-a', 'bank-b'] as const;
const TEST_FAILED = 0x01;

const bankSchema = z.object({ content: z.string(), length: z.number(), sha256: z.string() });
const bootRecordSchema = z.object({
  activeBank: z.union([z.literal(0), z.literal(1)]),
  banks: z.tuple([bankSchema, bankSchema]),
  activationPending: z.boolean(),
  rollbackPending: z.boolean(),
  trial: z.object({}).nullable(),
});
const countersSchema = z.object({ security: z.number() });
const headerSchema = z.object({ header: z.object({ securityCounter: z.number() }) });
const nvSchema = z.object({
  dtcs: z.array(z.object({ code: z.number(), status: z.number() })),
});

/** A missing file or a wrong checksum means: nothing to run, counter 0. */
export function readEcuContents(read: ReadFile): EcuContents {
  const record = sealed(read('boot-record'), bootRecordSchema);
  const nv = sealed(read('nv'), nvSchema);
  const common = {
    counter: sealed(read('counters'), countersSchema)?.security ?? 0,
    troubleCodes: (nv?.dtcs ?? [])
      .filter(({ status }) => (status & TEST_FAILED) !== 0)
      .map(({ code }) => code),
  };
  if (record === undefined) {
    return { ...common, sha256: undefined, standing: 'none', imageCounter: 0 };
  }
  const { activeBank, banks, activationPending, rollbackPending, trial } = record;
  const sha256 = banks[activeBank].content === 'valid' ? bankHash(read, activeBank) : undefined;
  return {
    ...common,
    sha256,
    standing:
      sha256 === undefined
        ? 'none'
        : activationPending || rollbackPending
          ? 'pending'
          : trial === null
            ? 'settled'
            : 'trial',
    imageCounter: imageCounter(read, activeBank),
  };
}

/** SHA-256 of the bytes in the file, whatever the boot record says about them. */
export function bankHash(read: ReadFile, bank: 0 | 1): string | undefined {
  const bytes = read(`${BANKS[bank]}.bin`);
  return bytes && createHash('sha256').update(bytes).digest('hex');
}

/** 0 where there is no signed header beside the bank. */
export function imageCounter(read: ReadFile, bank: 0 | 1): number {
  const bytes = read(`${BANKS[bank]}.trust`);
  if (bytes === undefined) return 0;
  const parsed = headerSchema.safeParse(parse(new TextDecoder().decode(bytes)));
  return parsed.success ? parsed.data.header.securityCounter : 0;
}

/** Contents of an ECU that the vehicle does not have: wanted and held are always equal. */
export const NOT_FITTED = {
  sha256: 'not fitted',
  standing: 'settled',
  counter: 0,
  imageCounter: 0,
  troubleCodes: [],
} as const satisfies EcuContents;

/** Contents of all ECUs at one moment; `readerOf` returns undefined for an ECU that the vehicle does not have. */
export function contentsOf(readerOf: (ecu: EcuName) => ReadFile | undefined): VehicleContents {
  const entries = ECU_NAMES.map((ecu) => [ecu, contentOf(ecu, readerOf(ecu))] as const);
  return Object.fromEntries(entries) as unknown as VehicleContents;
}

/** Contents of an ECU of any make. */
function contentOf(ecu: EcuName, read: ReadFile | undefined): EcuContents {
  if (read === undefined) return NOT_FITTED;
  return ecu === OTHER_MAKE ? readPlainContents(read) : readEcuContents(read);
}

/** JSON, and below it the hash of its line. */
export function sealed<T>(bytes: Uint8Array | undefined, schema: z.ZodType<T>): T | undefined {
  if (bytes === undefined) return undefined;
  const end = bytes.indexOf(0x0a) + 1;
  const line = bytes.subarray(0, end);
  const hash = createHash('sha256').update(line).digest('hex');
  const seal = new TextDecoder('latin1').decode(bytes.subarray(end));
  if (seal !== `sha256 ${hash}\n`) return undefined;
  return schema.safeParse(parse(new TextDecoder().decode(line))).data;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
