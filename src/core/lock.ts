// One process at a time on a folder: the lock ends with its owner, also after kill -9.

import * as fs from 'node:fs/promises';
import net from 'node:net';
import { CanOtaError, systemErrorCode } from './errors.ts';

/** Another process works on the folder. */
export class FolderBusyError extends CanOtaError {
  readonly code = 'FOLDER_BUSY';
  /** Process id of the owner, undefined when the owner did not answer. */
  readonly pid: number | undefined;

  constructor(folder: string, pid: number | undefined) {
    super(
      `${folder}: ${pid === undefined ? 'another process' : `process ${pid}`} works on this folder: ` +
        'stop it, or give this one another folder',
    );
    this.pid = pid;
  }
}

export interface FolderLock {
  release(): Promise<void>;
}

/** How long the owner may take to tell its process id. */
const ASK_PID_MS = 500;
const MAX_OWNER_TEXT = 60;

/**
 * Locks `folder`, which must exist. Throws FolderBusyError. The lock is a Unix socket in the abstract name space
 * of Linux, named after the folder's inode: unlike a file with a process id in it, nothing is left after kill -9,
 * and a link to the folder is the same folder. It holds within one network name space.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const { dev, ino } = await fs.stat(folder, { bigint: true });
  const address = folderAddress(dev, ino);
  const lock = await listenOn(address);
  if (lock === undefined) throw new FolderBusyError(folder, await askOwner(address));
  return lock;
}

/**
 * Locks a name in place of a folder; undefined when another process holds it. The owner tells `purpose` to processes
 * that ask with `nameOwner`: letters, digits and hyphens.
 */
export function lockName(name: string, purpose = ''): Promise<FolderLock | undefined> {
  return listenOn(nameAddress(name), purpose);
}

function nameAddress(name: string): string {
  return `\0can-ota-name-${name}`;
}

async function listenOn(address: string, purpose = ''): Promise<FolderLock | undefined> {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.end(`${process.pid} ${purpose}`.trimEnd());
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(address, resolve);
    });
  } catch (error) {
    if (systemErrorCode(error) !== 'EADDRINUSE') throw error;
    return undefined;
  }
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}

/** What an owner tells about itself; both members are undefined when it does not answer. */
export interface LockOwner {
  readonly pid: number | undefined;
  readonly purpose: string | undefined;
}

/** The process that has locked `name`; undefined when it is free. Asking locks nothing. */
export async function nameOwner(name: string): Promise<LockOwner | undefined> {
  const { isThere, pid, purpose } = await connectOwner(nameAddress(name));
  return isThere ? { pid, purpose } : undefined;
}

/** The process that has locked `folder`; undefined when it is free. Asking locks nothing. */
export async function folderOwner(
  folder: string,
): Promise<{ readonly pid: number | undefined } | undefined> {
  const { dev, ino } = await fs.stat(folder, { bigint: true });
  const owner = await connectOwner(folderAddress(dev, ino));
  return owner.isThere ? { pid: owner.pid } : undefined;
}

async function askOwner(address: string): Promise<number | undefined> {
  return (await connectOwner(address)).pid;
}

function folderAddress(dev: bigint, ino: bigint): string {
  return `\0can-ota-folder-${dev.toString(16)}-${ino.toString(16)}`;
}

function connectOwner(address: string): Promise<LockOwner & { readonly isThere: boolean }> {
  return new Promise((resolve) => {
    let text = '';
    let isThere = false;
    const socket = net.connect(address);
    const done = (): void => {
      socket.destroy();
      const said = /^(\d+)(?: ([\w-]+))?$/.exec(text);
      resolve({ isThere, pid: said === null ? undefined : Number(said[1]), purpose: said?.[2] });
    };
    socket.setTimeout(ASK_PID_MS, done);
    socket.on('connect', () => {
      isThere = true;
    });
    socket.on('data', (bytes) => {
      text = (text + bytes.toString('latin1')).slice(0, MAX_OWNER_TEXT);
    });
    socket.on('end', done);
    socket.on('error', done);
  });
}
