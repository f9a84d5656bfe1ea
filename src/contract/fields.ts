// Fields that several endpoints share: names, serials, keys and texts as sent over HTTP.

import { z } from 'zod';
import { fromHex } from '../core/bytes.ts';
import { LARGEST_IMAGE_BYTES } from '../core/image-limit.ts';
import { ECU_NAME, VERSION_TEXT, versionText } from '../core/names.ts';
import { isSafeLine, isSafeText, lineText } from '../core/text.ts';
import { x25519Agree } from '../trust/signing-key.ts';

/** A VIN (ISO 3779), or the name of a test rig. */
export const vehicleId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/, 'expected a VIN: 1 to 32 letters, digits, _ or -');

export const vehiclePath = z.object({ vin: vehicleId });

export const releaseVersion = versionText.refine(
  (text) => !text.includes('..'),
  'two dots in a row are not allowed',
);

const UNSAFE = 'characters that control a terminal or the direction of text are not allowed';

export const safeLine = (most: number) => z.string().max(most).refine(isSafeLine, UNSAFE);

/** Text written by people, with line breaks and tabs. */
export const notesText = z
  .string()
  .max(2000, 'at most 2000 characters')
  .refine(isSafeText, UNSAFE)
  .transform((text) => text.replaceAll('\r\n', '\n').trim());

/** An operator's reason; `missing` is the message for an empty one. */
export const reasonText = (missing: string) =>
  lineText(500).refine((text) => text.trim() !== '', missing);

/** The public name of a release's image. Another form of name is refused before the look-up. */
export const imageFile = z
  .string()
  .regex(
    new RegExp(`^${ECU_NAME}-${VERSION_TEXT}-[0-9a-f]{12}\\.bin$`),
    'not the name of an image: use the url that /latest_version gives',
  );

/** Size of an image in bytes. */
export const imageSize = z.number().int().positive().max(LARGEST_IMAGE_BYTES);

export const hexText = (bytes: number) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-fA-F]{${2 * bytes}}$`), `expected ${2 * bytes} hexadecimal digits`)
    .transform((text) => text.toLowerCase());

/** A text that is undefined when it is missing, null or empty. */
export const optionalText = <T extends z.ZodType<string>>(schema: T) =>
  schema.nullish().transform((value) => (value == null || value === '' ? undefined : value));

/** A value that is undefined when it is missing or null. */
export const unsaid = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform((value) => value ?? undefined);

/** A chip number or the name of a hardware. */
export const hardwareText = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}$/, 'expected 1 to 64 letters, digits, . _ : + -');

/** The serial that the registry gives to a device. */
export const serialText = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,31}$/, 'expected a serial such as CO-000001');

/** An X25519 public key. Points of small order are refused, because every agreement with them gives the same secret. */
export const agreementKey = hexText(32).refine(
  (key) => x25519Agree(PROBE, fromHex(key)) !== undefined,
  'expected an X25519 public key',
);
const PROBE = new Uint8Array(32).fill(0x42);

/** Time in ISO 8601 with the offset to UTC. */
export const timeText = z.iso.datetime({ offset: true });

/** A signed object: a metadata file of a repository, or another object that a role signed. */
export const signedObject = z.looseObject({
  signed: z.looseObject({}),
  signatures: z.array(z.unknown()),
});

/** A signed object, unchanged. Its signatures are checked where the keys are known. */
export const signedJson = z
  .custom<unknown>((value) => signedObject.safeParse(value).success, {
    message: 'expected an object with signed and signatures',
  })
  .meta({
    id: 'Signed',
    type: 'object',
    properties: { signed: { type: 'object' }, signatures: { type: 'array' } },
    required: ['signed', 'signatures'],
  });

/** Number of rows in an answer: `usual` by default, at most `most`. */
export const rowLimit = (usual: number, most: number) =>
  z.coerce.number('expected a number').int().min(1).max(most).default(usual);

/** Media types. */
export const FORM_TYPE = 'application/x-www-form-urlencoded';
export const MULTIPART_TYPE = 'multipart/form-data';
export const OCTETS_TYPE = 'application/octet-stream';
export const HTML_TYPE = 'text/html';
export const JSON_TYPE = 'application/json';

/** Meaning of status 303 after a form. */
export const SEE_OTHER = 'a browser is led to the page that shows the result';
