// Reports that the backend has not taken yet: kept through restarts, sent in order, each at least once.

import { z } from 'zod';
import type { Backend, VersionReport } from '../campaign/ports.ts';
import type { Logger } from '../core/logger.ts';
import type { Storage } from '../core/storage.ts';

const FILE = 'outbox.json';
/** A vehicle without network for a year must not fill its disk; the oldest report is the least wanted. */
const MAX_REPORTS = 50;

const reportSchema = z.object({
  vin: z.string(),
  outcome: z.string(),
  campaign: z.string().optional(),
  reason: z.string().optional(),
  ecus: z.array(
    z.object({
      name: z.string(),
      hardwareId: z.string().optional(),
      from: z.string().optional(),
      version: z.string(),
      sha256: z.string().optional(),
      error: z.string().optional(),
    }),
  ),
});
const outboxSchema = z.array(z.object({ id: z.string(), report: reportSchema }));
type Entry = { readonly id: string; readonly report: VersionReport };

export class Outbox {
  readonly #storage: Storage;
  #entries: readonly Entry[];

  private constructor(storage: Storage, entries: readonly Entry[]) {
    this.#storage = storage;
    this.#entries = entries;
  }

  /** A damaged file counts as empty. */
  static async open(storage: Storage): Promise<Outbox> {
    const bytes = await storage.read(FILE);
    if (bytes === undefined) return new Outbox(storage, []);
    try {
      const parsed = outboxSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
      return new Outbox(storage, parsed as Entry[]);
    } catch {
      return new Outbox(storage, []);
    }
  }

  get size(): number {
    return this.#entries.length;
  }

  /** The same id a second time replaces the first: finishing a campaign may be repeated after a restart. */
  async put(id: string, report: VersionReport): Promise<void> {
    const others = this.#entries.filter((entry) => entry.id !== id);
    await this.#store([...others, { id, report }].slice(-MAX_REPORTS));
  }

  /** Sends until the backend is away or the box is empty. Never a hot loop: one try each. */
  async flush(backend: Backend, logger: Logger, signal: AbortSignal): Promise<void> {
    while (this.#entries.length > 0 && !signal.aborted) {
      const { id, report } = this.#entries[0]!;
      const answer = await backend.report(report, signal);
      if (answer.kind === 'failed') {
        if (answer.transient) {
          logger.debug({ reason: answer.reason, waiting: this.#entries.length }, 'report kept');
          return;
        }
        // It will never be taken: keeping it would keep all later ones back.
        logger.warn({ reason: answer.reason, report: id }, 'the backend refuses a report');
      }
      await this.#store(this.#entries.filter((entry) => entry.id !== id));
    }
  }

  async #store(entries: readonly Entry[]): Promise<void> {
    await this.#storage.replace(FILE, new TextEncoder().encode(JSON.stringify(entries)));
    this.#entries = entries;
  }
}
