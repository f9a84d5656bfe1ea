// What vehicles are offered: every release as long as nothing is signed, afterwards what the image repository lists.

import { SHA256_HEX } from '../../../src/core/names.ts';
import { compareVersions } from '../../../src/core/version-order.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import type { Services } from '../../platform/http/services.ts';
import type { SignedRelease } from '../director/decide.ts';
import { imageNotFound, type PublishedFile } from '../releases/send-image.ts';

/** An image in a repository with consistent names: `SHA256.FILE`. */
const HASHED_NAME = new RegExp(`^(?:(${SHA256_HEX})\\.)?(.+)$`);

export interface OfferedRelease extends PublishedFile {
  readonly ecu: string;
  readonly version: string;
  readonly notes: string;
}

/** The newest of each ECU, sorted by ECU; of all ECUs when none is named. */
export async function offeredReleases(
  services: Services,
  ecus: readonly string[],
): Promise<readonly OfferedRelease[]> {
  const { uptane } = services;
  await uptane?.releases.refresh();
  if (uptane === undefined || !uptane.releases.published) return services.releases.newest(ecus);
  const newest = new Map<string, SignedRelease>();
  for (const release of uptane.releases.releases()) {
    if (uptane.images !== undefined && !services.releases.holds(release.sha256)) continue;
    const best = newest.get(release.ecu);
    if (best === undefined || order(release, best) > 0) newest.set(release.ecu, release);
  }
  const names = ecus.length === 0 ? [...newest.keys()] : [...new Set(ecus)];
  return names
    .sort()
    .flatMap((name) => newest.get(name) ?? [])
    .map(offerOf);
}

/**
 * A file under /ota_download: an image that may travel as it is, or a copy that was encrypted for one ECU. Throws
 * HttpProblem 404, and 403 for an image that is released encrypted only.
 */
export async function downloadOf(
  services: Services,
  file: string,
): Promise<PublishedFile & { readonly releaseId: string | null }> {
  const { uptane } = services;
  const uploaded = services.releases.byFile(file);
  const releaseId = uploaded?.id ?? null;
  if (uptane === undefined || !uptane.releases.published) {
    if (uploaded === undefined) throw imageNotFound();
    return { ...uploaded, releaseId };
  }
  const copy = await uptane.encrypted.byFile(file);
  if (copy !== undefined) return { file, size: copy.length, sha256: copy.sha256, releaseId: null };
  const release = signedAs(services, file);
  if (release === undefined) throw imageNotFound();
  if (release.encrypt) throw encryptedOnly();
  return { ...offerOf(release), releaseId };
}

/** The signed release of this public name, brought here where it is elsewhere. */
export async function publicTarget(
  services: Services,
  name: string,
  mayReadPlain: boolean,
): Promise<PublishedFile> {
  const { uptane } = services;
  // 5.3.2: a repository with consistent snapshots has its images under their hashes too.
  const [, sha256, file] = HASHED_NAME.exec(name)!;
  const found = await (async (): Promise<PublishedFile | undefined> => {
    const copy = await uptane?.encrypted.byFile(file!);
    if (copy !== undefined) return { file: file!, size: copy.length, sha256: copy.sha256 };
    const release = signedAs(services, file!);
    if (release === undefined) return undefined;
    if (release.encrypt && !mayReadPlain) throw encryptedOnly();
    return offerOf(release);
  })();
  if (found === undefined || (sha256 !== undefined && sha256 !== found.sha256)) {
    throw imageNotFound();
  }
  return found;
}

/** Brings an image here that is at the image repository of another server. Throws HttpProblem 502. */
export async function requireHere(services: Services, file: string): Promise<void> {
  const release = signedAs(services, file);
  if (release === undefined) return;
  try {
    await services.uptane?.fetchImage(release);
  } catch (cause) {
    throw new HttpProblem(502, 'UPSTREAM', 'the image repository does not give this image out', {
      headers: { 'Retry-After': '30' },
      cause,
    });
  }
}

function signedAs(services: Services, file: string): SignedRelease | undefined {
  return services.uptane?.releases.releases().find(({ name }) => name === file);
}

function offerOf(release: SignedRelease): OfferedRelease {
  const { name, length, sha256, ecu, version, custom } = release;
  const notes = typeof custom.notes === 'string' ? custom.notes : '';
  return { file: name, size: length, sha256, ecu, version, notes };
}

function order(a: SignedRelease, b: SignedRelease): number {
  return a.releaseCounter - b.releaseCounter || compareVersions(a.version, b.version);
}

function encryptedOnly(): HttpProblem {
  return new HttpProblem(
    403,
    'ENCRYPTED_ONLY',
    'this image is released encrypted only: the Director names the copy of each ECU',
  );
}
