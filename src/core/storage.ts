// Durable files. State on disk is either the old one or the new one: `kill -9` at any instant is a normal event.

import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import { CanOtaError, systemErrorCode } from './errors.ts';

export type StorageErrorCode = 'NO_SPACE' | 'NO_ACCESS' | 'IO' | 'BAD_NAME';

/** A file could not be read or written. The message names the file and says what to do. */
export class StorageError extends CanOtaError {
  readonly code: StorageErrorCode;
  readonly path: string;

  constructor(code: StorageErrorCode, file: string, message: string, cause?: unknown) {
    super(`${file}: ${message}`, { cause });
    this.code = code;
    this.path = file;
  }
}

/** An open file, read and written at positions. Nothing is durable before `sync` has resolved. */
export interface StorageFile {
  /** Up to `length` bytes from `offset`; fewer at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array>;
  write(offset: number, bytes: Uint8Array): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The files below one folder. Names are relative, `/`-separated and cannot leave the folder. */
export interface Storage {
  /** For messages: where this storage is. */
  readonly location: string;
  /** The whole file, undefined where there is none. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** Replaces the file: temporary file, fsync, rename, fsync of the folder. */
  replace(name: string, bytes: Uint8Array): Promise<void>;
  /** Opens for reading and writing; creates it (and its folders) where it is missing. */
  open(name: string): Promise<StorageFile>;
  /** Moves within the storage, durably; an existing target is replaced. */
  rename(from: string, to: string): Promise<void>;
  /** Removes durably; a missing file is fine. */
  remove(name: string): Promise<void>;
  /** Names of the files directly in `folder`, sorted; empty where there is none. */
  list(folder: string): Promise<string[]>;
  /** Space of the file system that the folder is on. Undefined where the storage has no limit. */
  space(): Promise<StorageSpace | undefined>;
}

export interface StorageSpace {
  /** What this process may still write, in bytes. */
  readonly freeBytes: number;
  readonly totalBytes: number;
}

function wrap(file: string, doing: string, error: unknown): StorageError {
  const code = systemErrorCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new StorageError(
      'NO_SPACE',
      file,
      `no space left while ${doing}: free some and start again, nothing is lost`,
      error,
    );
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new StorageError(
      'NO_ACCESS',
      file,
      `no permission for ${doing}: check owner and mode`,
      error,
    );
  }
  if (code === 'ELOOP') {
    return new StorageError(
      'NO_ACCESS',
      file,
      `${doing} stopped at a symbolic link, which is not followed: put the file itself there`,
      error,
    );
  }
  return new StorageError('IO', file, `${doing} failed`, error);
}

class DiskFile implements StorageFile {
  readonly #handle: fs.FileHandle;
  readonly #path: string;

