// A disk that can lose its power: data that was not synced is lost, kept or torn, also out of order, as on a real disk.

import type { Random } from '../core/random.ts';
import {
  type Storage,
  StorageError,
  type StorageFile,
  type StorageSpace,
} from '../core/storage.ts';

/** An operation that a program requests. `name` is the file; for a rename, the old name. */
export interface DiskOperation {
  readonly kind: 'create' | 'write' | 'truncate' | 'sync' | 'replace' | 'rename' | 'remove';
  readonly name: string;
  /** Bytes that are written; 0 for operations without data. */
  readonly bytes: number;
}

/**
 * `during` exists for `replace` only: the temporary file is written and synced, and has not replaced the old file yet.
 */
export type DiskMoment = 'before' | 'during' | 'after';

/** One change of a file since its last sync, with the data that undoes it. */
type Change =
  | {
      readonly kind: 'write';
      readonly offset: number;
      readonly bytes: Uint8Array;
      readonly overwritten: Uint8Array;
      readonly lengthBefore: number;
    }
  | {
      readonly kind: 'truncate';
      readonly length: number;
      readonly cutOff: Uint8Array;
      readonly lengthBefore: number;
    };

/** A new promise for each call: a shared one would keep the waiters of all ended lives in memory. */
function never(): Promise<never> {
  return new Promise(() => {});
}

const NOTHING = new Uint8Array();

/** The bytes of a file, which grow without a copy for each write, and the changes that are not durable. */
class Inode {
  #buffer: Uint8Array;
  #length: number;
  /** Other objects read these bytes, too: they are copied before the first change. */
  #shared = true;
  unsynced: Change[] = [];

  constructor(bytes: Uint8Array) {
    this.#buffer = bytes;
    this.#length = bytes.length;
  }

  get length(): number {
    return this.#length;
  }

  /** What a reader sees. A view: the next change may change it. */
  get current(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** What is left when all unsynced changes are lost; a copy where there are unsynced changes. */
  durable(): Uint8Array {
    if (this.unsynced.length === 0) return this.current;
    const old = new Inode(this.current);
    for (const change of this.unsynced.toReversed()) old.#undo(change);
    return old.current;
  }

  write(offset: number, bytes: Uint8Array): void {
    const lengthBefore = this.#length;
    const end = offset + bytes.length;
    const overwritten = this.#buffer.slice(offset, Math.min(end, lengthBefore));
    this.unsynced.push({ kind: 'write', offset, bytes, overwritten, lengthBefore });
    this.#put(offset, bytes);
  }

  truncate(length: number): void {
    const lengthBefore = this.#length;
    const cutOff = this.#buffer.slice(Math.min(length, lengthBefore), lengthBefore);
    this.unsynced.push({ kind: 'truncate', length, cutOff, lengthBefore });
    this.#resize(length);
  }

  /** The file as a power cut leaves it. */
  survivor(random: Random): Inode {
    const changes = this.unsynced;
    if (changes.length === 0) {
      // No writer holds the old file any more: a machine without power does not write.
      return new Inode(this.current);
    }
    const left = new Inode(this.durable());
    for (const change of surviving(changes, random)) left.#redo(change);
    return left;
  }

  #redo(change: Change): void {
    if (change.kind === 'write') this.#put(change.offset, change.bytes);
    else this.#resize(change.length);
  }

  #undo(change: Change): void {
    if (change.kind === 'write') this.#put(change.offset, change.overwritten);
    else this.#put(change.length, change.cutOff);
    this.#resize(change.lengthBefore);
  }

  #put(offset: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const end = offset + bytes.length;
    if (end > this.#length) this.#resize(end);
    this.#own();
    this.#buffer.set(bytes, offset);
  }

  #own(): void {
    if (this.#shared) this.#buffer = this.#buffer.slice();
    this.#shared = false;
  }

  #resize(length: number): void {
    this.#own();
    if (length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#buffer.length, 256));
      grown.set(this.current);
      this.#buffer = grown;
    } else {
      // Bytes behind the end read as zeros when the file grows again.
      this.#buffer.fill(0, Math.min(length, this.#length), Math.max(length, this.#length));
    }
    this.#length = length;
  }
}

