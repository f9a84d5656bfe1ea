// Which releases vehicles may have: all of them as long as nothing is signed, afterwards those that the image repository lists.

import { SHA256_HEX } from '../../../src/core/names.ts';
import { compareVersions } from '../../../src/core/version-order.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import type { SignedRelease } from '../director/decide.ts';
import type { Uptane } from '../director/uptane.ts';
import { imageNotFound, type PublishedFile } from './send-image.ts';
import type { ReleaseStore } from './store.ts';

/** An image in a repository with consistent names: `SHA256.FILE`. */
const HASHED_NAME = new RegExp(`^(?:(${SHA256_HEX})\\.)?(.+)$`);

export interface AvailableRelease extends PublishedFile {
  readonly ecu: string;
  readonly version: string;
  readonly notes: string;
}

export class AvailableReleases {
  readonly #uptane: Uptane | undefined;
  readonly #releases: ReleaseStore;

  /** `uptane` is undefined on a server that signs nothing. */
  constructor(uptane: Uptane | undefined, releases: ReleaseStore) {
    this.#uptane = uptane;
    this.#releases = releases;
  }

  /** Changes with everything that the Director decides by; empty where nothing is signed. */
  get revision(): string {
    return this.#uptane?.releases.revision ?? '';
  }

  /** What the image repository lists; undefined as long as nothing is signed. */
  signed(): readonly SignedRelease[] | undefined {
    const published = this.#uptane?.releases.published === true;
    return published ? this.#uptane?.releases.releases() : undefined;
  }

  /** The newest of each ECU, sorted by ECU; of all ECUs when none is named. */
  async newest(ecus: readonly string[]): Promise<readonly AvailableRelease[]> {
    const uptane = this.#uptane;
    await uptane?.releases.refresh();
    if (uptane === undefined || !uptane.releases.published) return this.#releases.newest(ecus);
    const newest = new Map<string, SignedRelease>();
    for (const release of uptane.releases.releases()) {
      if (uptane.images !== undefined && !this.#releases.holds(release.sha256)) continue;
      const best = newest.get(release.ecu);
      if (best === undefined || order(release, best) > 0) newest.set(release.ecu, release);
    }
    const names = ecus.length === 0 ? [...newest.keys()] : [...new Set(ecus)];
    return names
      .sort()
      .flatMap((name) => newest.get(name) ?? [])
      .map(availableOf);
  }

  /**
   * A file under /ota_download: an image that may travel as it is, or a copy that was encrypted for one ECU. Throws
   * HttpProblem 404, and 403 for an image that is released encrypted only.
   */
  async download(file: string): Promise<PublishedFile & { readonly releaseId: string | null }> {
    const uptane = this.#uptane;
    const uploaded = this.#releases.byFile(file);
    const releaseId = uploaded?.id ?? null;
    if (uptane === undefined || !uptane.releases.published) {
      if (uploaded === undefined) throw imageNotFound();
      return { ...uploaded, releaseId };
    }
    const copy = await uptane.encrypted.byFile(file);
    if (copy !== undefined) {
      return { file, size: copy.length, sha256: copy.sha256, releaseId: null };
    }
    const release = this.#signedAs(file);
    if (release === undefined) throw imageNotFound();
    if (release.encrypt) throw encryptedOnly();
    return { ...availableOf(release), releaseId };
  }

  /** The signed release of this public name. Throws HttpProblem 403, 404. */
  async publicTarget(name: string, mayReadPlain: boolean): Promise<PublishedFile> {
    await this.#uptane?.releases.refresh();
    // 5.3.2: a repository with consistent snapshots has its images under their hashes too.
    const [, sha256, file = name] = HASHED_NAME.exec(name) ?? [];
    const found = await this.#target(file, mayReadPlain);
    if (found === undefined || (sha256 !== undefined && sha256 !== found.sha256)) {
      throw imageNotFound();
    }
    return found;
  }

  /** Brings an image here that is at the image repository of another server. Throws HttpProblem 502. */
  async requireHere(file: string): Promise<void> {
    const release = this.#signedAs(file);
    if (release === undefined) return;
    try {
      await this.#uptane?.fetchImage(release);
    } catch (cause) {
      throw new HttpProblem(502, 'UPSTREAM', 'the image repository does not give this image out', {
        headers: { 'Retry-After': '30' },
        cause,
      });
    }
  }

  async #target(file: string, mayReadPlain: boolean): Promise<PublishedFile | undefined> {
    const copy = await this.#uptane?.encrypted.byFile(file);
    if (copy !== undefined) return { file, size: copy.length, sha256: copy.sha256 };
    const release = this.#signedAs(file);
    if (release === undefined) return undefined;
    if (release.encrypt && !mayReadPlain) throw encryptedOnly();
    return availableOf(release);
  }

  #signedAs(file: string): SignedRelease | undefined {
    return this.#uptane?.releases.releases().find(({ name }) => name === file);
  }
}

function availableOf(release: SignedRelease): AvailableRelease {
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
