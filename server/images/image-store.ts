// Images as files named by their SHA-256, and the way in: streamed, hashed, synced, renamed.

import { createHash } from 'node:crypto';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { systemErrorCode } from '../../src/core/errors.ts';
import { HttpProblem } from '../errors.ts';

/** An image that is on the disk under a temporary name. Ends with `commit` or `discard`. */
export interface StagedImage {
  readonly sha256: string;
  readonly size: number;
  /** Gives the image its name for good; durable when it resolves. */
  commit(): Promise<void>;
  /** Removes it; after `commit` it does nothing. */
  discard(): Promise<void>;
}

/** An open image. Ends with `close`, or with the end of its stream. */
export interface OpenImage {
  readonly size: number;
  /** Bytes `start` to `end`, both included. */
  stream(start: number, end: number): Readable;
  close(): Promise<void>;
}

export type OpenFile = (file: string, flags: string, mode?: number) => Promise<fs.FileHandle>;

const SHA256 = /^[0-9a-f]{64}$/;
const READ_CHUNK = 256 * 1024;

export class ImageStore {
  readonly #images: string;
  readonly #incoming: string;
  readonly #openFile: OpenFile;
  readonly #newName: () => string;

  private constructor(dataDir: string, newName: () => string, openFile: OpenFile) {
    this.#images = path.join(dataDir, 'images');
    this.#incoming = path.join(dataDir, 'incoming');
    this.#newName = newName;
    this.#openFile = openFile;
  }

  /** Removes what interrupted uploads left. `openFile` stands in for the disk in tests. */
  static async open(
    dataDir: string,
    newName: () => string,
    openFile: OpenFile = fs.open,
  ): Promise<ImageStore> {
    const store = new ImageStore(dataDir, newName, openFile);
    await fs.rm(store.#incoming, { recursive: true, force: true });
    await fs.mkdir(store.#images, { recursive: true, mode: 0o700 });
    await fs.mkdir(store.#incoming, { recursive: true, mode: 0o700 });
    return store;
  }

  /**
   * Takes in a stream of unknown length. Throws HttpProblem `IMAGE_TOO_LARGE` (413), `IMAGE_EMPTY` (400) or
   * `INSUFFICIENT_STORAGE` (507), or what the stream throws; in every case nothing is left on the disk.
   */
  async stage(source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<StagedImage> {
    const temporary = path.join(this.#incoming, `${this.#newName()}.part`);
    const hash = createHash('sha256');
    let size = 0;
    try {
      const handle = await this.#openFile(temporary, 'wx', 0o600);
      try {
        for await (const chunk of source) {
          size += chunk.length;
          if (size > maxBytes) throw tooLarge(maxBytes);
          hash.update(chunk);
          await writeAll(handle, chunk);
        }
        if (size === 0) throw new HttpProblem(400, 'IMAGE_EMPTY', 'the file is empty');
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (error) {
      await fs.rm(temporary, { force: true });
      throw storageProblem(error);
    }
    return this.#staged(temporary, hash.digest('hex'), size);
  }

  #staged(temporary: string, sha256: string, size: number): StagedImage {
    return {
      sha256,
      size,
      commit: async () => {
        try {
          await fs.rename(temporary, this.#file(sha256));
          await this.#syncFolder();
        } catch (error) {
          await fs.rm(temporary, { force: true });
          throw storageProblem(error);
        }
      },
      discard: () => fs.rm(temporary, { force: true }),
    };
  }

  async has(sha256: string): Promise<boolean> {
    const image = await this.openImage(sha256);
    await image?.close();
    return image !== undefined;
  }

  /** Undefined when there is no such image. */
  async openImage(sha256: string): Promise<OpenImage | undefined> {
    let handle: fs.FileHandle;
    try {
      handle = await fs.open(this.#file(sha256), 'r');
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    const { size } = await handle.stat();
    return {
      size,
      stream: (start, end) => handle.createReadStream({ start, end, highWaterMark: READ_CHUNK }),
      close: () => handle.close(),
    };
  }

  /** Removes an image that no release names (any more). */
  async remove(sha256: string): Promise<void> {
    await fs.rm(this.#file(sha256), { force: true });
    await this.#syncFolder();
  }

  #file(sha256: string): string {
    // The only names that ever become paths: no request text reaches this folder.
    if (!SHA256.test(sha256)) throw new RangeError(`not a SHA-256: ${sha256}`);
    return path.join(this.#images, sha256);
  }

  async #syncFolder(): Promise<void> {
    const handle = await fs.open(this.#images, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

export function tooLarge(maxBytes: number): HttpProblem {
  return new HttpProblem(
    413,
    'IMAGE_TOO_LARGE',
    `the image is larger than ${maxBytes} bytes: send a smaller one or raise the server's limit`,
  );
}

/** A full disk becomes 507 wherever it shows, in a file or in the database. */
export function storageProblem(error: unknown): unknown {
  const code = systemErrorCode(error);
  const sqliteFull = (error as { errcode?: number } | null)?.errcode === 13; // SQLITE_FULL
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG' || sqliteFull) {
    return new HttpProblem(
      507,
      'INSUFFICIENT_STORAGE',
      'the server has no space left for this image: nothing was kept, free some and send it again',
      { cause: error },
    );
  }
  return error;
}

async function writeAll(handle: fs.FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await handle.write(bytes, written)).bytesWritten;
  }
}
