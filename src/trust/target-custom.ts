// The facts of Targets about an image besides its length and hashes: the fields that must match in both repositories.

import type { TargetFile } from '@tufjs/models';
import { z } from 'zod';
import { sha256Hex } from '../core/names.ts';
import { accepted, refused, type Verdict } from './attack.ts';
import { type Dialect, RULES } from './profile.ts';
import { quoted } from './strict-json.ts';

const text = z.string().min(1).max(128);

const sha256 = sha256Hex;

/** Where the first byte of an image of one segment lies in the memory of the ECU. */
const memoryAddress = z.int().min(0).max(0xffff_ffff);

/** The file of an image that is encrypted for one ECU (5.2.3.1). */
const encryptedImage = z.object({
  file: text.regex(/^[A-Za-z0-9][A-Za-z0-9._+-]*$/, 'expected a plain file name'),
  length: z.int().nonnegative(),
  sha256,
  method: z.literal('X25519-HKDF-SHA256-AES-256-GCM'),
});
export type EncryptedImage = Readonly<z.infer<typeof encryptedImage>>;

const imageFields = z.object({
  ecu: text.optional(),
  version: text,
  hardwareIds: z.array(text).min(1).max(256),
  releaseCounter: z.int().nonnegative(),
  dependencies: z.record(text, text).default({}),
  encrypt: z.boolean().default(false),
  /** A safety release: the driver is informed, not asked. */
  forced: z.boolean().default(false),
  address: memoryAddress.optional(),
  notes: z.string().max(4096).default(''),
});

const ecuIdentifiers = z.record(
  text,
  z.object({ hardwareId: text, encryption: encryptedImage.optional() }),
);

/**
 * Fields in repositories of another client: they may have any other fields, and `null` means missing. Some of them name
 * the hardware by ECU in the image repository, too, as a Director does.
 */
const looseImageFields = z
  .object({
    ecu: text.nullish().transform((ecu) => ecu ?? undefined),
    version: z.coerce
      .string()
      .nullish()
      .transform((version) => version ?? ''),
    hardwareIds: z.array(text).default([]),
    releaseCounter: z.int().nonnegative().default(0),
    dependencies: z.record(text, text).default({}),
    encrypt: z.boolean().default(false),
    forced: z.boolean().default(false),
    notes: z.string().default(''),
    ecuIdentifiers: ecuIdentifiers.default({}),
  })
  .transform(({ ecuIdentifiers: ecus, hardwareIds, ...fields }) => ({
    ...fields,
    hardwareIds: [...hardwareIds, ...Object.values(ecus).map(({ hardwareId }) => hardwareId)],
  }));

export interface ImageFields {
  readonly ecu?: string | undefined;
  readonly version: string;
  readonly hardwareIds: readonly string[];
  readonly releaseCounter: number;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly encrypt: boolean;
  readonly forced: boolean;
  /** Where the first byte lies in the ECU's memory. Missing: where the vehicle file says, or the image has a segment map. */
  readonly address?: number | undefined;
  readonly notes: string;
}

/** One image that a Director assigns, and the ECUs that get it. */
export interface Assignment extends ImageFields {
  /** ECUs by serial. */
  readonly ecus: Readonly<
    Record<
      string,
      { readonly hardwareId: string; readonly encryption?: EncryptedImage | undefined }
    >
  >;
}

/** MALFORMED: the reason names the image and the field. */
export function readImage(target: TargetFile, dialect: Dialect): Verdict<ImageFields> {
  const schema = RULES[dialect].customFields === 'required' ? imageFields : looseImageFields;
  const fields = schema.safeParse(target.custom);
  return fields.success ? accepted(fields.data) : malformed(target, fields.error);
}

export function readAssignment(target: TargetFile, dialect: Dialect): Verdict<Assignment> {
  const image = readImage(target, dialect);
  if (!image.ok) return image;
  const ecus = ecuIdentifiers.safeParse(target.custom.ecuIdentifiers);
  return ecus.success
    ? accepted({ ...image.value, ecus: ecus.data })
    : malformed(target, ecus.error);
}

function malformed({ path }: TargetFile, error: z.ZodError): Verdict<never> {
  const [issue] = error.issues;
  const name = ['custom', ...(issue?.path ?? [])].join('.');
  return refused('MALFORMED', 'targets', `image ${quoted(path)}, ${name}: ${issue?.message}`);
}

/**
 * The part in which all authorities must agree (5.2.3.1: the "SHALL match" section), one line of text for each field. It
 * has neither the notes, which come from the image repository alone, nor the ECUs that get the image.
 */
export function matchSection(
  target: TargetFile,
  {
    ecu,
    version,
    hardwareIds,
    releaseCounter,
    dependencies,
    encrypt,
    forced,
    address,
  }: ImageFields,
): ReadonlyMap<string, string> {
  const sorted = (map: Readonly<Record<string, string>>): string =>
    JSON.stringify(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
  return new Map([
    ['length', String(target.length)],
    ['hashes', sorted(target.hashes)],
    ['ecu', ecu ?? ''],
    ['version', version],
    ['hardwareIds', JSON.stringify([...hardwareIds].sort())],
    ['releaseCounter', String(releaseCounter)],
    ['dependencies', sorted(dependencies)],
    ['encrypt', String(encrypt)],
    ['forced', String(forced)],
    ['address', String(address ?? '')],
  ]);
}
