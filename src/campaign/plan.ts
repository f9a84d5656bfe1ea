// The plan of a campaign: which image for which ECU, in which order. The driver approves its digest.

import { sha256 } from '@noble/hashes/sha2.js';
import { z } from 'zod';
import { toHex } from '../core/bytes.ts';
import { sha256Hex } from '../core/names.ts';
import { formatBytes } from '../core/units.ts';

/** All other signed hashes of a file; each of them is checked (Uptane 5.4.3.2). */
export const furtherHashes = z
  .strictObject({
    sha384: z.string().length(96).optional(),
    sha512: z.string().length(128).optional(),
  })
  .optional();

export const planItemSchema = z.strictObject({
  ecu: z.string().min(1).max(16),
  hardwareId: z.string().max(64),
  /** Rank: ECUs of the same rank are activated together, in rising order. An ECU with one bank is alone in its rank. */
  order: z.number().int().nonnegative(),
  /** Name of the ECU's bus; one ECU at a time is staged on each bus. */
  bus: z.string().max(16),
  /** Whether it is a safety release, which needs no approval. */
  forced: z.boolean(),
  from: z.strictObject({ version: z.string().max(64), sha256: sha256Hex.nullable() }),
  /** The plain image, as both repositories signed it. */
  to: z.strictObject({
    version: z.string().min(1).max(64),
    sha256: sha256Hex,
    size: z.number().int().positive(),
    releaseCounter: z.number().int().nonnegative(),
  }),
  targetName: z.string().min(1).max(255),
  /** The file to download: the image, or the blob that was encrypted for this ECU. */
  download: z.strictObject({
    file: z.string().min(1).max(255),
    sha256: sha256Hex,
    size: z.number().int().positive(),
    /** Where the image lies in the ECU's memory. */
    address: z.number().int().nonnegative().optional(),
    hashes: furtherHashes,
  }),
  /** The encryption of the blob; null when the file is the plain image. */
  encryption: z.literal('X25519-HKDF-SHA256-AES-256-GCM').nullable(),
  notes: z.string().max(4096),
});
export type PlanItem = z.infer<typeof planItemSchema>;

/** The plan; its items are in the order of activation (rising ranks). */
export const planSchema = z.strictObject({
  vin: z.string(),
  items: z.array(planItemSchema).min(1).max(256),
});
export type Plan = z.infer<typeof planSchema>;

/**
 * JSON with sorted keys and without white space, so that equal values have equal bytes. Undefined members are left out.
 * Throws TypeError for values that JSON cannot hold, such as NaN.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
    return `{${members.join(',')}}`;
  }
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new TypeError(`${value} has no JSON`);
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`${typeof value} has no JSON`);
  return text;
}

/** SHA-256 over the canonical JSON, hexadecimal. */
export function digestOf(value: unknown): string {
  return toHex(sha256(new TextEncoder().encode(canonicalJson(value))));
}

/** Digest of every fact of the plan; the driver approves this digest. */
export function planDigest(plan: Plan): string {
  return digestOf(plan);
}

/** Key of a set of targets, independent of the running versions. Refused and failed sets are remembered by it. */
export function targetsKey(
  targets: readonly {
    readonly ecu: string;
    readonly version: string;
    readonly sha256: string;
  }[],
): string {
  const sorted = targets
    .map(({ ecu, version, sha256 }) => ({ ecu, version, sha256 }))
    .sort((a, b) => (a.ecu < b.ecu ? -1 : 1));
  return digestOf(sorted);
}

export function planTargetsKey(plan: Plan): string {
  return targetsKey(
    plan.items.map((item) => ({
      ecu: item.ecu,
      version: item.to.version,
      sha256: item.to.sha256,
    })),
  );
}

/** The plan as text: one line per ECU in the order of activation; ECUs with the same number are activated together. */
export function planText(plan: Plan): string {
  return plan.items
    .map(
      (item) =>
        `${item.order + 1}. ${item.ecu}  ${item.from.version} -> ${item.to.version}  ` +
        `${formatBytes(item.to.size)}  sha256 ${item.to.sha256.slice(0, 16)}...`,
    )
    .join('\n');
}
