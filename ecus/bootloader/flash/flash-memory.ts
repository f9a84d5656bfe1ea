// Flash memory as files: two banks with exactly the bytes of their images, and the boot record.

import { createHash, type Hash } from 'node:crypto';
import { toHex } from '../../../src/core/bytes.ts';
import { DurableFile, type FileState, readFileOnce } from '../../../src/core/durable-file.ts';
import { assertNever } from '../../../src/core/errors.ts';
import { type Storage, StorageError, type StorageFile } from '../../../src/core/storage.ts';
import {
  type BankIndex,
  type BankRecord,
  BLANK_RECORD,
  type BootRecord,
  bootRecordSchema,
  EMPTY_BANK,
  type RecordChange,
  withBank,
} from '../boot/boot-record.ts';
import { sealedFile } from './sealed-json.ts';

const BANK_FILES = ['bank-a.bin', 'bank-b.bin'] as const;
const RECORD_FILE = 'boot-record';

/** Bytes of one file write, which takes about as long as one of 4 KiB. */
const WRITE_CHUNK = 256 * 1024;
const READ_CHUNK = 256 * 1024;

/** Decides before each block whether the write succeeds; used for simulated faults. */
export type ProgramGate = (offset: number, length: number) => 'ok' | 'failed' | 'power-lost';

/** Programming failed, or power was lost. All other errors are StorageErrors. */
export class FlashFault extends Error {
  readonly kind: 'failed' | 'power-lost';

  constructor(kind: 'failed' | 'power-lost', message: string) {
    super(message);
    this.name = 'FlashFault';
    this.kind = kind;
  }
}

export interface FlashMemoryOptions {
  readonly storage: Storage;
  /** Chooses the bank of a download. */
  readonly banks: { target(record: BootRecord): BankIndex };
  readonly gate: ProgramGate;
}

interface OpenWrite {
  readonly bank: BankIndex;
  readonly file: StorageFile;
  readonly chunk: Uint8Array;
  /** Number of bytes in `chunk`. */
  filled: number;
  /** Offset of `chunk` in the bank. */
  offset: number;
}

export class FlashMemory {
  readonly #storage: Storage;
  readonly #banks: FlashMemoryOptions['banks'];
  readonly #gate: ProgramGate;
  readonly #record: DurableFile<BootRecord>;
  #write: OpenWrite | undefined;
  #poweredOff = false;

  private constructor(options: FlashMemoryOptions, record: DurableFile<BootRecord>) {
    this.#storage = options.storage;
    this.#banks = options.banks;
    this.#gate = options.gate;
    this.#record = record;
  }

  /** Opens the memory and reads the record. `damaged`: the reason why the record is not valid. */
  static async open(options: FlashMemoryOptions): Promise<{
    readonly flash: FlashMemory;
    readonly state: FileState;
  }> {
    const codec = sealedFile(bootRecordSchema);
    const { storage } = options;
    const read = await readFileOnce(storage, RECORD_FILE, codec);
    // Without the record no image counts as verified: only the bootloader runs, and both banks are unknown.
    const unknown: BankRecord = { ...EMPTY_BANK, content: 'receiving' };
    const record: BootRecord =
      read.state === 'known'
        ? read.content
        : read.state === 'missing'
          ? BLANK_RECORD
          : { ...BLANK_RECORD, banks: [unknown, unknown] };
    const file = new DurableFile(storage, RECORD_FILE, codec, record);
    return { flash: new FlashMemory(options, file), state: read.state };
  }

  get record(): BootRecord {
    return this.#record.content;
  }

  /** The bank of a download. */
  get targetBank(): BankIndex {
    return this.#banks.target(this.record);
  }

