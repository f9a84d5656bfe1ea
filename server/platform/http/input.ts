// Schemas of what comes in over HTTP.

import { z } from 'zod';
import { fromHex } from '../../../src/core/bytes.ts';
import { ECU_NAME, ecuName, VERSION_TEXT, versionText } from '../../../src/core/names.ts';
import { isSafeLine, isSafeText, lineText as line } from '../../../src/core/text.ts';
import { SUITES } from '../../../src/trust/sealed-session.ts';
import { x25519Agree } from '../../../src/trust/signing-key.ts';

/** A VIN (ISO 3779), or the name of a test rig. */
export const vehicleId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/, 'expected a VIN: 1 to 32 letters, digits, _ or -');

export const releaseVersion = versionText.refine(
  (text) => !text.includes('..'),
  'two dots in a row are not allowed',
);

const UNSAFE = 'characters that control a terminal or the direction of text are not allowed';

/** Text of people, with line breaks and tabs. */
export const notesText = z
  .string()
  .max(2000, 'at most 2000 characters')
  .refine(isSafeText, UNSAFE)
  .transform((text) => text.replaceAll('\r\n', '\n').trim());

/** The public name of a release's image. Anything else is refused before it is looked up. */
export const imageFile = z
  .string()
  .regex(
    new RegExp(`^${ECU_NAME}-${VERSION_TEXT}-[0-9a-f]{12}\\.bin$`),
    'not the name of an image: use the url that /latest_version gives',
  );

/** Missing, null and empty are the same: not known. */
const optional = <T extends z.ZodType<string>>(schema: T) =>
  schema.nullish().transform((value) => (value == null || value === '' ? undefined : value));

export const reportBody = z.object({
  vin: vehicleId,
  outcome: z
    .string()
    .regex(/^[A-Z][A-Z_]{0,39}$/, 'expected an outcome such as SUCCESS or ROLLBACK_COMPLETED'),
  code: optional(line(64)),
  campaign: optional(line(128)),
  reason: optional(line(2000)),
  warnings: z.array(line(1000)).max(64).default([]),
  ecus: z
    .array(
      z.object({
        name: ecuName,
        hardwareId: optional(line(64)),
        from: optional(line(64)),
        version: optional(line(64)),
        sha256: optional(z.string().regex(/^[0-9a-fA-F]{64}$/, 'expected 64 hexadecimal digits')),
        error: optional(line(1000)),
      }),
    )
    .max(64),
});

const campaignId = line(128).refine((text) => text !== '', 'expected the id of the campaign');

export const statusBody = z.object({
  vin: vehicleId,
  campaign: campaignId,
  state: z.string().regex(/^[a-z][a-z-]{0,39}$/, 'expected a state such as staging or safe-state'),
  answer: z
    .object({ order: z.string().max(64), accepted: z.boolean(), reason: line(1000) })
    .nullish()
    .transform((answer) => answer ?? undefined),
});

/** Of an operator. The driver reads the reason, so there must be one. */
/** Why an operator does something; `missing` asks for it. */
export const reasonText = (missing: string) =>
  line(500).refine((text) => text.trim() !== '', missing);

export const cancelBody = z.object({ reason: reasonText('say why: the driver is told') });

export const loginBody = z.object({
  name: z.string().max(200).refine(isSafeLine, UNSAFE),
  password: z.string().max(1000),
});

export const hexText = (bytes: number) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-fA-F]{${2 * bytes}}$`), `expected ${2 * bytes} hexadecimal digits`)
    .transform((text) => text.toLowerCase());

/** Missing and null are the same: nothing is said about it. */
const unsaid = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform((value) => value ?? undefined);

const hardwareText = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}$/, 'expected 1 to 64 letters, digits, . _ : + -');

/** One that anybody could agree on a secret with is a mistake of the factory, and is found here. */
const agreementKey = hexText(32).refine(
  (key) => x25519Agree(PROBE, fromHex(key)) !== undefined,
  'expected an X25519 public key',
);
const PROBE = new Uint8Array(32).fill(0x42);

export const provisionBody = z.strictObject({
  hw_id: hardwareText,
  vin: unsaid(vehicleId),
  name: unsaid(ecuName),
  hardware_id: unsaid(hardwareText),
  primary: unsaid(z.boolean()),
  signing_key: unsaid(hexText(32)),
  encryption_key: unsaid(agreementKey),
  device_secret_hash: unsaid(hexText(32)),
});

export const activateBody = z.strictObject({ hw_id: hardwareText });

export const serialText = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,31}$/, 'expected a serial such as CO-000001');

export const challengeBody = z.strictObject({
  serial: serialText,
  hw_id: hardwareText,
  clientNonce: hexText(16),
  clientKey: agreementKey.optional(),
});

export const responseBody = z.strictObject({
  challenge: z.string().max(500),
  clientProof: z.string().max(128),
  clientSignature: z.string().max(256).optional(),
  sealed: z
    .strictObject({
      suite: z.enum(SUITES),
      counter: z
        .number()
        .int()
        .min(1)
        .max(2 ** 48),
    })
    .optional(),
});

export const rotateBody = z.strictObject({ clientKey: agreementKey });
