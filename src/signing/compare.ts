// Compares a ceremony folder with the published files of a backend: same, ahead, behind, or apart.

import { InputError } from '../core/errors.ts';
import { BackendError } from '../link/backend-connection.ts';
import type { RepositoryName } from '../trust/full-verification.ts';
import { payloadBytes } from '../trust/role-signing.ts';
import { type OfflineRole, parse } from './draft.ts';
import { type KeyFolder, REPOSITORIES } from './folder.ts';
import type { ReleaseBackend } from './release-backend.ts';

/** The published files of a backend: a public file by its path, undefined where it has none. */
export type PublishedFiles = Pick<ReleaseBackend, 'read'>;

/** One offline role of the folder compared with the same role of the backend. */
export interface Comparison {
  readonly repository: RepositoryName;
  readonly role: OfflineRole;
  /** Newest version in the folder; `there`: at the backend. 0 where there is none. */
  readonly here: number;
  readonly there: number;
  /**
   * `same`: both newest versions have the same content. `ahead`: the folder has newer versions than the backend.
   * `behind`: the backend has newer versions than the folder. `apart`: one version has two different contents.
   */
  readonly relation: 'same' | 'ahead' | 'behind' | 'apart';
  /** The newest version with the same content on both sides, 0 where none is known. */
  readonly common: number;
  /** The newest file of the backend. */
  readonly newest: Uint8Array | undefined;
}

const PATHS: Readonly<Record<RepositoryName, string>> = {
  director: '/director/metadata',
  images: '/metadata',
};

/** Roles that are signed offline, in the order in which they depend on each other. */
const ROLES: readonly (readonly [RepositoryName, OfflineRole])[] = [
  ...REPOSITORIES.map((repository) => [repository, 'root'] as const),
  ['images', 'targets'],
];

/** Compares all offline roles that the backend publishes. Throws BackendError. */
async function compareAll(folder: KeyFolder, backend: PublishedFiles): Promise<Comparison[]> {
  const all: Comparison[] = [];
  for (const [repository, role] of ROLES)
    all.push(await compare(folder, backend, repository, role));
  return all;
}

export async function compare(
  folder: KeyFolder,
  backend: PublishedFiles,
  repository: RepositoryName,
  role: OfflineRole,
): Promise<Comparison> {
  const newest = await backend.read(`${PATHS[repository]}/${role}.json`);
  const there = newest === undefined ? 0 : versionOf(newest, repository, role);
  const here = (await folder.versions(repository, role)).at(-1) ?? 0;
  const base = { repository, role, here, there, newest };
  if (there === 0) return { ...base, common: 0, relation: here === 0 ? 'same' : 'ahead' };
  let apart = false;
  for (let version = Math.min(here, there); version > 0; version--) {
    const own = await folder.storage.read(`${repository}/${version}.${role}.json`);
    const published = version === there ? newest : await fileOf(backend, repository, role, version);
    // A backend keeps only the last Targets, and a pulled folder has gaps, so a missing file proves nothing.
    if (own === undefined || published === undefined) continue;
    if (sameContent(own, published))
      return { ...base, common: version, ...relationOf(apart, base) };
    apart = true;
  }
  return { ...base, common: 0, ...relationOf(apart, base) };
}

function relationOf(
  apart: boolean,
  { here, there }: Pick<Comparison, 'here' | 'there'>,
): Pick<Comparison, 'relation'> {
  if (apart) return { relation: 'apart' };
  if (here === there) return { relation: 'same' };
  return { relation: here > there ? 'ahead' : 'behind' };
}

/** The file of one version at the backend; undefined where it has none. */
export function fileOf(
  backend: PublishedFiles,
  repository: RepositoryName,
  role: OfflineRole,
  version: number,
): Promise<Uint8Array | undefined> {
  return backend.read(`${PATHS[repository]}/${version}.${role}.json`);
}

/** Whether the signed parts are equal; two copies may have different signatures of the same content. */
export function sameContent(one: Uint8Array, other: Uint8Array): boolean {
  if (Buffer.compare(one, other) === 0) return true;
  const payload = (bytes: Uint8Array): Uint8Array => payloadBytes(parse(bytes, 'file').signed);
  return Buffer.compare(payload(one), payload(other)) === 0;
}

/**
 * Must be called before anything is signed or published, because a signature over an old state makes a second file with
 * an existing version. Throws InputError that says what differs and what to do.
 */
export async function requireCurrent(folder: KeyFolder, backend: PublishedFiles): Promise<void> {
  for (const comparison of await compareAll(folder, backend)) requireNotBehind(folder, comparison);
}

/** Throws InputError for a folder that is behind or apart. */
export function requireNotBehind(folder: KeyFolder, comparison: Comparison): void {
  const { repository, here, there, relation, common } = comparison;
  if (relation === 'same' || relation === 'ahead') return;
  const name = nameOf(comparison);
  const pull = `can-ota release pull --keys ${folder.storage.location} --server URL`;
  const reason =
    relation === 'behind'
      ? `this folder has ${name} ${here}, the backend has ${name} ${there}: another copy of the folder went on. ` +
        `Nothing was signed or published. Take over the newer state: ${pull}`
      : `this folder and the backend went apart after ${name} ${common} (${repository}): ` +
        `version ${Math.min(here, there)} has other content there. ` +
        'Two copies of the folder have signed. Nothing was signed or published. ' +
        `Take over the published state: ${pull}`;
  throw new InputError(folder.storage.location, reason);
}

export function nameOf({ role }: Pick<Comparison, 'role'>): 'Root' | 'Targets' {
  return role === 'root' ? 'Root' : 'Targets';
}

/** The version of a file of the backend. Throws BackendError, because a wrong file is not a mistake of the user. */
function versionOf(bytes: Uint8Array, repository: RepositoryName, role: OfflineRole): number {
  try {
    const { signed } = parse(bytes, `${role} of the backend`);
    if (signed._type === role) return signed.version;
  } catch (error) {
    throw new BackendError(
      'UNINTELLIGIBLE',
      `the ${repository} ${role} of the backend is no signed metadata`,
      error,
    );
  }
  throw new BackendError('UNINTELLIGIBLE', `the backend serves another role as ${role}`);
}
