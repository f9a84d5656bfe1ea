// What an image repository has released: each image as a vehicle would find it, through delegations too.

import { TargetSearch } from '../../../src/trust/delegations.ts';
import type { TargetFile } from '../../../src/trust/metadata.ts';
import type { RepositoryTrust, RoleVersions } from '../../../src/trust/repository.ts';
import { readImage } from '../../../src/trust/target-custom.ts';
import type { SignedRelease } from '../director/decide.ts';

/** A file of a repository that is watched. */
export interface WatchedFile {
  readonly role: string;
  readonly bytes: Uint8Array;
  /** How long a signature of an online key lasts: the server renews it at half of this time. */
  readonly renewedAfterMs?: number | undefined;
}

/** Where a Director learns what was released. */
export interface ReleaseSource {
  /** True once there are Targets. */
  readonly published: boolean;
  /** Changes whenever `releases` may. */
  readonly revision: string;
  /** Versions of the files that this server signs or was given; undefined where another server does that. */
  readonly versions: RoleVersions | undefined;
  releases(): readonly SignedRelease[];
  /** Looks for news where that takes a network. Never throws: what is known goes on. */
  refresh(): Promise<void>;
}

/** Images whose fields cannot be read are left out: no Director could assign them. */
export function releasesIn(trust: RepositoryTrust, nowMs: number): SignedRelease[] {
  const top = trust.targets.get('targets');
  if (top === undefined) return [];
  const listed = top.metadata.signed.targets;
  const releases = Object.values(listed).flatMap((target) => releaseOf(target) ?? []);
  const delegated = [...trust.targets.values()]
    .filter((file) => file !== top)
    .flatMap((file) => Object.values(file.metadata.signed.targets))
    .filter(({ path }) => !Object.hasOwn(listed, path));
  // That a file lists an image is not enough: the delegations must lead to it, for this name and hardware.
  for (const [name, targets] of Map.groupBy(delegated, ({ path }) => path)) {
    const hardware = new Set(targets.flatMap((target) => releaseOf(target)?.hardwareIds ?? []));
    const found = new Map<TargetFile, string[]>();
    for (const hardwareId of hardware) {
      const target = search(trust, name, hardwareId, nowMs);
      if (target !== undefined) found.set(target, [...(found.get(target) ?? []), hardwareId]);
    }
    for (const [target, hardwareIds] of found) {
      const release = releaseOf(target);
      if (release === undefined) continue;
      const reachable = release.hardwareIds.filter((id) => hardwareIds.includes(id));
      if (reachable.length > 0) releases.push({ ...release, hardwareIds: reachable });
    }
  }
  return releases;
}

function search(
  trust: RepositoryTrust,
  name: string,
  hardwareId: string,
  nowMs: number,
): TargetFile | undefined {
  const steps = new TargetSearch(trust, name, nowMs, hardwareId);
  // Whatever is not here yet was not published.
  while (steps.next() !== undefined) {
    if (!steps.accept({ kind: 'missing' }).ok) return undefined;
  }
  const { outcome } = steps;
  return outcome?.ok === true ? outcome.value : undefined;
}

function releaseOf(target: TargetFile): SignedRelease | undefined {
  const image = readImage(target, 'strict');
  const { sha256 } = target.hashes;
  if (!image.ok || image.value.ecu === undefined || sha256 === undefined) return undefined;
  const { ecu, version, hardwareIds, releaseCounter, dependencies, encrypt, forced } = image.value;
  return {
    name: target.path,
    length: target.length,
    hashes: target.hashes,
    sha256,
    ecu,
    version,
    hardwareIds,
    releaseCounter,
    dependencies,
    encrypt,
    forced,
    custom: target.custom,
  };
}
