// The chunked download for small devices: five sealed requests, and the records in which an image travels.
//
//     POST /ota/check     ask for an update             POST /ota/complete   report the outcome after the boot
//     POST /ota/chunk     get numbered chunks           POST /ota/status     ask for the state at the server
//     POST /ota/verify    report the stored digest
//
// A record is number (4), length (2), data, HMAC-SHA256 (32), big-endian. The HMAC binds the data to the device, the
// session, the image, the chunk size and the chunk's place. A record without a valid HMAC is called foreign.

import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { concatBytes, fromHex, uintToBytes } from '../../core/bytes.ts';
import { sha256Hex } from '../../core/names.ts';
import { lineText } from '../../core/text.ts';
import { lengthPrefixed } from '../../trust/length-prefixed.ts';
import { exportKey, type SealedSession } from '../../trust/sealed-session.ts';
import {
  hardwareModel,
  packageVersion,
  profileName,
  releaseCounter,
  signedManifest,
} from './package.ts';

export const DEFAULT_CHUNK_BYTES = 1024;
const MIN_CHUNK_BYTES = 256;
const MAX_CHUNK_BYTES = 16_384;
/** Most chunks in one answer. */
export const MAX_CHUNKS = 32;
/** Least cost of an answer in the budget of a download, because a request for a few bytes is work too. */
const LEAST_COST_BYTES = 8192;

export const RECORD_HEAD_BYTES = 6;
export const RECORD_MAC_BYTES = 32;

const digest = sha256Hex;
const transferId = z.string().regex(/^[0-9a-f]{8,64}$/, 'expected the id of a transfer');
const bytes = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const chunkNumber = z
  .number()
  .int()
  .min(0)
  .max(2 ** 32 - 1);
const chunkBytes = z.number().int().min(MIN_CHUNK_BYTES).max(MAX_CHUNK_BYTES);
const reason = lineText(500);
const code = z.string().regex(/^[A-Z][A-Z0-9_]{0,39}$/, 'expected a code such as DIGEST_MISMATCH');

/** The part of an image that the device holds durably, from its first byte on without a gap. */
const held = z.strictObject({
  /** SHA-256 of the whole image as it is transferred. */
  image: digest,
  bytes,
});

const common = {
  /** Largest chunk that the device can take. */
  chunkBytes: chunkBytes.default(DEFAULT_CHUNK_BYTES),
  /** Transfer to resume; missing: a new one begins and ends the previous one. */
  transfer: transferId.optional(),
  held: held.optional(),
};

export const checkRequest = z.discriminatedUnion('kind', [
  z.strictObject({
    ...common,
    kind: z.literal('package'),
    model: hardwareModel,
    /** Version that runs now. */
    version: packageVersion,
    /** Release counter of the running software; the backend offers no lower one. */
    counter: releaseCounter,
    profile: profileName,
    /** Whether to offer also the package from which this device has rolled back. */
    again: z.boolean().default(false),
  }),
  /** A file of /ota_download, for a vehicle's Primary. */
  z.strictObject({
    ...common,
    kind: z.literal('file'),
    file: z.string().max(128),
    sha256: digest,
  }),
]);
export type CheckRequest = z.input<typeof checkRequest>;

/** Budget of an open download, at once and per second, in units of `chunkCost`. */
const transferPace = z.object({
  burstBytes: bytes.min(1),
  bytesPerSecond: z.number().positive(),
});
export type TransferPace = Readonly<z.output<typeof transferPace>>;

/** Cost of an answer with `bytes` of the image in the budget of the download. */
export function chunkCost(bytes: number): number {
  return Math.max(bytes, LEAST_COST_BYTES);
}

const transferFacts = z.object({
  id: transferId,
  /** The image as it is transferred; of a package the encrypted image. */
  image: z.object({ length: bytes.min(1), sha256: digest }),
  /** Agreed chunk size, at most the limit of the device. */
  chunkBytes,
  /** SHA-256 of the part that the device holds; null where it holds no part of this image. */
  prefix: z.object({ bytes, sha256: digest }).nullable(),
  /** Budget of the download; missing: no limit. */
  pace: transferPace.optional(),
});
export type TransferFacts = Readonly<z.output<typeof transferFacts>>;

export const checkAnswer = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('none'),
    /** `rolled-back`: this device has rolled back from the only package; ask with `again` to get it. */
    why: z.enum(['up-to-date', 'no-package', 'rolled-back']),
  }),
  z.object({
    kind: z.literal('transfer'),
    transfer: transferFacts,
    /** Signed manifest; null for a file. */
    package: signedManifest.nullable(),
  }),
]);
export type CheckAnswer = Readonly<z.output<typeof checkAnswer>>;

export const chunkRequest = z.union([
  z.strictObject({
    transfer: transferId,
    from: chunkNumber,
    count: z.number().int().min(1).max(MAX_CHUNKS),
  }),
  z.strictObject({
    transfer: transferId,
    /** Numbers of the missing chunks. */
    numbers: z.array(chunkNumber).min(1).max(MAX_CHUNKS),
  }),
]);
export type ChunkRequest = z.input<typeof chunkRequest>;

