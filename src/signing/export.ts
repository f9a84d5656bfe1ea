// Exports the files for the backend (`can-ota server --trust`): the keys of the online roles and public metadata only.

import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { InputError } from '../core/errors.ts';
import { createSecretFile, requireOwnerOnly } from '../core/secret-file.ts';
import { DiskStorage } from '../core/storage.ts';
import type { RepositoryName } from '../trust/full-verification.ts';
import { roleKeysOf } from '../trust/role-signing.ts';
import { keyIdOf } from '../trust/signing-key.ts';
import { currentRoot } from './draft.ts';
import { type KeyFolder, type KnownKey, ONLINE_ROLES, REPOSITORIES } from './folder.ts';

export interface ExportedFile {
  readonly file: string;
  /** Name of the key; undefined for metadata. */
  readonly key: string | undefined;
  readonly encrypted: boolean;
}

interface OnlineKey {
  readonly file: string;
  readonly key: KnownKey;
}

/**
 * Writes `online/REPOSITORY-ROLE.pem` (`-2.pem` for a second key), `director/N.root.json`, `images/N.root.json` and
 * `images/N.targets.json` below `out`. Keys there that the newest Roots no longer name are removed. Throws InputError
 * when an online key also belongs to an offline role, or is not in this folder.
 */
export async function exportOnline(folder: KeyFolder, out: string): Promise<ExportedFile[]> {
  if (path.resolve(out) === folder.storage.location) {
    throw new InputError(
      out,
      'export to a separate folder: the backend must not get the offline keys',
    );
  }
  const keys: OnlineKey[] = [];
  for (const repository of REPOSITORIES) keys.push(...(await onlineKeys(folder, repository)));
  await refuseOfflineKeys(folder, keys);
  const storage = await DiskStorage.open(out);
  await mkdir(path.join(storage.location, 'online'), { recursive: true, mode: 0o700 });
  const exported: ExportedFile[] = [];
  const names = new Set(keys.map(({ file }) => `${file}.pem`));
  for (const file of await storage.list('online')) {
    if (!names.has(file)) await storage.remove(`online/${file}`);
  }
  for (const { file, key } of keys) {
    const source = folder.path(`private/${key.name}.pem`);
    await requireOwnerOnly(source, key.name);
    const name = `online/${file}.pem`;
    const pem = await readFile(source, 'utf8');
    const before = await storage.read(name);
    if (before === undefined || Buffer.from(before).toString('utf8') !== pem) {
      await storage.remove(name);
      await createSecretFile(path.join(storage.location, name), pem, key.name);
    }
    exported.push({ file: name, key: key.name, encrypted: key.kept === 'encrypted-file' });
  }
  for (const repository of REPOSITORIES) {
    for (const [file, bytes] of await folder.metadata(repository)) {
      await storage.replace(`${repository}/${file}`, bytes);
      exported.push({ file: `${repository}/${file}`, key: undefined, encrypted: false });
    }
  }
  return exported;
}

async function onlineKeys(folder: KeyFolder, repository: RepositoryName): Promise<OnlineKey[]> {
  const root = await currentRoot(folder, repository);
  if (root === undefined) return [];
  const known = await folder.keys();
  return ONLINE_ROLES[repository].flatMap((role) =>
    (roleKeysOf(root.signed, role)?.keys ?? []).map((publicKey, index) => {
      const key = known.find(({ keyId }) => keyId === keyIdOf(publicKey));
      if (key === undefined || (key.kept !== 'file' && key.kept !== 'encrypted-file')) {
        throw new InputError(
          `${repository} ${role}`,
          `${key === undefined ? keyIdOf(publicKey) : key.name} is not in a file here: ` +
            'the backend signs this role by itself and needs it',
        );
      }
      return { file: `${repository}-${role}${index === 0 ? '' : `-${index + 1}`}`, key };
    }),
  );
}

/** Checks that the keys of both Roots and of the image repository's Targets stay offline (5.3.1). */
async function refuseOfflineKeys(folder: KeyFolder, online: readonly OnlineKey[]): Promise<void> {
  for (const repository of REPOSITORIES) {
    const root = await currentRoot(folder, repository);
    if (root === undefined) continue;
    for (const role of Object.keys(root.signed.roles as object)) {
      if (ONLINE_ROLES[repository].includes(role)) continue;
      const offline = new Set(roleKeysOf(root.signed, role)?.keys.map(keyIdOf));
      const both = online.find(({ key }) => offline.has(key.keyId));
      if (both === undefined) continue;
      throw new InputError(
        both.key.name,
        `signs ${repository} ${role} too, which is offline: give ${both.file} a separate key ` +
          '(can-ota keys rotate)',
      );
    }
  }
}
