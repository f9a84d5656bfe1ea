// A part of a stored file as a stream: the next piece is read while the last one is on its way.

import { Readable } from 'node:stream';
import type { StorageFile } from '../../../src/core/storage.ts';

const PIECE_BYTES = 256 * 1024;

/** Closes the file when it ends, and when it is destroyed. */
export class FileStream extends Readable {
  readonly #file: StorageFile;
  readonly #end: number;
  readonly #start: number;
  #at: number;
  /** A file must not be closed under a read. */
  #reading: Promise<unknown> = Promise.resolve();

  /** Bytes from `start` to before `end`. A file that is shorter ends the stream with an error: its length was promised. */
  constructor(file: StorageFile, start: number, end: number) {
    super({ highWaterMark: PIECE_BYTES });
    this.#file = file;
    this.#start = start;
    this.#at = start;
    this.#end = end;
  }

  /** Bytes that were given out. */
  get bytesRead(): number {
    return this.#at - this.#start;
  }

  override _read(): void {
    const length = Math.min(PIECE_BYTES, this.#end - this.#at);
    if (length === 0) {
      this.push(null);
      return;
    }
    this.#reading = this.#file.read(this.#at, length).then(
      (bytes) => {
        if (this.destroyed) return;
        if (bytes.length < length) {
          this.destroy(new Error(`the file ends ${length - bytes.length} bytes early`));
          return;
        }
        this.#at += length;
        this.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
      },
      (error) => this.destroy(error),
    );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const close = (): Promise<void> => this.#file.close();
    this.#reading.then(close, close).then(
      () => done(error),
      (closing: Error) => done(error ?? closing),
    );
  }
}