/**
 * Unsynced changes of one file that have reached the disk. A disk writes its cache in any order: a later change may
 * be there without an earlier one, and the change in progress is there in part.
 */
function surviving(changes: readonly Change[], random: Random): Change[] {
  const luck = random.fraction();
  if (luck < 0.3) return [];
  if (luck < 0.5) return [...changes];
  const inOrder = luck < 0.75;
  const upTo = Math.floor(random.fraction() * (changes.length + 1));
  const kept = changes.filter((_change, index) =>
    inOrder ? index < upTo : random.fraction() < 0.5,
  );
  const torn = inOrder ? kept.length - 1 : Math.floor(random.fraction() * kept.length);
  return kept.map((change, index) => {
    if (index !== torn || change.kind !== 'write') return change;
    const whole = change.bytes.length;
    return { ...change, bytes: change.bytes.subarray(0, Math.floor(random.fraction() * whole)) };
  });
}

type Folder = Map<string, Inode>;
/** Reported size of a simulated disk. */
const DISK_BYTES = 1024 ** 3;

/** A change of names that is not durable yet. */
type NameChange = (folder: Folder) => void;

export interface SimulatedDiskOptions {
  /** Durable content at the start. The bytes are not changed, and others must not change them. */
  readonly files?: ReadonlyMap<string, Uint8Array>;
  /** Name in messages. */
  readonly location?: string;
}

/**
 * The disk of one machine over all its lives. Files behave as on ext4: a sync makes the file and its name durable;
 * names change in order, so a later change is never there without an earlier one; the bytes of a file may be missing
 * although its name is there.
 */
export class SimulatedDisk {
  readonly location: string;
  #names: Folder;
  #durableNames: Folder;
  #unsyncedNames: NameChange[] = [];
  #life: DiskLife | undefined;
  #operations = 0;
  /** Called before and after each operation; a cut during the call prevents the operation or its return. */
  onOperation: ((n: number, operation: DiskOperation, moment: DiskMoment) => void) | undefined;
  /** Writes that need room fail with StorageError NO_SPACE. */
  full = false;
  /** Syncs return without making anything durable. */
  noFsync = false;

  constructor({ files = new Map(), location = 'disk' }: SimulatedDiskOptions = {}) {
    this.location = location;
    this.#names = new Map([...files].map(([name, bytes]) => [name, new Inode(bytes)]));
    this.#durableNames = new Map(this.#names);
  }

  /** Operations that change or sync something, over all lives so far. */
  get operations(): number {
    return this.#operations;
  }

  /** Opens the disk for one life of the machine; operations of the previous life never return. */
  open(): Storage {
    this.#end();
    this.#life = new DiskLife(this);
    return this.#life;
  }

