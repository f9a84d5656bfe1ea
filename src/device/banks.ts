// The two banks of the flash memory as files, written in order and read piece by piece through the working memory.

import { createHash } from 'node:crypto';
import type { Storage, StorageFile } from '../core/storage.ts';
import type { Bank } from './boot-record.ts';
import type { WorkingMemory } from './working-memory.ts';

const FILES = ['bank-a.bin', 'bank-b.bin'] as const;

/** Bytes of one read. */
const PAGE_BYTES = 1024;

export interface BankDigest {
  /** Length in bytes. */
  readonly length: number;
  /** SHA-256, hexadecimal. */
  readonly sha256: string;
}

/** The digest of a bank. Throws StorageError. */
export async function bankDigest(
  storage: Storage,
  bank: Bank,
  memory: WorkingMemory,
): Promise<BankDigest> {
  const file = await storage.open(FILES[bank]);
  try {
    using page = memory.allocate('a page of a bank', PAGE_BYTES);
    const hash = createHash('sha256');
    for (let offset = 0; ; ) {
      const part = await readInto(file, offset, page.bytes);
      hash.update(part);
      offset += part.length;
      if (part.length < PAGE_BYTES) return { length: offset, sha256: hash.digest('hex') };
    }
  } finally {
    await file.close();
  }
}

/** Erases a bank and writes it from its beginning. Nothing is durable before `finish`. */
export class BankWriter {
  readonly #file: StorageFile;
  #offset = 0;

  private constructor(file: StorageFile) {
    this.#file = file;
  }

  /** Throws StorageError. */
  static async open(storage: Storage, bank: Bank): Promise<BankWriter> {
    const file = await storage.open(FILES[bank]);
    await file.truncate(0);
    return new BankWriter(file);
  }

  async append(bytes: Uint8Array): Promise<void> {
    await this.#file.write(this.#offset, bytes);
    this.#offset += bytes.length;
  }

  async finish(): Promise<void> {
    await this.#file.sync();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** Reads into `target` and returns the part that was read, which is shorter at the end of the file. */
export async function readInto(
  file: StorageFile,
  offset: number,
  target: Uint8Array,
): Promise<Uint8Array> {
  const part = await file.read(offset, target.length);
  target.set(part);
  return target.subarray(0, part.length);
}
