// `can-ota release pull`, `can-ota keys pull`: takes over the published state of the backend and keeps replaced files.

import { InputError } from '../core/errors.ts';
import { itemAt, present } from '../core/present.ts';
import { faultText } from '../trust/attack.ts';
import type { RepositoryName } from '../trust/full-verification.ts';
import { checkRootChain } from '../trust/repository.ts';
import { countSignatures, roleKeysOf, type TargetSpec } from '../trust/role-signing.ts';
import { keyIdOf } from '../trust/signing-key.ts';
import { rolesOf } from './ceremony.ts';
import {
  type Comparison,
  compare,
  fileOf,
  nameOf,
  type PublishedFiles,
  sameContent,
} from './compare.ts';
import { draftName, openDrafts, parse } from './draft.ts';
import { type KeyFolder, REPOSITORIES } from './folder.ts';
import { keepCounters, type ListedRelease, listed } from './release-list.ts';
import { type AsideWork, setAside } from './set-aside.ts';

/** A file of the backend that was checked and is to be written. */
interface Taken {
  readonly version: number;
  readonly bytes: Uint8Array;
}

/**
 * Brings the folder to the published state. Everything is checked before the first file is written: each Root follows
 * the previous one, and Targets are signed by the keys of such a Root. Files and drafts that are not part of the
 * published state are moved to `set-aside/`. Throws InputError for another ceremony and for an invalid chain.
 */
export async function pull(work: AsideWork, backend: PublishedFiles): Promise<void> {
  const { context, folder } = work;
  const roots = new Map<RepositoryName, RootPull>();
  for (const repository of REPOSITORIES)
    roots.set(repository, await checkRoots(work, backend, repository));
  const images = present(roots.get('images'), 'the Roots of images');
  const comparison = await compare(folder, backend, 'images', 'targets');
  const targets = checkTargets(folder, comparison, images.chain);
  const before = await releasesBefore(folder, comparison);

  let changed = false;
  for (const [repository, { comparison: root, taken }] of roots) {
    if (await take(work, root, taken)) changed = true;
    const newest = taken.at(-1);
    if (newest !== undefined) await sayUnknownKeys(work, repository, newest.bytes);
  }
  if (await take(work, comparison, targets === undefined ? [] : [targets])) changed = true;
  if (targets !== undefined) await afterTargets(work, comparison, targets, before);
  if (!changed) {
    context.emit({ pulled: [], upToDate: true });
    const ahead = [...[...roots.values()].map((root) => root.comparison), comparison].some(
      ({ relation, there }) => relation === 'ahead' && there > 0,
    );
    context.say(
      ahead
        ? 'The backend has nothing newer. This folder has more than the backend: can-ota release push'
        : 'The folder has what the backend has.',
    );
  }
}

interface RootPull {
  readonly comparison: Comparison;
  /** The common chain of Roots of folder and backend, the newest first. */
  readonly chain: readonly Uint8Array[];
  readonly taken: readonly Taken[];
}

async function checkRoots(
  { folder }: AsideWork,
  backend: PublishedFiles,
  repository: RepositoryName,
): Promise<RootPull> {
  const comparison = await compare(folder, backend, repository, 'root');
  const { common, there, newest, here, relation } = comparison;
  if (there === 0 || newest === undefined) {
    return { comparison, chain: await chainOf(folder, repository, here), taken: [] };
  }
  if (common === 0) {
    const [first] = await folder.versions(repository, 'root');
    const reason =
      first === undefined
        ? `has no ${repository}/1.root.json: begin with a copy of the ceremony's folder`
        : `is another ceremony than that of the backend: no ${repository} Root has the same content. Nothing was changed`;
    throw new InputError(folder.storage.location, reason);
  }
  const chain = await chainOf(folder, repository, relation === 'ahead' ? here : common);
  const taken: Taken[] = [];
  for (let version = common + 1; version <= there; version++) {
    const bytes = version === there ? newest : await fileOf(backend, repository, 'root', version);
    const where = `${repository} Root ${version} of the backend`;
    if (bytes === undefined) throw new InputError(where, 'is missing: nothing was changed');
    const verdict = checkRootChain(itemAt(chain, 0), bytes);
    if (!verdict.ok) {
      throw new InputError(where, `is refused: ${faultText(verdict)}. Nothing was changed`);
    }
    chain.unshift(bytes);
    taken.push({ version, bytes });
  }
  return { comparison, chain, taken };
}

async function chainOf(
  folder: KeyFolder,
  repository: RepositoryName,
  upTo: number,
): Promise<Uint8Array[]> {
  const chain: Uint8Array[] = [];
  for (const version of await folder.versions(repository, 'root')) {
    if (version > upTo) continue;
    const name = `${repository}/${version}.root.json`;
    chain.unshift(present(await folder.storage.read(name), name));
  }
  return chain;
}