  /**
   * Changes the record durably and atomically: the next boot finds the old one or the new one. `change` gets the record
   * after all earlier changes, and refuses by undefined.
   */
  async update(change: RecordChange): Promise<'changed' | 'unchanged' | 'refused'> {
    let outcome: 'changed' | 'unchanged' | 'refused' = 'changed';
    await this.#record.update((record) => {
      this.#needPower();
      const next = change(record);
      if (next === undefined) outcome = 'refused';
      else if (next === record) outcome = 'unchanged';
      return next ?? record;
    });
    return outcome;
  }

  /** Erases the target bank. It is invalid from the start of the erase, and `empty` only at its end. */
  async erase(): Promise<void> {
    await this.abandonWrite();
    const bank = this.targetBank;
    await this.update((record) => ({
      ...withBank(record, bank, { ...EMPTY_BANK, content: 'receiving' }),
      activationPending: false,
    }));
    const file = await this.#open(bank);
    try {
      await file.truncate(0);
      await file.sync();
    } finally {
      await file.close();
    }
    await this.update((record) => withBank(record, bank, EMPTY_BANK));
  }

  /** Opens the blank target bank for writing; it must be erased before another download. */
  async beginWrite(): Promise<void> {
    await this.abandonWrite();
    const bank = this.targetBank;
    await this.update((record) => withBank(record, bank, { ...EMPTY_BANK, content: 'receiving' }));
    const file = await this.#open(bank);
    this.#write = { bank, file, chunk: new Uint8Array(WRITE_CHUNK), filled: 0, offset: 0 };
  }

  /** Opens the target bank of an unfinished download after its first `length` bytes, which are durable. */
  async resumeWrite(length: number): Promise<void> {
    await this.abandonWrite();
    const bank = this.targetBank;
    if (this.record.banks[bank].content !== 'receiving')
      throw new Error('there is no download to resume');
    const file = await this.#open(bank);
    this.#write = { bank, file, chunk: new Uint8Array(WRITE_CHUNK), filled: 0, offset: length };
    // Bytes after the durable length are discarded.
    await file.truncate(length);
  }

  /** Makes all appended bytes durable; the write continues. */
  async checkpoint(): Promise<void> {
    const write = this.#write;
    if (write === undefined) throw new Error('checkpoint without beginWrite');
    await this.#flush(write);
    await write.file.sync();
  }

  /** Appends to the bank. Throws FlashFault or StorageError when the write fails. */
  async append(bytes: Uint8Array): Promise<void> {
    const write = this.#write;
    if (write === undefined) throw new Error('append without beginWrite');
    this.#needPower();
    const verdict = this.#gate(write.offset + write.filled, bytes.length);
    switch (verdict) {
      case 'ok':
        break;
      case 'failed':
        throw new FlashFault('failed', `programming failed at byte ${write.offset + write.filled}`);
      case 'power-lost':
        this.powerOff();
        throw new FlashFault('power-lost', 'power was lost');
      default:
        assertNever(verdict);
    }
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + WRITE_CHUNK - write.filled);
      write.chunk.set(part, write.filled);
      write.filled += part.length;
      at += part.length;
      if (write.filled === WRITE_CHUNK) await this.#flush(write);
    }
  }

  /** Ends the write; all appended bytes are on disk when it resolves. */
  async finishWrite(): Promise<void> {
    const write = this.#write;
    if (write === undefined) throw new Error('finishWrite without beginWrite');
    await this.checkpoint();
    this.#write = undefined;
    await write.file.close();
  }

  /** Ends an interrupted download; the bank stays `receiving`. */
  async abandonWrite(): Promise<void> {
    const write = this.#write;
    this.#write = undefined;
    await write?.file.close();
  }

  /**
   * SHA-256 and length of the bank's file, read as a stream. node:crypto hashes 1.6 GB/s, @noble/hashes 180 MB/s (16
   * MiB, this loop), and a boot and every FD01 wait for it.
   */
  async digest(bank: BankIndex): Promise<{ readonly sha256: Uint8Array; readonly length: number }> {
    const hash = createHash('sha256');
    const length = await this.#stream(bank, hash);
    return { sha256: Uint8Array.from(hash.digest()), length };
  }

  /** Another hash of the bank's bytes, hexadecimal. */
  async hash(bank: BankIndex, name: 'sha384' | 'sha512'): Promise<string> {
    const hash = createHash(name);
    await this.#stream(bank, hash);
    return hash.digest('hex');
  }

  /** Reads up to `length` bytes of a bank, fewer at the end of the file. */
  async read(bank: BankIndex, offset: number, length: number): Promise<Uint8Array> {
    const file = await this.#storage.open(BANK_FILES[bank]);
    try {
      return await file.read(offset, length);
    } finally {
      await file.close();
    }
  }

  /** Whether the bank's bytes match the record. */
  async intact(bank: BankIndex): Promise<boolean> {
    const { content, length, sha256 } = this.record.banks[bank];
    if (content !== 'valid') return false;
    const found = await this.digest(bank);
    return found.length === length && toHex(found.sha256) === sha256;
  }

  /** Writes a proven image to bank A of a new device, and then the record. */
  async install(image: Uint8Array, version: string): Promise<void> {
    const file = await this.#open(0);
    try {
      await file.truncate(0);
      await file.write(0, image);
      await file.sync();
    } finally {
      await file.close();
    }
    const sha256 = toHex(createHash('sha256').update(image).digest());
    const bank = { content: 'valid', version, length: image.length, sha256, proven: true } as const;
    await this.update(() => withBank(BLANK_RECORD, 0, bank));
  }

  /** Simulates a power loss: from now on no data is written to disk. */
  powerOff(): void {
    this.#poweredOff = true;
  }

  /** Waits for pending writes and closes the files. */
  async close(): Promise<void> {
    await this.#record.settled();
    await this.abandonWrite().catch(() => {});
  }

  #needPower(): void {
    if (this.#poweredOff) throw new FlashFault('power-lost', 'power was lost');
  }

  async #flush(write: OpenWrite): Promise<void> {
    this.#needPower();
    if (write.filled === 0) return;
    await write.file.write(write.offset, write.chunk.subarray(0, write.filled));
    write.offset += write.filled;
    write.filled = 0;
  }

  #open(bank: BankIndex): Promise<StorageFile> {
    this.#needPower();
    return this.#storage.open(BANK_FILES[bank]);
  }

  async #stream(bank: BankIndex, hash: Hash): Promise<number> {
    const file = await this.#storage.open(BANK_FILES[bank]);
    try {
      for (let offset = 0; ; ) {
        const part = await file.read(offset, READ_CHUNK);
        hash.update(part);
        offset += part.length;
        if (part.length < READ_CHUNK) return offset;
      }
    } finally {
      await file.close();
    }
  }
}

/** Whether the error is a programming error, which gives a negative response; other errors are bugs. */
export function isFlashFailure(error: unknown): error is FlashFault | StorageError {
  return error instanceof FlashFault || error instanceof StorageError;
}
