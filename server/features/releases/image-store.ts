// Images as files named by their SHA-256, and the way in: streamed, hashed, synced, renamed.

import { createHash } from 'node:crypto';
import { systemErrorCode } from '../../../src/core/errors.ts';
import { isSha256Hex } from '../../../src/core/names.ts';
import { type Storage, StorageError } from '../../../src/core/storage.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { FileStream } from './file-stream.ts';

/** An image that is on the disk under a temporary name. Ends with `commit` or `discard`. */
export interface StagedImage {
  readonly sha256: string;
  readonly size: number;
  /** Up to `length` bytes from `offset`; before `commit` only. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Gives the image its name for good; durable when it resolves. */
  commit(): Promise<void>;
  /** Removes it; after `commit` it does nothing. */
  discard(): Promise<void>;
}

/** An open image. Ends with `close`, or with the end of its stream. */
export interface OpenImage {
  readonly size: number;
  /** Bytes `start` to `end`, both included. */
  stream(start: number, end: number): FileStream;
  /** Up to `length` bytes from `offset`; the image stays open. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Folders of the storage. Other servers may give the images out, too; what is on its way in is none of theirs. */
const IMAGES = 'images';
const INCOMING = 'incoming';
export const IMAGE_FOLDERS = [IMAGES, INCOMING] as const;

export class ImageStore {
  readonly #storage: Storage;
  readonly #newName: () => string;
  /** What is there. Opening a file creates it, so only files of this set are opened. */
  readonly #known: Set<string>;

  private constructor(storage: Storage, newName: () => string, known: readonly string[]) {
    this.#storage = storage;
    this.#newName = newName;
    this.#known = new Set(known);
  }

  /** Removes what interrupted uploads left. On a real disk the folders have to be there: a rename makes none. */
  static async open(storage: Storage, newName: () => string): Promise<ImageStore> {
    for (const name of await storage.list(INCOMING)) await storage.remove(`${INCOMING}/${name}`);
    return new ImageStore(storage, newName, await storage.list(IMAGES));
  }

  /**
   * Takes in a stream of unknown length. Throws HttpProblem `IMAGE_TOO_LARGE` (413), `IMAGE_EMPTY` (400) or
   * `INSUFFICIENT_STORAGE` (507), or what the stream throws; in every case nothing is left on the disk.
   */
  async stage(source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<StagedImage> {
    const temporary = `${INCOMING}/${this.#newName()}.part`;
    const hash = createHash('sha256');
    let size = 0;
    try {
      const file = await this.#storage.open(temporary);
      try {
        for await (const chunk of source) {
          if (size + chunk.length > maxBytes) throw tooLarge(maxBytes);
          hash.update(chunk);
          await file.write(size, chunk);
          size += chunk.length;
        }
        if (size === 0) throw new HttpProblem(400, 'IMAGE_EMPTY', 'the file is empty');
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      await this.#storage.remove(temporary);
      throw storageProblem(error);
    }
    return this.#staged(temporary, hash.digest('hex'), size);
  }

  #staged(temporary: string, sha256: string, size: number): StagedImage {
    let committed = false;
    return {
      sha256,
      size,
      read: async (offset, length) => {
        const file = await this.#storage.open(temporary);
        try {
          return await file.read(offset, length);
        } finally {
          await file.close();
        }
      },
      commit: async () => {
        try {
          await this.#storage.rename(temporary, nameOf(sha256));
          this.#known.add(sha256);
          committed = true;
        } catch (error) {
          await this.#storage.remove(temporary);
          throw storageProblem(error);
        }
      },
      discard: async () => {
        if (!committed) await this.#storage.remove(temporary);
      },
    };
  }

  async has(sha256: string): Promise<boolean> {
    const image = await this.openImage(sha256);
    await image?.close();
    return image !== undefined;
  }

  /** Undefined when there is no such image. */
  async openImage(sha256: string): Promise<OpenImage | undefined> {
    const name = nameOf(sha256);
    if (!this.#known.has(sha256)) {
      // It may have been put back meanwhile.
      if (!(await this.#storage.list(IMAGES)).includes(sha256)) return undefined;
      this.#known.add(sha256);
    }
    const file = await this.#storage.open(name);
    const size = await file.size();
    if (size === 0) {
      // The file was taken away, and opening has created an empty one. No image is empty.
      this.#known.delete(sha256);
      await file.close();
      return undefined;
    }
    return {
      size,
      stream: (start, end) => new FileStream(file, start, end + 1),
      read: (offset, length) => file.read(offset, length),
      close: () => file.close(),
    };
  }

  /** Removes an image that no release names (any more). */
  async remove(sha256: string): Promise<void> {
    this.#known.delete(sha256);
    await this.#storage.remove(nameOf(sha256));
  }
}

function nameOf(sha256: string): string {
  // The only names that ever become paths: no request text reaches this folder.
  if (!isSha256Hex(sha256)) throw new RangeError(`not a SHA-256: ${sha256}`);
  return `${IMAGES}/${sha256}`;
}

export function tooLarge(maxBytes: number): HttpProblem {
  return new HttpProblem(
    413,
    'IMAGE_TOO_LARGE',
    `the image is larger than ${maxBytes} bytes: send a smaller one, or raise --max-upload of the server`,
  );
}

/** A full disk becomes 507 wherever it shows, in a file or in the database. */
export function storageProblem(error: unknown): unknown {
  const code = systemErrorCode(error instanceof StorageError ? error.cause : error);
  const diskFull = error instanceof StorageError && error.code === 'NO_SPACE';
  const sqliteFull = (error as { errcode?: number } | null)?.errcode === 13; // SQLITE_FULL
  if (diskFull || code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG' || sqliteFull) {
    return new HttpProblem(
      507,
      'INSUFFICIENT_STORAGE',
      'the server has no space left for this image: nothing was kept, free some and send it again',
      { cause: error },
    );
  }
  return error;
}
