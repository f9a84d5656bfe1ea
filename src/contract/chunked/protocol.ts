// The chunked download for small devices: five sealed requests, and the records in which an image travels.
//
//     POST /ota/check     what is there for me          POST /ota/complete   how it ended, after the boot
//     POST /ota/chunk     some numbered chunks          POST /ota/status     where the server believes I am
//     POST /ota/verify    what I have got
//
// A record is number (4), length (2), data, HMAC-SHA256 (32), big-endian. The HMAC binds the data to the device, the
// session, the image, the size of its chunks and its place in it: a record of anything else is foreign, whoever sends it.

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
/** Chunks in one answer. */
export const MAX_CHUNKS = 32;
/** What an answer counts at least in the budget of a download: a question for a few bytes is work too. */
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

/** What the device holds durably of an image, from its first byte on without a gap. */
const held = z.strictObject({
  /** SHA-256 of the whole image as it travels. */
  image: digest,
  bytes,
});

const common = {
  /** The largest that the device can take. */
  chunkBytes: chunkBytes.default(DEFAULT_CHUNK_BYTES),
  /** Goes on with this transfer; without it a new one begins, and ends the one before. */
  transfer: transferId.optional(),
  held: held.optional(),
};

export const checkRequest = z.discriminatedUnion('kind', [
  z.strictObject({
    ...common,
    kind: z.literal('package'),
    model: hardwareModel,
    /** That runs now. */
    version: packageVersion,
    /** Release counter of what runs now: nothing lower is wanted. */
    counter: releaseCounter,
    profile: profileName,
    /** Also what this device has rolled back from. */
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

/** How much of an open download the backend sends at once, and in each second; it counts `chunkCost`. */
const transferPace = z.object({
  burstBytes: bytes.min(1),
  bytesPerSecond: z.number().positive(),
});
export type TransferPace = Readonly<z.output<typeof transferPace>>;

/** What an answer with `bytes` of the image counts in the budget of the download. */
export function chunkCost(bytes: number): number {
  return Math.max(bytes, LEAST_COST_BYTES);
}

const transferFacts = z.object({
  id: transferId,
  /** As it travels: of a package that is the encrypted image. */
  image: z.object({ length: bytes.min(1), sha256: digest }),
  /** As agreed: at most what the device can take. */
  chunkBytes,
  /** SHA-256 over the first bytes of the image, as many as the device holds; null where it holds nothing of this image. */
  prefix: z.object({ bytes, sha256: digest }).nullable(),
  /** Missing: as fast as it comes. */
  pace: transferPace.optional(),
});
export type TransferFacts = Readonly<z.output<typeof transferFacts>>;

export const checkAnswer = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('none'),
    /** `rolled-back`: there is one, and this device has come back from it; ask with `again`. */
    why: z.enum(['up-to-date', 'no-package', 'rolled-back']),
  }),
  z.object({
    kind: z.literal('transfer'),
    transfer: transferFacts,
    /** Null for a file. */
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
    /** Those that are missing. */
    numbers: z.array(chunkNumber).min(1).max(MAX_CHUNKS),
  }),
]);
export type ChunkRequest = z.input<typeof chunkRequest>;

export const verifyRequest = z.strictObject({
  transfer: transferId,
  /** Of what the device has stored, as it travelled. */
  sha256: digest,
  result: z.enum(['ok', 'failed']),
  /** Of a failure: DIGEST_MISMATCH, SIGNATURE, DECRYPTION, MODEL, COUNTER, ... */
  code: code.optional(),
  reason: reason.optional(),
});
export type VerifyRequest = z.input<typeof verifyRequest>;

export const verifyAnswer = z.object({
  /** `install`: both say so; `discard`: begin at zero with the next check. */
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
  /** What the device found about itself after the boot. */
  diagnostics: z
    .record(lineText(40), z.union([lineText(200), z.number(), z.boolean()]))
    .refine((all) => Object.keys(all).length <= 32, 'expected at most 32 facts')
    .optional(),
});
export type CompleteRequest = z.input<typeof completeRequest>;

export const completeAnswer = z.object({ recorded: z.literal(true) });

export const TRANSFER_STATES = [
  'downloading',
  /** The device has it, and both agree on its digest. */
  'verified',
  /** What the device has is not what was sent, or it does not accept it. */
  'refused',
  /** Another download of this device has begun. */
  'superseded',
  /** The package was withdrawn in the middle of the download. */
  'withdrawn',
  'success',
  'rolled-back',
  'failed',
] as const;
export type TransferState = (typeof TRANSFER_STATES)[number];

export const statusRequest = z.strictObject({ held: held.optional() });

export const statusAnswer = z.object({
  /** The last one of this device. */
  transfer: transferFacts
    .extend({
      state: z.enum(TRANSFER_STATES),
      /** Highest chunk that was asked for, plus one. */
      asked: z.number().int().min(0),
    })
    .nullable(),
});
export type StatusAnswer = Readonly<z.output<typeof statusAnswer>>;

/** Problem codes that a device meets here and acts on. */
export const TRANSFER_ENDED = 'TRANSFER_ENDED';
export const TRANSFER_UNKNOWN = 'TRANSFER_UNKNOWN';
/** The package of this transfer is not offered any more: what is here of it is of no use. */
export const PACKAGE_WITHDRAWN = 'PACKAGE_WITHDRAWN';

/** How an image is cut. */
export interface Chunking {
  /** Bytes of the image. */
  readonly length: number;
  readonly chunkBytes: number;
}

export function chunkCount({ length, chunkBytes: size }: Chunking): number {
  return Math.ceil(length / size);
}

/** Bytes of one chunk; 0 behind the end. */
export function chunkLength({ length, chunkBytes: size }: Chunking, number: number): number {
  return Math.max(0, Math.min(size, length - number * size));
}

/** Working memory that a receiver needs: one whole record. */
export function recordBytes(size: number): number {
  return RECORD_HEAD_BYTES + size + RECORD_MAC_BYTES;
}

/** What records of one session and image are authenticated with. */
export interface ChunkKey {
  readonly key: Uint8Array;
  /** Device, session and image, in the form in which they are authenticated. */
  readonly context: Uint8Array;
}

/** `image`: SHA-256 of the image as it travels, hexadecimal. */
export function chunkKey(session: SealedSession, image: string): ChunkKey {
  return {
    key: exportKey(session, 'chunk'),
    context: lengthPrefixed('can-ota chunk 1', session.serial, session.id, fromHex(image)),
  };
}

/** `size`: the agreed length of chunks, without which a number is no place in the image. */
export function chunkMac(
  key: ChunkKey,
  size: number,
  number: number,
  data: Uint8Array,
): Uint8Array {
  // node:crypto: a device authenticates every byte that it is sent, in 16 KiB of memory.
  return createHmac('sha256', key.key)
    .update(key.context)
    .update(uintToBytes(size, 4))
    .update(uintToBytes(number, 4))
    .update(uintToBytes(data.length, 2))
    .update(data)
    .digest();
}

/** Throws RangeError for data that no record can hold. */
export function encodeRecord(
  key: ChunkKey,
  size: number,
  number: number,
  data: Uint8Array,
): Uint8Array {
  if (data.length === 0 || data.length > size || size > MAX_CHUNK_BYTES) {
    throw new RangeError(`a chunk of ${size} has 1 to ${size} bytes, this one ${data.length}`);
  }
  return concatBytes(
    uintToBytes(number, 4),
    uintToBytes(data.length, 2),
    data,
    chunkMac(key, size, number, data),
  );
}
