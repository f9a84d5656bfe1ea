// What the daemon remembers between cycles (`state.json`): verified releases, refusals and failures, kept images.

import { z } from 'zod';
import { CYCLE_OUTCOMES } from '../campaign/outcome.ts';
import { furtherHashes, planItemSchema } from '../campaign/plan.ts';
import { DurableFile, jsonFile } from '../core/durable-file.ts';
import { sha256Hex } from '../core/names.ts';
import type { Storage } from '../core/storage.ts';
import { APPROVAL_PHASES, approvalFactsSchema } from '../vehicle/approval.ts';

export const MEMORY_FILE = 'state.json';
/** Refusals and failures that are kept; the oldest are dropped first. */
const MAX_REMEMBERED = 64;

const hex16 = z.string().regex(/^[0-9a-f]{32}$/);

const rememberedSchema = z.object({
  /** Digest of the set of targets. */
  key: sha256Hex,
  outcome: z.enum(CYCLE_OUTCOMES),
  code: z.string().optional(),
  reason: z.string().optional(),
  campaign: z.string().optional(),
  /** Campaigns of this set that did not succeed; set to 0 when a correct image has been downloaded. */
  count: z.number().int().nonnegative(),
  /** How many of them were rolled back for a cause outside the release. */
  rollbacks: z.number().int().positive().optional(),
  /** Earliest next try; null: only after something has changed. */
  notBeforeWallMs: z.number().nullable(),
  /** The driver waits for this instead; `notBeforeWallMs` applies to a vehicle without an ignition signal. */
  until: z.literal('ignition-off').optional(),
  /** The releases of the set. */
  releases: z.array(z.object({ ecu: z.string(), version: z.string() })).optional(),
  /** When the campaign ended, ms since 1970. */
  atWallMs: z.number().optional(),
  /** The set is tried again when the backend reports another ETag than this. */
  etag: z.string().optional(),
});
export type Remembered = z.infer<typeof rememberedSchema>;

/** The last approval request: a later "now after all" of the driver answers this one. */
const questionSchema = z.object({
  campaignId: hex16,
  planDigest: sha256Hex,
  nonce: hex16,
  phase: z.enum(APPROVAL_PHASES),
  facts: approvalFactsSchema,
});

const positive = z.number().int().positive();
const storedSchema = z.object({
  file: z.string(),
  size: positive,
  sha256: sha256Hex,
  address: z.number().int().nonnegative().optional(),
  hashes: furtherHashes,
});
const encryptionSchema = z.object({
  file: z.string(),
  length: positive,
  sha256: sha256Hex,
  method: z.literal('X25519-HKDF-SHA256-AES-256-GCM'),
});
const offerSchema = z.object({
  ecu: z.string(),
  version: z.string(),
  targetName: z.string(),
  size: positive,
  sha256: sha256Hex,
  releaseCounter: z.number().int().nonnegative(),
  download: storedSchema,
  encryption: encryptionSchema.nullable(),
  dependencies: z.record(z.string(), z.string()),
  notes: z.string(),
  forced: z.boolean().default(false),
});

const bytes = z.number().int().nonnegative();
const trafficSchema = z.object({
  /** Day in UTC, `2026-01-31`. */
  day: z.string(),
  /** Bytes of images and encrypted blobs, which the budget limits. Never less than what was received. */
  imageBytes: bytes,
  /** Bytes of metadata. They are counted but not limited: an update that cannot be verified is worse than a late one. */
  metadataBytes: bytes,
});
export type Traffic = z.infer<typeof trafficSchema>;

const memorySchema = z.object({
  format: z.literal(2),
  /** The last check that both repositories passed. */
  verified: z
    .object({
      /** ETag of the hint that came with it. */
      etag: z.string().nullable(),
      atWallMs: z.number(),
      /** After this time signatures are checked again, also when the hint says that nothing is new. */
      dueWallMs: z.number(),
      offers: z.array(offerSchema),
    })
    .nullable(),
  /** Time of the first failed check since then. */
  failingSinceWallMs: z.number().nullable(),
  /** Code of the last security failure that the backend was told. */
  reportedAttack: z.string().nullable(),
  remembered: z.array(rememberedSchema),
  /** Last good image of each ECU, and the file that holds it. */
  images: z.record(
    z.string(),
    z.object({
      sha256: sha256Hex,
      version: z.string(),
      size: positive,
      download: storedSchema,
      encryption: encryptionSchema.nullable(),
    }),
  ),
  /** Digest of the inventory that the backend has. */
  reportedInventory: z.string().nullable(),
  /** Items of successful campaigns whose ECU has not raised its security counter yet. */
  owedCommits: z
    .array(
      z.strictObject({
        item: planItemSchema,
        /** Id of the campaign, and the receipts of all its ECUs; 16 bytes each, hexadecimal. */
        campaign: hex16,
        receipts: z.array(hex16),
      }),
    )
    .default([]),
  question: questionSchema.nullable().default(null),
  /** Bytes that were fetched on one day. */
  traffic: trafficSchema.nullable().default(null),
});
export type MemoryContent = z.infer<typeof memorySchema>;
export type OwedCommit = MemoryContent['owedCommits'][number];

const EMPTY: MemoryContent = {
  format: 2,
  verified: null,
  failingSinceWallMs: null,
  reportedAttack: null,
  remembered: [],
  images: {},
  reportedInventory: null,
  owedCommits: [],
  question: null,
  traffic: null,
};

const codec = jsonFile(memorySchema);

/** Undefined for bytes that cannot be decoded. */
export function decodeMemory(bytes: Uint8Array): MemoryContent | undefined {
  const decoded = codec.decode(bytes);
  return 'value' in decoded ? decoded.value : undefined;
}

export class TmuMemory {
  readonly #file: DurableFile<MemoryContent>;

  private constructor(file: DurableFile<MemoryContent>) {
    this.#file = file;
  }

  /** `damaged`: the file was unreadable and starts empty. Everything in it can be found out again. */
  static async open(
    storage: Storage,
  ): Promise<{ readonly memory: TmuMemory; readonly damaged: boolean }> {
    const { file, state } = await DurableFile.open(storage, MEMORY_FILE, codec, EMPTY);
    return { memory: new TmuMemory(file), damaged: typeof state === 'object' };
  }

  get content(): MemoryContent {
    return this.#file.content;
  }

  /** Durable when it resolves; writes nothing when nothing changes. Calls run one after the other, in their order. */
  update(change: Partial<Omit<MemoryContent, 'format'>>): Promise<void> {
    return this.#change(() => change);
  }

  recall(key: string): Remembered | undefined {
    return this.content.remembered.find((entry) => entry.key === key);
  }

  remember(entry: Remembered): Promise<void> {
    return this.#change(({ remembered }) => {
      const others = remembered.filter(({ key }) => key !== entry.key);
      return { remembered: [...others, entry].slice(-MAX_REMEMBERED) };
    });
  }

  forget(key: string): Promise<void> {
    return this.#change(({ remembered }) => ({
      remembered: remembered.filter((entry) => entry.key !== key),
    }));
  }

  #change(
    changeOf: (content: MemoryContent) => Partial<Omit<MemoryContent, 'format'>>,
  ): Promise<void> {
    const done = this.#file.update((content) => {
      const next: MemoryContent = { ...content, ...changeOf(content) };
      return JSON.stringify(next) === JSON.stringify(content) ? content : next;
    });
    return done.then(() => {});
  }
}
