// Reports that the backend has not taken yet: kept through restarts, sent in order, each at least once.

import { z } from 'zod';
import type { Backend, BackendFailure, VersionReport } from '../campaign/ports.ts';
import type { Logger } from '../core/logger.ts';
import type { Storage } from '../core/storage.ts';

const FILE = 'outbox.json';
/** A vehicle without network for a year must not fill its disk; the oldest report is the least wanted. */
const MAX_REPORTS = 50;

const reportSchema = z.object({
  vin: z.string(),
  outcome: z.string(),
  code: z.string().optional(),
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
const outboxSchema = z.array(
  z.union([
    z.object({ id: z.string(), report: reportSchema }),
    z.object({ id: z.literal('checkin'), checkin: z.literal(true) }),
  ]),
);
type Entry =
  | { readonly id: string; readonly report: VersionReport }
  /** The Director does not know yet how a campaign ended; the manifest is made when it is sent. */
  | { readonly id: string; readonly checkin: true };

/** Collects fresh reports of all ECUs and sends them. */
export type SendCheckin = (
  signal: AbortSignal,
) => Promise<{ readonly kind: 'checked-in' } | { readonly kind: 'interrupted' } | BackendFailure>;

const CHECKIN: Entry = { id: 'checkin', checkin: true };

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

  /**
   * The same id a second time replaces the first: finishing a campaign may be repeated after a restart. With
   * `checkin` the Director is told afterwards what each ECU says.
   */
  async put(id: string, report: VersionReport, { checkin = false } = {}): Promise<void> {
    const others = this.#entries.filter(
      (entry) => entry.id !== id && !(checkin && 'checkin' in entry),
    );
    const added = checkin ? [{ id, report }, CHECKIN] : [{ id, report }];
    await this.#store([...others, ...added].slice(-MAX_REPORTS));
  }

  /** A check-in has told the Director everything. */
  async checkedIn(): Promise<void> {
    const others = this.#entries.filter((entry) => !('checkin' in entry));
    if (others.length < this.#entries.length) await this.#store(others);
  }

  /** Sends until the backend is away or the box is empty. Never a hot loop: one try each. */
  async flush(
    backend: Pick<Backend, 'report'>,
    checkIn: SendCheckin,
    logger: Logger,
    signal: AbortSignal,
  ): Promise<void> {
    while (this.#entries.length > 0 && !signal.aborted) {
      const entry = this.#entries[0]!;
      const answer =
        'report' in entry ? await backend.report(entry.report, signal) : await checkIn(signal);
      if (answer.kind === 'interrupted') return;
      if (answer.kind === 'failed') {
        if (answer.transient) {
          logger.debug({ reason: answer.reason, waiting: this.#entries.length }, 'report kept');
          return;
        }
        // It will never be taken: keeping it would keep all later ones back.
        logger.warn({ reason: answer.reason, report: entry.id }, 'the backend refuses a report');
      }
      await this.#store(this.#entries.filter((other) => other !== entry));
    }
  }

  async #store(entries: readonly Entry[]): Promise<void> {
    await this.#storage.replace(FILE, new TextEncoder().encode(JSON.stringify(entries)));
    this.#entries = entries;
  }
}