/** The Targets to take over, undefined where the folder has them. Expired Targets are accepted, for a refresh. */
function checkTargets(
  folder: KeyFolder,
  { there, newest, relation }: Comparison,
  chain: readonly Uint8Array[],
): Taken | undefined {
  if (newest === undefined || relation === 'same' || relation === 'ahead') return undefined;
  const where = `Targets ${there} of the backend`;
  const file = parse(newest, where);
  const signed = chain.some((bytes) => {
    const keys = roleKeysOf(parse(bytes, folder.path('images')).signed, 'targets');
    return keys !== undefined && countSignatures(file, keys).missing === 0;
  });
  if (!signed) {
    throw new InputError(
      where,
      'is not signed by enough keys of this ceremony: do not trust this backend. Nothing was changed',
    );
  }
  return { version: there, bytes: newest };
}

/** Sets differing files aside, then writes. The next run finishes an interrupted one. True when a file changed. */
async function take(
  work: AsideWork,
  comparison: Comparison,
  taken: readonly Taken[],
): Promise<boolean> {
  if (taken.length === 0) return false;
  const { context, folder } = work;
  const { repository, role, common } = comparison;
  const versions = (await folder.versions(repository, role)).filter((version) => version > common);
  for (const version of versions) {
    const name = `${repository}/${version}.${role}.json`;
    const own = present(await folder.storage.read(name), name);
    const kept = taken.find((file) => file.version === version);
    if (kept !== undefined && sameContent(kept.bytes, own)) continue;
    // An older file cannot be compared (the backend keeps only the last Targets), so it may be the published one.
    if (comparison.relation === 'behind') continue;
    await setAside(work, name, `${repository}-${version}.${role}`, own);
  }
  for (const { version, bytes } of taken) {
    await folder.storage.replace(`${repository}/${version}.${role}.json`, bytes);
  }
  for (const draft of await openDrafts(folder)) {
    if (draft.repository !== repository || draft.role !== role) continue;
    const name = `${repository}-${draft.version}.${role}.draft`;
    await setAside(work, draftName(draft), name, draft.bytes);
  }
  const { version } = itemAt(taken, taken.length - 1);
  context.emit({ pulled: `${repository} ${role}`, version });
  context.say(`${nameOf(comparison)} ${version} (${repository}) is taken over from the backend`);
  return true;
}

interface Before {
  readonly here: readonly ListedRelease[];
  /** The releases of the common version; undefined where none is known. */
  readonly common: readonly ListedRelease[] | undefined;
}

async function releasesBefore(folder: KeyFolder, { here, common }: Comparison): Promise<Before> {
  const read = async (version: number): Promise<readonly ListedRelease[]> => {
    const bytes = await folder.storage.read(`images/${version}.targets.json`);
    return bytes === undefined ? [] : releasesIn(bytes);
  };
  const drafts = await openDrafts(folder);
  const draft = drafts.find(
    ({ repository, role }) => repository === 'images' && role === 'targets',
  );
  return {
    here: draft === undefined ? await read(here) : releasesIn(draft.bytes),
    common: common === 0 ? undefined : await read(common),
  };
}

function releasesIn(bytes: Uint8Array): readonly ListedRelease[] {
  const { targets } = parse(bytes, 'Targets').signed;
  return listed(new Map(Object.entries(targets as Record<string, TargetSpec>)));
}

/** Keeps the highest counters, and tells the person which of their changes are not published. */
async function afterTargets(
  { context, folder }: AsideWork,
  comparison: Comparison,
  { bytes }: Taken,
  before: Before,
): Promise<void> {
  const published = releasesIn(bytes);
  await keepCounters(folder, [...published, ...before.here]);
  const names = (releases: readonly ListedRelease[]): Set<string> =>
    new Set(releases.map(({ name }) => name));
  const there = names(published);
  const here = names(before.here);
  const common = before.common === undefined ? undefined : names(before.common);
  for (const { name, sha256, custom } of before.here) {
    if (there.has(name) || common?.has(name) === true) continue;
    if (common === undefined && comparison.relation !== 'apart') continue;
    const { ecu, version } = custom;
    context.emit({ notPublished: name, ecu, version, sha256 });
    context.say(
      `${ecu} ${version} (${name}) was signed here and is not published: release add it again`,
    );
  }
  for (const { name, custom } of before.common ?? []) {
    if (here.has(name) || !there.has(name)) continue;
    const { ecu, version } = custom;
    context.emit({ stillPublished: name, ecu, version });
    context.say(
      `${ecu} ${version} (${name}) was revoked here and is still published: release revoke it again`,
    );
  }
}

/** Reports keys that this folder lacks because another copy made them; the next signature or export may need them. */
async function sayUnknownKeys(
  { context, folder }: AsideWork,
  repository: RepositoryName,
  root: Uint8Array,
): Promise<void> {
  const known = new Set((await folder.keys()).map(({ keyId }) => keyId));
  for (const [role, { keys }] of rolesOf(parse(root, `${repository} Root`).signed)) {
    for (const keyId of keys.map(keyIdOf).filter((id) => !known.has(id))) {
      context.emit({ unknownKey: keyId, repository, role });
      context.say(
        `${repository} ${role} has the key ${keyId.slice(0, 12)}, which is not in this folder: ` +
          'copy its files below public/ and private/ from the other copy of the folder',
      );
    }
  }
}
