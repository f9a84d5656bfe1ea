// The campaign journal: append-only, a checksum per record. What was not written completely does not count.

import { LogCodec, type LogContent, RecordLog } from '../core/record-log.ts';
import type { Storage } from '../core/storage.ts';
import { type CampaignEvent, eventSchema } from './event.ts';

export const JOURNAL_FILE = 'journal.log';
/** The journal before the last rotation, kept for the history. */
export const OLD_JOURNAL_FILE = 'journal.1.log';
/** A journal with damage in its middle is kept under this name for whoever wants to know why. */
const DAMAGED_JOURNAL_FILE = 'journal.damaged.log';

export interface JournalRecord {
  readonly sequence: number;
  /** When it was written. */
  readonly wallMs: number;
  readonly event: CampaignEvent;
}

const codec = new LogCodec<CampaignEvent>('event', eventSchema);
const FILES = { current: JOURNAL_FILE, old: OLD_JOURNAL_FILE, damaged: DAMAGED_JOURNAL_FILE };

/** One line, see LogCodec. */
export function encodeRecord({ sequence, wallMs, event }: JournalRecord): Uint8Array {
  return codec.encode({ sequence, wallMs, value: event });
}

export interface JournalContent {
  readonly records: readonly JournalRecord[];
  /** Bytes of whole records from the start of the file. */
  readonly goodBytes: number;
  /** `torn`: the last record was cut by a power loss. `damaged`: whole records follow a broken one. */
  readonly end: 'whole' | 'torn' | 'damaged';
}

/** Reads as far as records are whole and in sequence. Never throws, whatever the bytes are. */
export function decodeJournal(bytes: Uint8Array): JournalContent {
  return contentOf(codec.decode(bytes));
}

function contentOf({ records, goodBytes, end }: LogContent<CampaignEvent>): JournalContent {
  const events = records.map(({ value, ...head }) => ({ ...head, event: value }));
  return { records: events, goodBytes, end };
}

/** The open journal. One owner at a time: the state directory's lock sees to that. */
export class Journal {
  readonly #log: RecordLog<CampaignEvent>;

  private constructor(log: RecordLog<CampaignEvent>) {
    this.#log = log;
  }

  /** Opens or creates it, and cuts off what is torn. Throws StorageError. */
  static async open(
    storage: Storage,
  ): Promise<{ readonly journal: Journal; readonly content: JournalContent }> {
    const { log, content } = await RecordLog.open(storage, FILES, codec);
    return { journal: new Journal(log), content: contentOf(content) };
  }

  get sizeBytes(): number {
    return this.#log.sizeBytes;
  }

  /** Resolves when the record is durable. After an error the journal is as it was before. */
  append(event: CampaignEvent, wallMs: number): Promise<void> {
    return this.#log.append(event, wallMs);
  }

  /** Begins a new file; the old one stays for the history. Only while no campaign is under way. */
  async rotate(): Promise<void> {
    await this.rewrite([]);
  }

  /**
   * Puts fewer records in the place of all; the old file stays for the history. In one step: after a power cut, or a
   * full disk, either all are there or these. `records` in their order; they are numbered anew. Throws StorageError.
   */
  rewrite(records: readonly Omit<JournalRecord, 'sequence'>[]): Promise<void> {
    return this.#log.rewrite(records.map(({ wallMs, event }) => ({ wallMs, value: event })));
  }

  close(): Promise<void> {
    return this.#log.close();
  }
}
