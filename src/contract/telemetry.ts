// Measured data on its way to the backend: numbered batches, so that nothing is lost or counted twice unnoticed.

import { gunzipSync, gzipSync } from 'node:zlib';
import { z } from 'zod';
import { parseJsonText } from '../core/json.ts';
import { lineText } from '../core/text.ts';
import { didName } from './configuration.ts';

/** One DID over one window of time. */
export const sample = z.object({
  did: didName,
  /** Of the last reading in it: ISO 8601 by the vehicle's clock. */
  at: z.iso.datetime({ offset: true }),
  /** Readings in it. */
  count: z.number().int().min(1),
  /** In the unit of the vehicle file; missing for data that is no number, and where nothing says how to read it. */
  mean: z.number().optional(),
  min: z.number().optional(),
  max: z.number().optional(),
  unit: lineText(16).optional(),
  /** Of the last reading: the data of the DID as hexadecimal digits. */
  raw: z
    .string()
    .regex(/^(?:[0-9a-f]{2}){0,256}$/)
    .optional(),
});
export type Sample = Readonly<z.output<typeof sample>>;

export const MAX_SAMPLES = 512;

/** What one upload carries. */
export const batch = z.object({
  vin: z.string().max(32),
  /** From 1, without a gap over the whole life of this sender; begun anew with another `sender`. */
  number: z.number().int().min(1),
  /** Random, made with the sender's store: numbers of another one are no duplicates. */
  sender: z.string().regex(/^[0-9a-f]{16}$/),
  /** Samples that were thrown away since the batch before, because there was no room for them. */
  dropped: z.number().int().min(0),
  samples: z.array(sample).max(MAX_SAMPLES),
});
export type Batch = Readonly<z.output<typeof batch>>;

/** The answer: everything up to this number is stored. */
export const batchAnswer = z.object({ stored: z.number().int().min(0) });

/** A bomb ends here: 512 samples are some 100 KiB. */
const MAX_BATCH_BYTES = 1024 * 1024;

/** JSON in gzip (RFC 1952). */
export function packBatch(content: Batch): Uint8Array {
  return gzipSync(Buffer.from(JSON.stringify(content)), { level: 6 });
}

/** Undefined for what is none, or too large. */
export function unpackBatch(bytes: Uint8Array): Batch | undefined {
  try {
    const text = gunzipSync(bytes, { maxOutputLength: MAX_BATCH_BYTES }).toString('utf8');
    return batch.parse(parseJsonText(text));
  } catch {
    return undefined;
  }
}
