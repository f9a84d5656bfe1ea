// Measured data for the backend in numbered batches, so that lost or repeated batches are detected.

import { gunzipSync, gzipSync } from 'node:zlib';
import { z } from 'zod';
import { parseJsonText } from '../core/json.ts';
import { lineText } from '../core/text.ts';
import { didName } from './configuration.ts';

/** One DID in one window of time. */
export const sample = z.object({
  did: didName,
  /** Time of the last reading by the vehicle's clock, ISO 8601. */
  at: z.iso.datetime({ offset: true }),
  /** Number of readings. */
  count: z.number().int().min(1),
  /** Mean in the unit of the vehicle file; missing for data that is not a number or not described. */
  mean: z.number().optional(),
  min: z.number().optional(),
  max: z.number().optional(),
  unit: lineText(16).optional(),
  /** Data of the last reading as hexadecimal digits. */
  raw: z
    .string()
    .regex(/^(?:[0-9a-f]{2}){0,256}$/)
    .optional(),
});
export type Sample = Readonly<z.output<typeof sample>>;

export const MAX_SAMPLES = 512;

/** The content of one upload. */
export const batch = z.object({
  vin: z.string().max(32),
  /** Number from 1 without a gap for this sender; a new `sender` begins at 1 again. */
  number: z.number().int().min(1),
  /** Random id of the sender's store; the same number from another sender is not a duplicate. */
  sender: z.string().regex(/^[0-9a-f]{16}$/),
  /** Samples dropped since the previous batch because the store was full. */
  dropped: z.number().int().min(0),
  samples: z.array(sample).max(MAX_SAMPLES),
});
export type Batch = Readonly<z.output<typeof batch>>;

/** The answer: all batches up to this number are stored. */
export const batchAnswer = z.object({ stored: z.number().int().min(0) });

/** Largest uncompressed batch, against compression bombs; 512 samples have about 100 KiB. */
const MAX_BATCH_BYTES = 1024 * 1024;

/** Packs a batch as JSON in gzip (RFC 1952). */
export function packBatch(content: Batch): Uint8Array {
  return gzipSync(Buffer.from(JSON.stringify(content)), { level: 6 });
}

/** Unpacks a batch; undefined for invalid or too large data. */
export function unpackBatch(bytes: Uint8Array): Batch | undefined {
  try {
    const text = gunzipSync(bytes, { maxOutputLength: MAX_BATCH_BYTES }).toString('utf8');
    return batch.parse(parseJsonText(text));
  } catch {
    return undefined;
  }
}
