// The staging file of the encrypted image: chunks with checksums at their places, so that a power cut keeps valid ones.
//
// Record n of the file is a CRC-32 over n (4 bytes, big-endian) and the data, followed by the data: `chunkBytes` bytes,
// fewer in the last record. A disk may keep a later write and lose an earlier one, so the read stops at the first
// invalid record. Records after it are not used.

import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { type Chunking, chunkCount, chunkLength } from '../contract/chunked/protocol.ts';
import type { Storage, StorageFile } from '../core/storage.ts';
import { readInto } from './banks.ts';
import type { WorkingMemory } from './working-memory.ts';

const FILE = 'download.bin';
const CRC_BYTES = 4;

/** Valid chunks from the first one on without a gap. */
export interface StagedChunks {
  readonly chunks: number;
  /** Bytes of the image. */
  readonly bytes: number;
  /** SHA-256 of these bytes, hexadecimal. */
  readonly sha256: string;
}

export class Staging {
  readonly #file: StorageFile;
  readonly #image: Chunking;
  readonly #memory: WorkingMemory;

  private constructor(file: StorageFile, image: Chunking, memory: WorkingMemory) {
    this.#file = file;
    this.#image = image;
    this.#memory = memory;
  }

  /** Opens the file with its content, which may belong to another image. Throws StorageError. */
  static async open(storage: Storage, image: Chunking, memory: WorkingMemory): Promise<Staging> {
    return new Staging(await storage.open(FILE), image, memory);
  }

  /** Reads the valid chunks, and discards those after the first gap. Throws StorageError. */
  async held(): Promise<StagedChunks> {
    const hash = createHash('sha256');
    let chunks = 0;
    let bytes = 0;
    for await (const data of this.read()) {
      hash.update(data);
      bytes += data.length;
      chunks++;
    }
    const end = chunks * this.#recordBytes;
    if ((await this.#file.size()) > end) await this.#file.truncate(end);
    return { chunks, bytes, sha256: hash.digest('hex') };
  }

  /** Writes a chunk; durable after `sync`. `data` may be in the working memory: it is written when this resolves. */
  async put(number: number, data: Uint8Array): Promise<void> {
    const offset = number * this.#recordBytes;
    using checksum = this.#memory.allocate('the checksum of a chunk', CRC_BYTES);
    const { buffer, byteOffset } = checksum.bytes;
    new DataView(buffer, byteOffset, CRC_BYTES).setUint32(0, crc32(data, number));
    await this.#file.write(offset, checksum.bytes);
    await this.#file.write(offset + CRC_BYTES, data);
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  /** Discards all chunks; durable when it resolves. */
  async clear(): Promise<void> {
    await this.#file.truncate(0);
    await this.#file.sync();
  }

  /** The stored chunks in order, up to the first invalid one. A piece is valid until the next one is requested. */
  async *read(): AsyncGenerator<Uint8Array, void, void> {
    const { chunkBytes } = this.#image;
    using record = this.#memory.allocate('a stored chunk', CRC_BYTES + chunkBytes);
    for (let number = 0; number < chunkCount(this.#image); number++) {
      const length = CRC_BYTES + chunkLength(this.#image, number);
      const room = record.bytes.subarray(0, length);
      const part = await readInto(this.#file, number * this.#recordBytes, room);
      if (part.length < length) return;
      const data = part.subarray(CRC_BYTES);
      const view = new DataView(part.buffer, part.byteOffset, CRC_BYTES);
      if (view.getUint32(0) !== crc32(data, number)) return;
      yield data;
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  get #recordBytes(): number {
    return CRC_BYTES + this.#image.chunkBytes;
  }
}
