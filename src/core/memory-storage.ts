// Files in memory that end with the process: for work without state after its end.

import type { Storage, StorageFile } from './storage.ts';

export class MemoryStorage implements Storage {
  readonly location = 'memory';
  readonly #files = new Map<string, { bytes: Uint8Array }>();

  async read(name: string): Promise<Uint8Array | undefined> {
    return this.#files.get(name)?.bytes.slice();
  }

  async replace(name: string, bytes: Uint8Array): Promise<void> {
    // An open file keeps its old bytes, as on a disk.
    this.#files.set(name, { bytes: bytes.slice() });
  }

  async open(name: string): Promise<StorageFile> {
    const file = this.#files.get(name) ?? { bytes: new Uint8Array() };
    this.#files.set(name, file);
    const resize = (length: number): void => {
      const resized = new Uint8Array(length);
      resized.set(file.bytes.subarray(0, length));
      file.bytes = resized;
    };
    return {
      read: async (offset, length) => file.bytes.slice(offset, offset + length),
      write: async (offset, bytes) => {
        if (file.bytes.length < offset + bytes.length) resize(offset + bytes.length);
        file.bytes.set(bytes, offset);
      },
      truncate: async (length) => resize(length),
      size: async () => file.bytes.length,
      sync: async () => {},
      close: async () => {},
    };
  }

  async rename(from: string, to: string): Promise<void> {
    const file = this.#files.get(from);
    if (file === undefined) return;
    this.#files.delete(from);
    this.#files.set(to, file);
  }

  async remove(name: string): Promise<void> {
    this.#files.delete(name);
  }

  async list(folder: string): Promise<string[]> {
    const prefix = folder === '' || folder === '.' ? '' : `${folder}/`;
    return [...this.#files.keys()]
      .filter((name) => name.startsWith(prefix) && !name.slice(prefix.length).includes('/'))
      .map((name) => name.slice(prefix.length))
      .sort();
  }

  async space(): Promise<undefined> {}
}