  /** The power is cut: operations of the old life never return, and data that was not synced is lost, kept or torn. */
  cut(random: Random): void {
    this.#end();
    const count = this.#unsyncedNames.length;
    const left = count === 0 ? 0 : Math.floor(random.fraction() * (count + 1));
    for (const change of this.#unsyncedNames.slice(0, left)) change(this.#durableNames);
    this.#unsyncedNames = [];
    const survivors = new Map<Inode, Inode>();
    for (const [name, inode] of this.#durableNames) {
      let survivor = survivors.get(inode);
      if (survivor === undefined) {
        survivor = inode.survivor(random);
        survivors.set(inode, survivor);
      }
      this.#durableNames.set(name, survivor);
    }
    this.#names = new Map(this.#durableNames);
  }

  /** Only the program dies (SIGKILL): its writes are in the cache of a running system. */
  kill(): void {
    this.#end();
  }

  /** What is left when everything that is not durable is lost; copies. */
  files(): Map<string, Uint8Array> {
    return new Map([...this.#durableNames].map(([name, inode]) => [name, inode.durable().slice()]));
  }

  /** The durable bytes of one file, as in `files`. */
  durable(name: string): Uint8Array | undefined {
    return this.#durableNames.get(name)?.durable().slice();
  }

  /** What a reader would see now; undefined where there is no such file; a copy. */
  contents(name: string): Uint8Array | undefined {
    return this.#names.get(name)?.current.slice();
  }

  /** Writes a file durably, as a person with physical access to the disk would do. */
  put(name: string, bytes: Uint8Array): void {
    const inode = new Inode(bytes.slice());
    this.#names.set(name, inode);
    this.#durableNames.set(name, inode);
  }

  #end(): void {
    if (this.#life !== undefined) this.#life.dead = true;
    this.#life = undefined;
  }

  // ---- used by the open life ----

  /** Returns whether the life still lasts. */
  begin(life: DiskLife, operation: DiskOperation): boolean {
    this.#operations++;
    this.onOperation?.(this.#operations, operation, 'before');
    return !life.dead;
  }

  goOn(life: DiskLife, operation: DiskOperation, moment: 'during' | 'after'): boolean {
    this.onOperation?.(this.#operations, operation, moment);
    return !life.dead;
  }

  find(name: string): Inode | undefined {
    return this.#names.get(name);
  }

  list(): IterableIterator<string> {
    return this.#names.keys();
  }

  space(): StorageSpace {
    let used = 0;
    for (const inode of this.#names.values()) used += inode.current.length;
    const freeBytes = this.full ? 0 : Math.max(0, DISK_BYTES - used);
    return { freeBytes, totalBytes: DISK_BYTES };
  }

  /** Changes names now, and durably with the next sync. */
  rename(change: NameChange): void {
    change(this.#names);
    this.#unsyncedNames.push(change);
  }

  syncNames(): void {
    if (this.noFsync) return;
    for (const change of this.#unsyncedNames) change(this.#durableNames);
    this.#unsyncedNames = [];
  }

  sync(inode: Inode): void {
    if (this.noFsync) return;
    inode.unsynced = [];
    this.syncNames();
  }
}

class DiskLife implements Storage {
  readonly #disk: SimulatedDisk;
  readonly location: string;
  dead = false;

  constructor(disk: SimulatedDisk) {
    this.#disk = disk;
    this.location = disk.location;
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    if (this.dead) return never();
    return this.#disk.find(checked(name))?.current.slice();
  }

  async replace(name: string, bytes: Uint8Array): Promise<void> {
    const operation = { kind: 'replace', name: checked(name), bytes: bytes.length } as const;
    if (this.dead || !this.#disk.begin(this, operation)) return never();
    this.#needRoom(name, bytes.length > 0);
    const temporary = `${name}.new`;
    const inode = new Inode(NOTHING);
    inode.write(0, bytes.slice());
    this.#disk.rename((folder) => folder.set(temporary, inode));
    this.#disk.sync(inode);
    if (!this.#disk.goOn(this, operation, 'during')) return never();
    this.#disk.rename((folder) => {
      folder.delete(temporary);
      folder.set(name, inode);
    });
    this.#disk.syncNames();
    if (!this.#disk.goOn(this, operation, 'after')) return never();
  }

  async open(name: string): Promise<StorageFile> {
    if (this.dead) return never();
    let inode = this.#disk.find(checked(name));
    if (inode === undefined) {
      const operation = { kind: 'create', name, bytes: 0 } as const;
      if (!this.#disk.begin(this, operation)) return never();
      this.#needRoom(name, true);
      const created = new Inode(NOTHING);
      this.#disk.rename((folder) => folder.set(name, created));
      inode = created;
      if (!this.#disk.goOn(this, operation, 'after')) return never();
    }
    return new OpenFile(this, this.#disk, name, inode);
  }

  async rename(from: string, to: string): Promise<void> {
    const operation = { kind: 'rename', name: checked(from), bytes: 0 } as const;
    if (this.dead || !this.#disk.begin(this, operation)) return never();
    const inode = this.#disk.find(from);
    if (inode === undefined) throw new StorageError('IO', from, 'moving failed: it is not there');
    checked(to);
    this.#disk.rename((folder) => {
      folder.delete(from);
      folder.set(to, inode);
    });
    this.#disk.syncNames();
    if (!this.#disk.goOn(this, operation, 'after')) return never();
  }

  async remove(name: string): Promise<void> {
    const operation = { kind: 'remove', name: checked(name), bytes: 0 } as const;
    if (this.dead || !this.#disk.begin(this, operation)) return never();
    this.#disk.rename((folder) => folder.delete(name));
    this.#disk.syncNames();
    if (!this.#disk.goOn(this, operation, 'after')) return never();
  }

  async space(): Promise<StorageSpace> {
    return this.dead ? never() : this.#disk.space();
  }

  async list(folder: string): Promise<string[]> {
    if (this.dead) return never();
    const prefix = folder === '' || folder === '.' ? '' : `${checked(folder)}/`;
    const names: string[] = [];
    for (const name of this.#disk.list()) {
      if (!name.startsWith(prefix)) continue;
      const rest = name.slice(prefix.length);
      if (!rest.includes('/')) names.push(rest);
    }
    return names.sort();
  }

  #needRoom(name: string, needed: boolean): void {
    if (needed && this.#disk.full) throw noSpace(name);
  }
}

class OpenFile implements StorageFile {
  readonly #life: DiskLife;
  readonly #disk: SimulatedDisk;
  readonly #name: string;
  readonly #inode: Inode;

  constructor(life: DiskLife, disk: SimulatedDisk, name: string, inode: Inode) {
    this.#life = life;
    this.#disk = disk;
    this.#name = name;
    this.#inode = inode;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (this.#life.dead) return never();
    return this.#inode.current.slice(offset, offset + length);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    const operation = { kind: 'write', name: this.#name, bytes: bytes.length } as const;
    if (this.#life.dead || !this.#disk.begin(this.#life, operation)) return never();
    const room = this.#disk.full ? Math.max(0, this.#inode.length - offset) : bytes.length;
    const fits = bytes.slice(0, room);
    if (fits.length > 0 || bytes.length === 0) this.#inode.write(offset, fits);
    // A full disk writes what fits and then fails.
    if (fits.length < bytes.length) throw noSpace(this.#name);
    if (!this.#disk.goOn(this.#life, operation, 'after')) return never();
  }

  async truncate(length: number): Promise<void> {
    const operation = { kind: 'truncate', name: this.#name, bytes: 0 } as const;
    if (this.#life.dead || !this.#disk.begin(this.#life, operation)) return never();
    this.#inode.truncate(length);
    if (!this.#disk.goOn(this.#life, operation, 'after')) return never();
  }

  async size(): Promise<number> {
    return this.#life.dead ? never() : this.#inode.length;
  }

  async sync(): Promise<void> {
    const operation = { kind: 'sync', name: this.#name, bytes: 0 } as const;
    if (this.#life.dead || !this.#disk.begin(this.#life, operation)) return never();
    this.#disk.sync(this.#inode);
    if (!this.#disk.goOn(this.#life, operation, 'after')) return never();
  }

  async close(): Promise<void> {
    if (this.#life.dead) return never();
  }
}

function noSpace(name: string): StorageError {
  return new StorageError(
    'NO_SPACE',
    name,
    'no space left: free some and start again, nothing is lost',
  );
}

/** Names are relative and stay in the folder, as in `DiskStorage`. */
function checked(name: string): string {
  if (name.startsWith('/') || name.split('/').includes('..')) {
    throw new StorageError('BAD_NAME', name, 'leaves the folder');
  }
  return name;
}