  constructor(handle: fs.FileHandle, file: string) {
    this.#handle = handle;
    this.#path = file;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const buffer = new Uint8Array(length);
    let filled = 0;
    try {
      while (filled < length) {
        const { bytesRead } = await this.#handle.read(
          buffer,
          filled,
          length - filled,
          offset + filled,
        );
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
    } catch (error) {
      throw wrap(this.#path, 'reading', error);
    }
    return filled === length ? buffer : buffer.subarray(0, filled);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    let written = 0;
    try {
      while (written < bytes.length) {
        written += (
          await this.#handle.write(bytes, written, bytes.length - written, offset + written)
        ).bytesWritten;
      }
    } catch (error) {
      throw wrap(this.#path, 'writing', error);
    }
  }

  async truncate(length: number): Promise<void> {
    await this.#handle.truncate(length).catch((error) => {
      throw wrap(this.#path, 'truncating', error);
    });
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async sync(): Promise<void> {
    await this.#handle.sync().catch((error) => {
      throw wrap(this.#path, 'syncing', error);
    });
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** Storage in a real folder, which is created with owner-only permissions where it is missing. */
export class DiskStorage implements Storage {
  readonly location: string;

  private constructor(root: string) {
    this.location = root;
  }

  static async open(root: string): Promise<DiskStorage> {
    const resolved = path.resolve(root);
    try {
      await makeFolder(resolved);
    } catch (error) {
      throw wrap(resolved, 'creating the folder', error);
    }
    return new DiskStorage(resolved);
  }

  /**
   * As `open`, for a folder with state of can-ota. Throws StorageError `NO_ACCESS` for a folder in which other users may
   * write: between two steps they could put links and files there.
   */
  static async openOwn(root: string): Promise<DiskStorage> {
    const storage = await DiskStorage.open(root);
    const { location } = storage;
    const { mode, gid } = await fs.stat(location);
    // The primary group of this user has no other members, as umask 002 assumes.
    const byGroup = (mode & 0o020) !== 0 && gid !== process.getegid?.();
    if ((mode & 0o002) === 0 && !byGroup) return storage;
    throw new StorageError(
      'NO_ACCESS',
      location,
      `other users may write in this folder (mode ${(mode & 0o7777).toString(8)}): ` +
        `run chmod go-w ${location}, or choose a folder of your own`,
    );
  }

  #resolve(name: string): string {
    const resolved = path.resolve(this.location, name);
    if (resolved !== this.location && !resolved.startsWith(this.location + path.sep)) {
      throw new StorageError('BAD_NAME', name, `leaves the folder ${this.location}`);
    }
    return resolved;
  }

  /**
   * Identifies this file on the disk; a copy has another identity. The inode alone is not enough: a file system reuses its
   * number, but not with the same time of birth. Throws StorageError.
   */
  async identity(name: string): Promise<string> {
    const file = this.#resolve(name);
    try {
      const { ino, birthtimeNs } = await fs.stat(file, { bigint: true });
      return `${ino}:${birthtimeNs}`;
    } catch (error) {
      throw wrap(file, 'reading', error);
    }
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    const file = this.#resolve(name);
    try {
      return Uint8Array.from(await fs.readFile(file));
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw wrap(file, 'reading', error);
    }
  }

  async replace(name: string, bytes: Uint8Array): Promise<void> {
    const file = this.#resolve(name);
    const temporary = `${file}.new`;
    try {
      await makeFolder(path.dirname(file));
      const handle = await openNew(temporary);
      try {
        await handle.writeFile(bytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await fs.rename(temporary, file);
      await syncFolder(path.dirname(file));
    } catch (error) {
      throw wrap(file, 'writing', error);
    }
  }

  async open(name: string): Promise<StorageFile> {
    const file = this.#resolve(name);
    try {
      await makeFolder(path.dirname(file));
      const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
      return new DiskFile(await fs.open(file, flags, 0o600), file);
    } catch (error) {
      throw wrap(file, 'opening', error);
    }
  }

  async rename(from: string, to: string): Promise<void> {
    const target = this.#resolve(to);
    try {
      await fs.rename(this.#resolve(from), target);
      await syncFolder(path.dirname(target));
    } catch (error) {
      throw wrap(target, `moving ${from} here`, error);
    }
  }

  async remove(name: string): Promise<void> {
    const file = this.#resolve(name);
    try {
      await fs.rm(file, { force: true });
      await syncFolder(path.dirname(file)).catch(() => {}); // the folder itself may be missing
    } catch (error) {
      throw wrap(file, 'removing', error);
    }
  }

  async list(folder: string): Promise<string[]> {
    try {
      const entries = await fs.readdir(this.#resolve(folder), { withFileTypes: true });
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) => entry.name)
        .sort();
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return [];
      throw wrap(folder, 'listing', error);
    }
  }

  async space(): Promise<StorageSpace> {
    try {
      // Not `bfree`: some of that is kept for root.
      const { bavail, blocks, bsize } = await fs.statfs(this.location);
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
    } catch (error) {
      throw wrap(this.location, 'asking for its free space', error);
    }
  }
}

/** Creates a file. What a crash or another user left under its name is removed, never followed. */
async function openNew(file: string): Promise<fs.FileHandle> {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  try {
    return await fs.open(file, flags, 0o600);
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
    await fs.rm(file);
    return fs.open(file, flags, 0o600);
  }
}

/**
 * As `mkdir -p`, owner only. Node's own `recursive` never ends where the parent exists but takes no folders
 * (`/proc`).
 */
async function makeFolder(folder: string): Promise<void> {
  const make = async (): Promise<string | undefined> => {
    try {
      await fs.mkdir(folder, { mode: 0o700 });
      return undefined;
    } catch (error) {
      const code = systemErrorCode(error);
      if (code === 'ENOENT') return code;
      if (code === 'EEXIST' && (await fs.stat(folder)).isDirectory()) return undefined;
      throw error;
    }
  };
  if ((await make()) === undefined) return;
  const parent = path.dirname(folder);
  if (parent !== folder) await makeFolder(parent);
  if ((await make()) !== undefined) {
    throw Object.assign(new Error('the file system takes no folders here'), { code: 'EACCES' });
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await fs.open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
