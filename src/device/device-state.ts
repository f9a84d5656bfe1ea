// Where a device is in an update, as it is kept on its disk; and from where it may get where.

import { z } from 'zod';
import { signedManifest } from '../contract/chunked/package.ts';
import { sha256Hex } from '../core/names.ts';

export const DEVICE_STATES = [
  'idle',
  'checking',
  'downloading',
  /** Signature, model, counter, decryption and digest: nothing of the banks is touched before all of them are right. */
  'verifying',
  /** The image goes into the other bank, is booted on trial and has to prove itself. */
  'applying',
  /** The new image is confirmed. */
  'completed',
  'error',
  /** Back to the image before. */
  'rollback',
] as const;
export type DeviceStateName = (typeof DEVICE_STATES)[number];

/** From each state where it may go; a power cut ends in the same state, or in one that is reached from it. */
const WAYS: Readonly<Record<DeviceStateName, readonly DeviceStateName[]>> = {
  idle: ['checking'],
  checking: ['checking', 'idle', 'downloading', 'error'],
  downloading: ['checking', 'verifying', 'error'],
  verifying: ['checking', 'applying', 'error'],
  applying: ['completed', 'rollback', 'error'],
  completed: ['idle'],
  error: ['idle', 'checking'],
  rollback: ['idle'],
};

const text = z.string().max(500);
const code = z.string().max(64);

/** What is being fetched and installed. */
const transferSchema = z.strictObject({
  id: z.string().max(64),
  package: signedManifest,
  /** Of the encrypted image, in bytes. */
  length: z.number().int().min(1),
  /** Of the encrypted image, hexadecimal. */
  sha256: sha256Hex,
  chunkBytes: z.number().int().min(1),
});
export type DeviceTransfer = Readonly<z.infer<typeof transferSchema>>;

/** How an update ended; told to the backend until it has heard it. */
const reportSchema = z.strictObject({
  transfer: z.string().max(64),
  version: z.string().max(32),
  outcome: z.enum(['success', 'rolled-back', 'failed']),
  code: code.optional(),
  reason: text.optional(),
  diagnostics: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
});
export type DeviceReport = Readonly<z.infer<typeof reportSchema>>;

export const deviceFileSchema = z.strictObject({
  format: z.literal(1),
  state: z.enum(DEVICE_STATES),
  /** ISO 8601, of this state. */
  since: z.string().max(40),
  /** Of `error` and `rollback`. */
  code: code.nullable(),
  reason: text.nullable(),
  /** Kept through errors that another try can mend. */
  transfer: transferSchema.nullable(),
  /** SHA-256 of the plain image that this device came back from: it is not tried again by itself. */
  rolledBack: z.string().nullable(),
  report: reportSchema.nullable(),
  last: z
    .strictObject({
      /** ISO 8601 */
      at: z.string().max(40),
      outcome: z.enum(['success', 'rolled-back', 'failed', 'up-to-date']),
      version: z.string().max(32),
      code: code.nullable(),
      reason: text.nullable(),
    })
    .nullable(),
  /** Of the normal work, up to the last change of this file. */
  beats: z.number().int().min(0),
  /** The most working memory that was ever taken, in bytes. */
  peakBytes: z.number().int().min(0),
});
export type DeviceFile = Readonly<z.infer<typeof deviceFileSchema>>;

export const NEW_DEVICE: DeviceFile = {
  format: 1,
  state: 'idle',
  since: '1970-01-01T00:00:00.000Z',
  code: null,
  reason: null,
  transfer: null,
  rolledBack: null,
  report: null,
  last: null,
  beats: 0,
  peakBytes: 0,
};

/** Throws for a way that there is not: a mistake of ours. */
export function requireWay(from: DeviceStateName, to: DeviceStateName): void {
  if (!WAYS[from].includes(to)) throw new Error(`a device does not go from ${from} to ${to}`);
}
