// What the daemon remembers between cycles (`state.json`): the last offer, refusals and failures, the images it keeps.

import { z } from 'zod';
import { CYCLE_OUTCOMES } from '../campaign/outcome.ts';
import { sha256Hex } from '../campaign/plan.ts';
import type { Storage } from '../core/storage.ts';

const FILE = 'state.json';
/** Refusals and failures that are kept; the oldest go first. */
const MAX_REMEMBERED = 64;

const rememberedSchema = z.object({
  /** Digest over the set of targets. */
  key: sha256Hex,
  outcome: z.enum(CYCLE_OUTCOMES),
  code: z.string().optional(),
  reason: z.string().optional(),
  campaign: z.string().optional(),
  /** How often the same set ended like this. */
  count: z.number().int().positive(),
  /** Not tried again before; null: not until something changes. */
  notBeforeWallMs: z.number().nullable(),
});
export type Remembered = z.infer<typeof rememberedSchema>;

const memorySchema = z.object({
  format: z.literal(1),
  latest: z
    .object({
      etag: z.string().nullable(),
      releases: z.array(
        z.object({
          ecu: z.string(),
          version: z.string(),
          file: z.string(),
          size: z.number().int().positive(),
          sha256: sha256Hex,
          notes: z.string(),
        }),
      ),
    })
    .nullable(),
  remembered: z.array(rememberedSchema),
  /** Last good image of each ECU. */
  images: z.record(
    z.string(),
    z.object({ sha256: sha256Hex, version: z.string(), size: z.number().int().positive() }),
  ),
  /** Digest of the inventory that the backend knows. */
  reportedInventory: z.string().nullable(),
});
export type MemoryContent = z.infer<typeof memorySchema>;

const EMPTY: MemoryContent = {
  format: 1,
  latest: null,
  remembered: [],
  images: {},
  reportedInventory: null,
};

export class Memory {
  readonly #storage: Storage;
  #content: MemoryContent;

  private constructor(storage: Storage, content: MemoryContent) {
    this.#storage = storage;
    this.#content = content;
  }

  /** `damaged`: the file was unreadable and is begun anew. What it held can all be found out again. */
  static async open(
    storage: Storage,
  ): Promise<{ readonly memory: Memory; readonly damaged: boolean }> {
    const bytes = await storage.read(FILE);
    if (bytes === undefined) return { memory: new Memory(storage, EMPTY), damaged: false };
    try {
      const content = memorySchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
      return { memory: new Memory(storage, content), damaged: false };
    } catch {
      return { memory: new Memory(storage, EMPTY), damaged: true };
    }
  }

  get content(): MemoryContent {
    return this.#content;
  }

  /** Durable when it resolves; writes nothing when nothing changes. */
  async update(change: Partial<Omit<MemoryContent, 'format'>>): Promise<void> {
    const next: MemoryContent = { ...this.#content, ...change };
    const text = `${JSON.stringify(next, undefined, 2)}\n`;
    if (text === `${JSON.stringify(this.#content, undefined, 2)}\n`) return;
    await this.#storage.replace(FILE, new TextEncoder().encode(text));
    this.#content = next;
  }

  recall(key: string): Remembered | undefined {
    return this.#content.remembered.find((entry) => entry.key === key);
  }

  async remember(entry: Remembered): Promise<void> {
    const others = this.#content.remembered.filter(({ key }) => key !== entry.key);
    await this.update({ remembered: [...others, entry].slice(-MAX_REMEMBERED) });
  }

  async forget(key: string): Promise<void> {
    await this.update({
      remembered: this.#content.remembered.filter((entry) => entry.key !== key),
    });
  }
}
