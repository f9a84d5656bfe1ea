// Reports that the backend has not accepted yet: kept through restarts, sent in order, each at least once.

import { z } from 'zod';
import type { Backend, CampaignReport, CampaignStatusReport } from '../campaign/ports.ts';
import type { BackendFailure } from '../core/backend-failure.ts';
import { DurableFile, jsonFile } from '../core/durable-file.ts';
import type { Logger } from '../core/logger.ts';
import type { Storage } from '../core/storage.ts';

const FILE = 'outbox.json';
/**
 * How many reports are kept. A vehicle without network for a year must not fill its disk; the oldest report is dropped.
 */
const MAX_REPORTS = 50;

const reportSchema = z.object({
  vin: z.string(),
  outcome: z.string(),
  code: z.string().optional(),
  campaign: z.string().optional(),
  reason: z.string().optional(),
  warnings: z.array(z.string()).optional(),
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
const campaignSchema = z.object({
  vin: z.string(),
  campaign: z.string(),
  state: z.string(),
  answer: z.object({ order: z.string(), accepted: z.boolean(), reason: z.string() }).optional(),
});
const outboxSchema = z.array(
  z.union([
    z.object({ id: z.string(), report: reportSchema }),
    z.object({ id: z.string(), campaign: campaignSchema }),
    z.object({ id: z.literal('checkin'), checkin: z.literal(true) }),
  ]),
);
type Entry =
  | { readonly id: string; readonly report: CampaignReport }
  /** The answer to an order of the operator. */
  | { readonly id: string; readonly campaign: CampaignStatusReport }
  /** The Director does not know yet how a campaign ended; the manifest is built when it is sent. */
  | { readonly id: string; readonly checkin: true };

/** Collects fresh reports of all ECUs and sends them to the Director. */
export type SendCheckin = (
  signal: AbortSignal,
) => Promise<{ readonly kind: 'checked-in' } | { readonly kind: 'interrupted' } | BackendFailure>;

const codec = jsonFile(outboxSchema as z.ZodType<readonly Entry[]>);

const CHECKIN: Entry = { id: 'checkin', checkin: true };

export class Outbox {
  readonly #file: DurableFile<readonly Entry[]>;

  private constructor(file: DurableFile<readonly Entry[]>) {
    this.#file = file;
  }

  /** A damaged file counts as empty. */
  static async open(storage: Storage): Promise<Outbox> {
    return new Outbox((await DurableFile.open(storage, FILE, codec, [])).file);
  }

  get #entries(): readonly Entry[] {
    return this.#file.content;
  }

  get size(): number {
    return this.#entries.length;
  }

  /**
   * A second report with the same id replaces the first: finishing a campaign may be repeated after a
   * restart. With `checkin` a check-in follows, so that the Director learns what each ECU says.
   */
  put(id: string, report: CampaignReport, { checkin = false } = {}): Promise<void> {
    return this.#change((entries) => {
      const others = entries.filter((entry) => entry.id !== id && !(checkin && 'checkin' in entry));
      return [...others, { id, report }, ...(checkin ? [CHECKIN] : [])];
    });
  }

  /** Adds the answer to an order of the operator; once for each order. */
  putAnswer(campaign: CampaignStatusReport): Promise<void> {
    const id = `order ${campaign.answer?.order}`;
    return this.#change((entries) =>
      entries.some((entry) => entry.id === id) ? entries : [...entries, { id, campaign }],
    );
  }

  /** A check-in has reported everything: pending check-ins are removed. */
  checkedIn(): Promise<void> {
    return this.#change((entries) => entries.filter((entry) => !('checkin' in entry)));
  }

  /** Sends until a request fails or nothing is left. Each report is tried once, so this never becomes a busy loop. */
  async flush(
    backend: Pick<Backend, 'report' | 'campaign'>,
    checkIn: SendCheckin,
    logger: Logger,
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted) {
      const [entry] = this.#entries;
      if (entry === undefined) return;
      if (!(await this.#send(entry, () => checkIn(signal), backend, logger, signal))) return;
    }
  }

  /** Sends only the answers that the operator waits for; the rest is sent at the end of the cycle. */
  async flushAnswers(
    backend: Pick<Backend, 'report' | 'campaign'>,
    logger: Logger,
    signal: AbortSignal,
  ): Promise<void> {
    for (const entry of this.#entries.filter((each) => 'campaign' in each)) {
      if (!(await this.#send(entry, neverCheckIn, backend, logger, signal))) return;
    }
  }

  /** False: the entry stays, and nothing more is sent now. */
  async #send(
    entry: Entry,
    checkIn: () => ReturnType<SendCheckin>,
    backend: Pick<Backend, 'report' | 'campaign'>,
    logger: Logger,
    signal: AbortSignal,
  ): Promise<boolean> {
    const answer =
      'report' in entry
        ? await backend.report(entry.report, signal)
        : 'campaign' in entry
          ? await backend.campaign(entry.campaign, signal)
          : await checkIn();
    if (answer.kind === 'interrupted') return false;
    if (answer.kind === 'failed') {
      if (answer.transient || signal.aborted) {
        logger.debug({ reason: answer.reason, waiting: this.#entries.length }, 'report kept');
        return false;
      }
      // The backend will never accept this report; keeping it would block all later ones.
      logger.warn({ reason: answer.reason, report: entry.id }, 'the backend refuses a report');
    }
    await this.#change((entries) => entries.filter((other) => other !== entry));
    return true;
  }

  /** Changes run one after the other: a campaign may end while an answer is being sent. */
  #change(change: (entries: readonly Entry[]) => readonly Entry[]): Promise<void> {
    const done = this.#file.update((entries) => {
      const next = change(entries).slice(-MAX_REPORTS);
      const isSame = next.length === entries.length && next.every((e, i) => e === entries[i]);
      return isSame ? entries : next;
    });
    return done.then(() => {});
  }
}

function neverCheckIn(): Promise<never> {
  throw new Error('only answers are sent here');
}