export const verifyRequest = z.strictObject({
  transfer: transferId,
  /** SHA-256 of the stored image as it was transferred. */
  sha256: digest,
  result: z.enum(['ok', 'failed']),
  /** Code of a failure: DIGEST_MISMATCH, SIGNATURE, DECRYPTION, MODEL, COUNTER, ... */
  code: code.optional(),
  reason: reason.optional(),
});
export type VerifyRequest = z.input<typeof verifyRequest>;

export const verifyAnswer = z.object({
  /**
   * `install`: device and server agree on the digest; `discard`: begin again from the first byte with the next check.
   */
  next: z.enum(['install', 'discard']),
  reason: reason.optional(),
});
export type VerifyAnswer = Readonly<z.output<typeof verifyAnswer>>;

export const completeRequest = z.strictObject({
  transfer: transferId,
  /** That runs now. */
  version: packageVersion,
  outcome: z.enum(['success', 'rolled-back', 'failed']),
  code: code.optional(),
  reason: reason.optional(),
  /** Diagnostics of the device after the boot. */
  diagnostics: z
    .record(lineText(40), z.union([lineText(200), z.number(), z.boolean()]))
    .refine((all) => Object.keys(all).length <= 32, 'expected at most 32 facts')
    .optional(),
});
export type CompleteRequest = z.input<typeof completeRequest>;

export const completeAnswer = z.object({ recorded: z.literal(true) });

export const TRANSFER_STATES = [
  'downloading',
  /** The device has the image, and both sides agree on its digest. */
  'verified',
  /** The device holds another image than was sent, or refuses it. */
  'refused',
  /** A newer download of this device has begun. */
  'superseded',
  /** The package was withdrawn during the download. */
  'withdrawn',
  'success',
  'rolled-back',
  'failed',
] as const;
export type TransferState = (typeof TRANSFER_STATES)[number];

export const statusRequest = z.strictObject({ held: held.optional() });

export const statusAnswer = z.object({
  /** The last transfer of this device. */
  transfer: transferFacts
    .extend({
      state: z.enum(TRANSFER_STATES),
      /** Highest requested chunk, plus one. */
      asked: z.number().int().min(0),
    })
    .nullable(),
});
export type StatusAnswer = Readonly<z.output<typeof statusAnswer>>;

/** Problem code of a transfer that has ended; the device acts on it. */
export const TRANSFER_ENDED = 'TRANSFER_ENDED';
export const TRANSFER_UNKNOWN = 'TRANSFER_UNKNOWN';
/** Problem code of a withdrawn package; the device discards its part of the image. */
export const PACKAGE_WITHDRAWN = 'PACKAGE_WITHDRAWN';

/** How an image is split into chunks. */
export interface Chunking {
  /** Length of the image in bytes. */
  readonly length: number;
  readonly chunkBytes: number;
}

export function chunkCount({ length, chunkBytes: size }: Chunking): number {
  return Math.ceil(length / size);
}

/** Length of one chunk in bytes; 0 after the end. */
export function chunkLength({ length, chunkBytes: size }: Chunking, number: number): number {
  return Math.max(0, Math.min(size, length - number * size));
}

/** Working memory of a receiver: one whole record. */
export function recordBytes(size: number): number {
  return RECORD_HEAD_BYTES + size + RECORD_MAC_BYTES;
}

/** The key that authenticates the records of one session and image. */
export interface ChunkKey {
  readonly key: Uint8Array;
  /** Device, session and image as authenticated bytes. */
  readonly context: Uint8Array;
}

/** `image`: SHA-256 of the image as it is transferred, hexadecimal. */
export function chunkKey(session: SealedSession, image: string): ChunkKey {
  return {
    key: exportKey(session, 'chunk'),
    context: lengthPrefixed('can-ota chunk 1', session.serial, session.id, fromHex(image)),
  };
}

/** HMAC of a record. `size`: the agreed chunk size, without which a number does not give a place in the image. */
export function chunkMac(
  key: ChunkKey,
  size: number,
  number: number,
  data: Uint8Array,
): Uint8Array {
  // node:crypto is fast enough for a device that authenticates every byte, in 16 KiB of memory.
  return createHmac('sha256', key.key)
    .update(key.context)
    .update(uintToBytes(size, 4))
    .update(uintToBytes(number, 4))
    .update(uintToBytes(data.length, 2))
    .update(data)
    .digest();
}

/** Encodes a record. Throws RangeError for data that no record can hold. */
export function encodeRecord(
  key: ChunkKey,
  size: number,
  number: number,
  data: Uint8Array,
): Uint8Array {
  if (data.length === 0 || data.length > size || size > MAX_CHUNK_BYTES) {
    throw new RangeError(`a chunk has 1 to ${size} bytes, this one has ${data.length}`);
  }
  return concatBytes(
    uintToBytes(number, 4),
    uintToBytes(data.length, 2),
    data,
    chunkMac(key, size, number, data),
  );
}
