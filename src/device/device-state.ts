// The stored update state of a device, and the allowed transitions.

import { z } from 'zod';
import { signedManifest } from '../contract/chunked/package.ts';
import { sha256Hex } from '../core/names.ts';

export const DEVICE_STATES = [
  'idle',
  'checking',
  'downloading',
  /** Signature, model, counter, decryption and digest are checked; no bank is changed before all of them are right. */
  'verifying',
  /** The image is written to the other bank, booted on trial and checked. */
  'applying',
  /** The new image is confirmed. */
  'completed',
  'error',
  /** The device runs the previous image again. */
  'rollback',
] as const;
export type DeviceStateName = (typeof DEVICE_STATES)[number];

/** Allowed next states; a power cut ends in the same state or in one of them. */
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

/** The package that is being downloaded and installed. */
const transferSchema = z.strictObject({
  id: z.string().max(64),
  package: signedManifest,
  /** Length of the encrypted image in bytes. */
  length: z.number().int().min(1),
  /** SHA-256 of the encrypted image, hexadecimal. */
  sha256: sha256Hex,
  chunkBytes: z.number().int().min(1),
});
export type DeviceTransfer = Readonly<z.infer<typeof transferSchema>>;

/** The outcome of an update, sent to the backend until it is acknowledged. */
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
  /** Time when this state began, ISO 8601. */
  since: z.string().max(40),
  /** Code of `error` and `rollback`. */
  code: code.nullable(),
  reason: text.nullable(),
  /** The transfer; it is kept after transient errors. */
  transfer: transferSchema.nullable(),
  /** SHA-256 of the plain image from which this device rolled back; it is not tried again automatically. */
  rolledBack: z.string().nullable(),
  report: reportSchema.nullable(),
  last: z
    .strictObject({
      /** Time, ISO 8601. */
      at: z.string().max(40),
      outcome: z.enum(['success', 'rolled-back', 'failed', 'up-to-date']),
      version: z.string().max(32),
      code: code.nullable(),
      reason: text.nullable(),
    })
    .nullable(),
  /** Beats of the normal work up to the last change of this file. */
  beats: z.number().int().min(0),
  /** Peak of the used working memory in bytes. */
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

/** Throws for a transition that is not allowed, which is a programming error. */
export function requireWay(from: DeviceStateName, to: DeviceStateName): void {
  if (!WAYS[from].includes(to)) throw new Error(`a device does not go from ${from} to ${to}`);
}
