// The campaign journal: append-only, a checksum per record. What was not written completely does not count.

import { sha256 } from '@noble/hashes/sha2.js';
import { z } from 'zod';
import { concatBytes, toHex } from '../core/bytes.ts';
import type { Storage, StorageFile } from '../core/storage.ts';
import { type CampaignEvent, eventSchema } from './event.ts';

export const JOURNAL_FILE = 'journal.log';
/** The journal before the last rotation, kept for the history. */
export const OLD_JOURNAL_FILE = 'journal.1.log';
/** A journal with damage in its middle is kept under this name for whoever wants to know why. */
export const DAMAGED_JOURNAL_FILE = 'journal.damaged.log';

export interface JournalRecord {
  readonly sequence: number;
  /** When it was written. */
  readonly wallMs: number;
  readonly event: CampaignEvent;
}

const recordSchema = z.strictObject({
  n: z.number().int().nonnegative(),
  at: z.number(),
  event: eventSchema,
});

const CHECK_DIGITS = 16;
const LINE = /^([0-9a-f]{16}) (\{.*\})$/;

/** One line: first 8 bytes of the SHA-256 of the JSON, a space, the JSON, a line feed. */
export function encodeRecord(record: JournalRecord): Uint8Array {
  const json = JSON.stringify({ n: record.sequence, at: record.wallMs, event: record.event });
  return new TextEncoder().encode(`${checkOf(json)} ${json}\n`);
}

function checkOf(json: string): string {
  return toHex(sha256(new TextEncoder().encode(json))).slice(0, CHECK_DIGITS);
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
  const records: JournalRecord[] = [];
  let at = 0;
  while (at < bytes.length) {
    const lineEnd = bytes.indexOf(0x0a, at);
    const record = lineEnd < 0 ? undefined : decodeLine(bytes.subarray(at, lineEnd));
    const last = records.at(-1);
    if (record === undefined || (last !== undefined && record.sequence !== last.sequence + 1)) {
      const later = lineEnd >= 0 && hasRecord(bytes, lineEnd + 1);
      return { records, goodBytes: at, end: later ? 'damaged' : 'torn' };
    }
    records.push(record);
    at = lineEnd + 1;
  }
  return { records, goodBytes: at, end: 'whole' };
}

function decodeLine(line: Uint8Array): JournalRecord | undefined {
  const match = LINE.exec(new TextDecoder().decode(line));
  if (match === null || checkOf(match[2]!) !== match[1]) return undefined;
  try {
    const parsed = recordSchema.safeParse(JSON.parse(match[2]!));
    if (!parsed.success) return undefined;
    return { sequence: parsed.data.n, wallMs: parsed.data.at, event: parsed.data.event };
  } catch {
    return undefined;
  }
}

function hasRecord(bytes: Uint8Array, from: number): boolean {
  for (let at = from; at < bytes.length; ) {
    const lineEnd = bytes.indexOf(0x0a, at);
    if (lineEnd < 0) return false;
    if (decodeLine(bytes.subarray(at, lineEnd)) !== undefined) return true;
    at = lineEnd + 1;
  }
  return false;
}

/** The open journal. One owner at a time: the state directory's lock sees to that. */
export class Journal {
  readonly #storage: Storage;
  /** Undefined after a rewrite: opened by the next append. */
  #file: StorageFile | undefined;
  #size: number;
  #sequence: number;

  private constructor(storage: Storage, file: StorageFile, size: number, sequence: number) {
    this.#storage = storage;
    this.#file = file;
    this.#size = size;
    this.#sequence = sequence;
  }

  /** Opens or creates it, and cuts off what is torn. Throws StorageError. */
  static async open(
    storage: Storage,
  ): Promise<{ readonly journal: Journal; readonly content: JournalContent }> {
    const bytes = await storage.read(JOURNAL_FILE);
    // `replace` makes the name durable too; a file made by `open` could vanish with the power.
    if (bytes === undefined) await storage.replace(JOURNAL_FILE, new Uint8Array());
    const content = decodeJournal(bytes ?? new Uint8Array());
    if (content.end === 'damaged') await storage.replace(DAMAGED_JOURNAL_FILE, bytes!);
    const file = await storage.open(JOURNAL_FILE);
    if (content.end !== 'whole') {
      await file.truncate(content.goodBytes);
      await file.sync();
    }
    const next = (content.records.at(-1)?.sequence ?? -1) + 1;
    return { journal: new Journal(storage, file, content.goodBytes, next), content };
  }

  get sizeBytes(): number {
    return this.#size;
  }

  /** Resolves when the record is durable. After an error the journal is as it was before. */
  async append(event: CampaignEvent, wallMs: number): Promise<void> {
    const bytes = encodeRecord({ sequence: this.#sequence, wallMs, event });
    this.#file ??= await this.#storage.open(JOURNAL_FILE);
    const file = this.#file;
    try {
      await file.write(this.#size, bytes);
      await file.sync();
    } catch (error) {
      // A half-written line would be cut at the next start anyway; cutting it now keeps the file right.
      await file.truncate(this.#size).catch(() => {});
      throw error;
    }
    this.#size += bytes.length;
    this.#sequence++;
  }

  /** Begins a new file; the old one stays for the history. Only while no campaign is under way. */
  async rotate(): Promise<void> {
    await this.rewrite([]);
  }

  /**
   * Puts fewer records in the place of all; the old file stays for the history. In one step: after a power cut, or a
   * full disk, either all are there or these. `records` in their order; they are numbered anew. Throws StorageError.
   */
  async rewrite(records: readonly Omit<JournalRecord, 'sequence'>[]): Promise<void> {
    const first = this.#sequence - records.length;
    const bytes = concatBytes(
      ...records.map((record, index) => encodeRecord({ ...record, sequence: first + index })),
    );
    const before = await this.#storage.read(JOURNAL_FILE);
    if (before !== undefined) await this.#storage.replace(OLD_JOURNAL_FILE, before);
    await this.#storage.replace(JOURNAL_FILE, bytes);
    this.#size = bytes.length;
    // What is still open has no name any more: nothing may be written there.
    const old = this.#file;
    this.#file = undefined;
    await old?.close();
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }
}
