// A disk that can lose power: what was not synced is gone, kept, or torn, and nothing works any more afterwards.

import {
  type Storage,
  StorageError,
  type StorageFile,
  type StorageSpace,
} from '../../src/core/storage.ts';

type Change =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly length: number };

interface DiskFile {
  /** What a power cut leaves. */
  durable: Uint8Array;
  /** What a reader sees. */
  current: Uint8Array;
  /** Since the last sync, in order. */
  unsynced: Change[];
}

/** What becomes of changes that nobody synced: all lost, all kept, or those that `keep` picks, the last one torn. */
export type UnsyncedFate = 'lost' | 'kept' | { readonly keep: (index: number) => boolean };

export class FaultStorage implements Storage {
  readonly location = 'memory';
  readonly #files: Map<string, DiskFile>;
  /** Operations that change something, so far. */
  operations = 0;
  /** The cut happens at this operation (counted from 1); `after`: it is still carried out. */
  cut: { readonly at: number; readonly when: 'before' | 'after' } | undefined;
  /** Every operation that changes something fails with this code. */
  failing: 'NO_SPACE' | undefined;
  powerLost = false;

  constructor(files: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.#files = new Map(
      [...files].map(([name, bytes]) => [
        name,
        { durable: Uint8Array.from(bytes), current: Uint8Array.from(bytes), unsynced: [] },
      ]),
    );
  }

  /** The disk as the next start finds it. */
  afterPowerCut(fate: UnsyncedFate = 'lost'): FaultStorage {
    const left = new Map<string, Uint8Array>();
    for (const [name, file] of this.#files) left.set(name, survive(file, fate));
    return new FaultStorage(left);
  }

  /** What a reader sees, for assertions. */
  contents(name: string): Uint8Array | undefined {
    return this.#files.get(name)?.current;
  }

  /** Damages one byte of a file for good. */
  corrupt(name: string, offset: number): void {
    const file = this.#files.get(name)!;
    file.current[offset]! ^= 0xff;
    file.durable = Uint8Array.from(file.current);
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    this.#needPower(name);
    const file = this.#files.get(name);
    return file && Uint8Array.from(file.current);
  }

  async replace(name: string, bytes: Uint8Array): Promise<void> {
    this.#operate(name, () => {
      const copy = Uint8Array.from(bytes);
      this.#files.set(name, { durable: copy, current: Uint8Array.from(copy), unsynced: [] });
    });
  }

  async open(name: string): Promise<StorageFile> {
    this.#needPower(name);
    let file = this.#files.get(name);
    if (file === undefined) {
      file = { durable: new Uint8Array(), current: new Uint8Array(), unsynced: [] };
      this.#files.set(name, file);
    }
    return this.#handle(name, file);
  }

  async rename(from: string, to: string): Promise<void> {
    this.#operate(from, () => {
      const file = this.#files.get(from);
      if (file === undefined) throw new StorageError('IO', from, 'is not there');
      this.#files.delete(from);
      this.#files.set(to, file);
    });
  }

  async remove(name: string): Promise<void> {
    this.#operate(name, () => this.#files.delete(name));
  }

  async list(folder: string): Promise<string[]> {
    const prefix = folder === '' || folder === '.' ? '' : `${folder}/`;
    return [...this.#files.keys()]
      .filter((name) => name.startsWith(prefix) && !name.slice(prefix.length).includes('/'))
      .map((name) => name.slice(prefix.length))
      .sort();
  }

  async space(): Promise<StorageSpace> {
    let used = 0;
    for (const { current } of this.#files.values()) used += current.length;
    const totalBytes = 1024 ** 3;
    return { freeBytes: this.failing === 'NO_SPACE' ? 0 : totalBytes - used, totalBytes };
  }

  #handle(name: string, file: DiskFile): StorageFile {
    return {
      read: async (offset, length) => {
        this.#needPower(name);
        return file.current.slice(offset, offset + length);
      },
      write: async (offset, bytes) =>
        this.#operate(name, () => {
          const change: Change = { kind: 'write', offset, bytes: Uint8Array.from(bytes) };
          file.current = apply(file.current, change);
          file.unsynced.push(change);
        }),
      truncate: async (length) =>
        this.#operate(name, () => {
          const change: Change = { kind: 'truncate', length };
          file.current = apply(file.current, change);
          file.unsynced.push(change);
        }),
      size: async () => file.current.length,
      sync: async () =>
        this.#operate(name, () => {
          file.durable = Uint8Array.from(file.current);
          file.unsynced = [];
        }),
      close: async () => {},
    };
  }

  #operate(name: string, change: () => void): void {
    this.#needPower(name);
    if (this.failing !== undefined) throw new StorageError(this.failing, name, 'no space left');
    this.operations++;
    const cut = this.cut?.at === this.operations ? this.cut : undefined;
    if (cut?.when !== 'before') change();
    if (cut !== undefined) {
      this.powerLost = true;
      this.#needPower(name);
    }
  }

  #needPower(name: string): void {
    if (this.powerLost) throw new StorageError('IO', name, 'the power is gone');
  }
}

function survive(file: DiskFile, fate: UnsyncedFate): Uint8Array {
  if (fate === 'lost') return file.durable;
  if (fate === 'kept') return file.current;
  const kept = file.unsynced.filter((_change, index) => fate.keep(index));
  let bytes = file.durable;
  kept.forEach((change, index) => {
    const torn = index === kept.length - 1 && change.kind === 'write';
    bytes = apply(
      bytes,
      torn ? { ...change, bytes: change.bytes.subarray(0, change.bytes.length >> 1) } : change,
    );
  });
  return bytes;
}

function apply(bytes: Uint8Array, change: Change): Uint8Array {
  if (change.kind === 'truncate') {
    const cut = new Uint8Array(change.length);
    cut.set(bytes.subarray(0, change.length));
    return cut;
  }
  const grown = new Uint8Array(Math.max(bytes.length, change.offset + change.bytes.length));
  grown.set(bytes);
  grown.set(change.bytes, change.offset);
  return grown;
}
