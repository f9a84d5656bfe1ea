// One durable file of sealed JSON: read at power-on, replaced as a whole, never half of it.

import type { z } from 'zod';
import type { Storage } from '../../src/core/storage.ts';
import { decodeSealed, encodeSealed } from './sealed-json.ts';

export type SealedState = 'known' | 'first' | { readonly damaged: string };

export class SealedFile<T> {
  readonly #storage: Storage;
  readonly #name: string;
  #content: T;
  /** Writes run one after the other: two replacements at once would share a temporary file. */
  #tail: Promise<void> = Promise.resolve();
  #poweredOff = false;

  private constructor(storage: Storage, name: string, content: T) {
    this.#storage = storage;
    this.#name = name;
    this.#content = content;
  }

  /** A missing or damaged file has the content `initial`, and nothing is written. Throws StorageError. */
  static async open<T>(
    storage: Storage,
    name: string,
    schema: z.ZodType<T>,
    initial: T,
  ): Promise<{ readonly file: SealedFile<T>; readonly state: SealedState }> {
    const bytes = await storage.read(name);
    if (bytes === undefined) {
      return { file: new SealedFile(storage, name, initial), state: 'first' };
    }
    const decoded = decodeSealed(bytes, schema);
    return 'value' in decoded
      ? { file: new SealedFile(storage, name, decoded.value), state: 'known' }
      : { file: new SealedFile(storage, name, initial), state: { damaged: decoded.fault } };
  }

  get content(): T {
    return this.#content;
  }

  /** The change counts when it is durable, which is when this resolves. Throws StorageError. */
  async store(change: (content: T) => T): Promise<T> {
    const done = this.#tail.then(async () => {
      const content = change(this.#content);
      if (!this.#poweredOff) {
        await this.#storage.replace(this.#name, encodeSealed(content));
        this.#content = content;
      }
      return this.#content;
    });
    this.#tail = done.then(
      () => {},
      () => {},
    );
    return done;
  }

  /** From now on nothing reaches the disk any more. */
  powerOff(): void {
    this.#poweredOff = true;
  }

  /** Resolves when everything stored so far is durable or has failed. */
  settled(): Promise<void> {
    return this.#tail;
  }
}
