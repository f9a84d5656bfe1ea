// The campaign journal: append-only, with a checksum per record. An incomplete record does not count.

import { LogCodec, type LogContent, RecordLog } from '../core/record-log.ts';
import type { Storage } from '../core/storage.ts';
import { type CampaignEvent, eventSchema } from './event.ts';

export const JOURNAL_FILE = 'journal.log';
/** Name of the journal before the last rotation, kept for the history. */
export const OLD_JOURNAL_FILE = 'journal.1.log';
/** Name under which a journal that is damaged in the middle is kept for analysis. */
const DAMAGED_JOURNAL_FILE = 'journal.damaged.log';

export interface JournalRecord {
  readonly sequence: number;
  /** Wall time at which the record was written. */
  readonly wallMs: number;
  readonly event: CampaignEvent;
}

const codec = new LogCodec<CampaignEvent>('event', eventSchema);
const FILES = { current: JOURNAL_FILE, old: OLD_JOURNAL_FILE, damaged: DAMAGED_JOURNAL_FILE };

/** Encodes a record as one line, see LogCodec. */
export function encodeRecord({ sequence, wallMs, event }: JournalRecord): Uint8Array {
  return codec.encode({ sequence, wallMs, value: event });
}

export interface JournalContent {
  readonly records: readonly JournalRecord[];
  /** Length of the whole records at the start of the file, in bytes. */
  readonly goodBytes: number;
  /** `torn`: a power loss cut the last record. `damaged`: whole records follow a broken one. */
  readonly end: 'whole' | 'torn' | 'damaged';
}

/** Reads records up to the first that is broken or out of sequence. Never throws. */
export function decodeJournal(bytes: Uint8Array): JournalContent {
  return contentOf(codec.decode(bytes));
}

function contentOf({ records, goodBytes, end }: LogContent<CampaignEvent>): JournalContent {
  const events = records.map(({ value, ...head }) => ({ ...head, event: value }));
  return { records: events, goodBytes, end };
}

/** The open journal. The lock of the state directory ensures a single owner. */
export class Journal {
  readonly #log: RecordLog<CampaignEvent>;

  private constructor(log: RecordLog<CampaignEvent>) {
    this.#log = log;
  }

  /** Opens or creates the journal, and cuts off a torn record. Throws StorageError. */
  static async open(
    storage: Storage,
  ): Promise<{ readonly journal: Journal; readonly content: JournalContent }> {
    const { log, content } = await RecordLog.open(storage, FILES, codec);
    return { journal: new Journal(log), content: contentOf(content) };
  }

  get sizeBytes(): number {
    return this.#log.sizeBytes;
  }

  /** Appends an event; resolves when the record is durable. After an error the journal is unchanged. */
  append(event: CampaignEvent, wallMs: number): Promise<void> {
    return this.#log.append(event, wallMs);
  }

  /** Begins a new file; the old one is kept for the history. Only while no campaign is under way. */
  async rotate(): Promise<void> {
    await this.rewrite([]);
  }

  /**
   * Replaces all records by fewer ones, in one atomic step: after a power cut or on a full disk the journal holds
   * either all the old records or all the new ones. The old file is kept for the history. `records` are in order and
   * get new sequence numbers. Throws StorageError.
   */
  rewrite(records: readonly Omit<JournalRecord, 'sequence'>[]): Promise<void> {
    return this.#log.rewrite(records.map(({ wallMs, event }) => ({ wallMs, value: event })));
  }

  close(): Promise<void> {
    return this.#log.close();
  }
}
