// The folder of --trust: online keys, Roots and signed Targets, as `can-ota keys export-online` writes it.

import * as fs from 'node:fs/promises';
import path from 'node:path';
import { describeError, systemErrorCode } from '../../../src/core/errors.ts';
import type { RepositoryName } from '../../../src/trust/full-verification.ts';
import { type Signer, signerFromPem } from '../../../src/trust/signing-key.ts';
import { ServerError } from '../../platform/http/errors.ts';
import type { StoredMetadata } from './rows.ts';

interface OnlineKey {
  /** For messages. */
  readonly file: string;
  readonly signer: Signer;
}

export interface TrustFolder {
  readonly location: string;
  readonly keys: readonly OnlineKey[];
  /** By repository: Roots, and of the image repository what people signed, by version. */
  readonly metadata: Readonly<Record<RepositoryName, readonly StoredMetadata[]>>;
}

/** `3.root.json`, `12.targets.json`, `4.supplier.json`; copies without a version say nothing new. */
const VERSIONED = /^([1-9]\d{0,8})\.([A-Za-z0-9][A-Za-z0-9_-]{0,63})\.json$/;
const MAX_FILE_BYTES = 16 * 1024 * 1024;

/** Throws ServerError `TRUST` that names the file and says what to do. */
export async function readTrustFolder(dir: string, passphrase?: string): Promise<TrustFolder> {
  const location = path.resolve(dir);
  const keys: OnlineKey[] = [];
  for (const name of await list(path.join(location, 'online'), '.pem')) {
    const file = path.join(location, 'online', name);
    await requireOwnerOnly(file);
    const pem = await read(file);
    try {
      keys.push({ file, signer: signerFromPem(pem.toString('utf8'), passphrase) });
    } catch (error) {
      throw new ServerError('TRUST', `${file}: ${describeError(error)}`, error);
    }
  }
  return {
    location,
    keys,
    metadata: {
      director: await readMetadata(path.join(location, 'director')),
      images: await readMetadata(path.join(location, 'images')),
    },
  };
}

async function readMetadata(folder: string): Promise<StoredMetadata[]> {
  const files: StoredMetadata[] = [];
  for (const name of await list(folder, '.json')) {
    const [, version, role] = VERSIONED.exec(name) ?? [];
    if (role === undefined) continue;
    const bytes = Uint8Array.from(await read(path.join(folder, name)));
    files.push({ role, version: Number(version), bytes });
  }
  return files.sort((a, b) => a.version - b.version);
}

/** A key that others on this machine can read is no secret any more (5.1 of the deployment practices). */
async function requireOwnerOnly(file: string): Promise<void> {
  const { mode } = await fs.stat(file);
  if ((mode & 0o077) === 0) return;
  throw new ServerError(
    'TRUST',
    `${file} can be read by others on this machine (mode ${(mode & 0o777).toString(8)}): chmod 600 it`,
  );
}

async function read(file: string): Promise<Buffer> {
  try {
    const { size } = await fs.stat(file);
    if (size > MAX_FILE_BYTES) {
      throw new ServerError('TRUST', `${file} has ${size} bytes: that is no key and no metadata`);
    }
    return await fs.readFile(file);
  } catch (error) {
    if (error instanceof ServerError) throw error;
    throw new ServerError('TRUST', `${file} cannot be read: ${describeError(error)}`, error);
  }
}

async function list(folder: string, extension: string): Promise<string[]> {
  try {
    return (await fs.readdir(folder)).filter((name) => name.endsWith(extension)).sort();
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw new ServerError('TRUST', `${folder} cannot be read: ${describeError(error)}`, error);
  }
}
