// An append-only log with a checksum per record: a record that was not written completely is ignored.

import { sha256 } from '@noble/hashes/sha2.js';
import { z } from 'zod';
import { concatBytes, toHex } from './bytes.ts';
import type { Storage, StorageFile } from './storage.ts';

export interface LogRecord<T> {
  readonly sequence: number;
  /** When the record was written. */
  readonly wallMs: number;
  readonly value: T;
}

export interface LogContent<T> {
  readonly records: readonly LogRecord<T>[];
  /** Bytes of whole records from the start of the file. */
  readonly goodBytes: number;
  /** `torn`: the last record was cut by a power loss. `damaged`: whole records follow a broken one. */
  readonly end: 'whole' | 'torn' | 'damaged';
  /** Whole records behind the damage, for readers that do not need the missing ones. */
  readonly behind: readonly LogRecord<T>[];
}

export interface LogFiles {
  readonly current: string;
  /** Name of the log before the last rewrite, kept for the history. */
  readonly old: string;
  /** Name under which a log with damage in its middle is kept for diagnosis. */
  readonly damaged: string;
}

const CHECK_DIGITS = 16;
const LINE = /^([0-9a-f]{16}) (\{.*\})$/;

/**
 * The form of a record, one line: first 8 bytes of the SHA-256 of the JSON, a space, the JSON, a line feed. The value
 * stands in the JSON under `key`.
 */
export class LogCodec<T> {
  readonly #key: string;
  readonly #schema: z.ZodType<T>;

  constructor(key: string, schema: z.ZodType<T>) {
    this.#key = key;
    this.#schema = schema;
  }

  /** Throws for a value that `decode` would refuse as damage: all records behind it would be lost, too. */
  encode(record: LogRecord<T>): Uint8Array {
    const checked = this.#schema.safeParse(record.value);
    if (!checked.success) {
      throw new Error(`a record that cannot be read again: ${z.prettifyError(checked.error)}`);
    }
    const json = JSON.stringify({
      n: record.sequence,
      at: record.wallMs,
      [this.#key]: record.value,
    });
    return new TextEncoder().encode(`${checkOf(json)} ${json}\n`);
  }

  /** Reads records as long as they are whole and in sequence. Never throws. */
  decode(bytes: Uint8Array): LogContent<T> {
    const records: LogRecord<T>[] = [];
    let at = 0;
    while (at < bytes.length) {
      const lineEnd = bytes.indexOf(0x0a, at);
      const record = lineEnd < 0 ? undefined : this.#decodeLine(bytes.subarray(at, lineEnd));
      const last = records.at(-1);
      if (record === undefined || (last !== undefined && record.sequence !== last.sequence + 1)) {
        const behind = lineEnd < 0 ? [] : this.#wholeFrom(bytes, lineEnd + 1);
        const end = behind.length > 0 ? 'damaged' : 'torn';
        return { records, goodBytes: at, end, behind };
      }
      records.push(record);
      at = lineEnd + 1;
    }
    return { records, goodBytes: at, end: 'whole', behind: [] };
  }

  #decodeLine(line: Uint8Array): LogRecord<T> | undefined {
    const match = LINE.exec(new TextDecoder().decode(line));
    if (match === null) return undefined;
    const [, check, text = ''] = match;
    if (checkOf(text) !== check) return undefined;
    try {
      const json = headSchema.parse(JSON.parse(text));
      const { n, at, [this.#key]: value, ...more } = json;
      const parsed = this.#schema.safeParse(value);
      if (!parsed.success || Object.keys(more).length > 0) return undefined;
      return { sequence: n, wallMs: at, value: parsed.data };
    } catch {
      return undefined;
    }
  }

  #wholeFrom(bytes: Uint8Array, from: number): LogRecord<T>[] {
    const found: LogRecord<T>[] = [];
    for (let at = from; at < bytes.length; ) {
      const lineEnd = bytes.indexOf(0x0a, at);
      if (lineEnd < 0) break;
      const record = this.#decodeLine(bytes.subarray(at, lineEnd));
      if (record !== undefined) found.push(record);
      at = lineEnd + 1;
    }
    return found;
  }
}

const headSchema = z.looseObject({ n: z.number().int().nonnegative(), at: z.number() });

function checkOf(json: string): string {
  return toHex(sha256(new TextEncoder().encode(json))).slice(0, CHECK_DIGITS);
}

/** The open log. The lock of the folder makes sure that it has one owner at a time. */
export class RecordLog<T> {
  readonly #storage: Storage;
  readonly #files: LogFiles;
  readonly #codec: LogCodec<T>;
  /** Undefined after a rewrite: opened by the next append. */
  #file: StorageFile | undefined;
  #size: number;
  #sequence: number;

  private constructor(
    storage: Storage,
    files: LogFiles,
    codec: LogCodec<T>,
    start: { readonly file: StorageFile; readonly size: number; readonly sequence: number },
  ) {
    this.#storage = storage;
    this.#files = files;
    this.#codec = codec;
    this.#file = start.file;
    this.#size = start.size;
    this.#sequence = start.sequence;
  }

  /** Opens or creates the log and cuts off a torn record. Throws StorageError. */
  static async open<T>(
    storage: Storage,
    files: LogFiles,
    codec: LogCodec<T>,
  ): Promise<{ readonly log: RecordLog<T>; readonly content: LogContent<T> }> {
    const known = await storage.read(files.current);
    const bytes = known ?? new Uint8Array();
    // `replace` makes the name durable too; a file made by `open` could vanish with the power.
    if (known === undefined) await storage.replace(files.current, bytes);
    const content = codec.decode(bytes);
    if (content.end === 'damaged') await storage.replace(files.damaged, bytes);
    const file = await storage.open(files.current);
    if (content.end !== 'whole') {
      await file.truncate(content.goodBytes);
      await file.sync();
    }
    const sequence = (content.records.at(-1)?.sequence ?? -1) + 1;
    const start = { file, size: content.goodBytes, sequence };
    return { log: new RecordLog(storage, files, codec, start), content };
  }

  get sizeBytes(): number {
    return this.#size;
  }

  /** Resolves when the record is durable. After an error the log is as it was before. */
  async append(value: T, wallMs: number): Promise<void> {
    const bytes = this.#codec.encode({ sequence: this.#sequence, wallMs, value });
    this.#file ??= await this.#storage.open(this.#files.current);
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

  /**
   * Replaces all records by `records`, which are numbered again in their order; the old file stays for the history. After a
   * power cut or on a full disk the log has either all old records or all new ones. Throws StorageError.
   */
  async rewrite(records: readonly Omit<LogRecord<T>, 'sequence'>[]): Promise<void> {
    const first = Math.max(0, this.#sequence - records.length);
    const bytes = concatBytes(
      ...records.map((record, index) => this.#codec.encode({ ...record, sequence: first + index })),
    );
    const before = await this.#storage.read(this.#files.current);
    if (before !== undefined) await this.#storage.replace(this.#files.old, before);
    await this.#storage.replace(this.#files.current, bytes);
    this.#size = bytes.length;
    this.#sequence = first + records.length;
    // The file that is still open has no name any more: nothing may be written to it.
    const old = this.#file;
    this.#file = undefined;
    await old?.close();
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }
}
