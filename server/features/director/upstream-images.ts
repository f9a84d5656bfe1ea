// The image repository of another server, as a lone Director sees it: verified like a vehicle would, kept, mirrored.

import type { Clock } from '../../../src/core/clock.ts';
import { describeError } from '../../../src/core/errors.ts';
import type { Logger } from '../../../src/core/logger.ts';
import { faultText } from '../../../src/trust/attack.ts';
import {
  filesOf,
  type MetadataAnswer,
  type RepositoryTrust,
  RepositoryUpdate,
  restoreTrust,
} from '../../../src/trust/repository.ts';
import { fileOf, versionedFileOf } from '../../../src/trust/retrieval.ts';
import { ServerError } from '../../platform/http/errors.ts';
import type { ImageStore } from '../releases/image-store.ts';
import type { MetadataStore } from '../releases/metadata-store.ts';
import type { RootChain } from '../releases/root-chain.ts';
import type { StoredMetadata } from '../releases/rows.ts';
import type { WatchedFile } from '../releases/signed-releases.ts';
import { type ReleaseSource, releasesIn } from '../releases/signed-releases.ts';
import type { SignedRelease } from './decide.ts';

/** What vehicles ask within this time costs the other server one request. */
const REFRESH_EVERY_MS = 10_000;
const METADATA_MS = 10_000;
/** An image may take this long, and a second for each 64 KiB of it. */
const IMAGE_MS = 30_000;
const LARGEST_DELEGATED_BYTES = 4 * 1024 * 1024;

export interface UpstreamOptions {
  /** With a slash at its end. */
  readonly url: URL;
  /** Of the role `director`: to read images that others get encrypted only. */
  readonly token: string | undefined;
  readonly chain: RootChain;
  readonly store: MetadataStore;
  readonly images: ImageStore;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class UpstreamImages implements ReleaseSource {
  readonly #options: UpstreamOptions;
  #trust: RepositoryTrust;
  #releases: readonly SignedRelease[] = [];
  #askedMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;

  private constructor(options: UpstreamOptions, trust: RepositoryTrust) {
    this.#options = options;
    this.#trust = trust;
  }

  /** Begins with what was verified the last time, down to the Roots of the trust folder. */
  static async open(options: UpstreamOptions): Promise<UpstreamImages> {
    const files = new Map([['root.json', options.chain.bytes]]);
    for (const { role, bytes } of await options.store.newest('images')) {
      if (role !== 'root') files.set(fileOf(role), bytes);
    }
    const trust = restoreTrust(files);
    if (!trust.ok) throw new ServerError('TRUST', `images: ${faultText(trust)}`);
    const upstream = new UpstreamImages(options, trust.value);
    upstream.#read();
    return upstream;
  }

  get published(): boolean {
    return this.#trust.targets.has('targets');
  }

  get revision(): string {
    return [...this.#trust.targets].map(([role, { version }]) => `${role} ${version}`).join(',');
  }

  /** It reads that server like a vehicle, and so refuses what goes back there. */
  get versions(): undefined {
    return undefined;
  }

  releases(): readonly SignedRelease[] {
    return this.#releases;
  }

  refresh(): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    if (nowMs - this.#askedMs < REFRESH_EVERY_MS) return this.#asking ?? Promise.resolve();
    this.#askedMs = nowMs;
    this.#asking ??= this.#update()
      .catch((error) => {
        this.#options.logger.error(
          { url: this.#options.url.href, error: describeError(error) },
          'the image repository cannot be read: what is known of it goes on until it expires',
        );
      })
      .finally(() => {
        this.#asking = undefined;
      });
    return this.#asking;
  }

  /** A file as it was verified, by its versioned or unversioned name. */
  file(name: string): Uint8Array | undefined {
    const root = /^(\d{1,9})\.root\.json$/.exec(name);
    if (root !== null) return this.#options.chain.find(Number(root[1]));
    const files = filesOf(this.#trust);
    const known = files.get(name);
    if (known !== undefined) return known;
    const match = /^(\d{1,9})\.(.+)$/.exec(name);
    const { timestamp: _, snapshot, targets } = this.#trust;
    const current =
      match?.[2] === 'snapshot.json'
        ? snapshot?.version
        : targets.get(match?.[2]?.replace(/\.json$/, '') ?? '')?.version;
    const [, version, plain] = match ?? [];
    return plain !== undefined && String(current) === version ? files.get(plain) : undefined;
  }

  /** All files but the Root. The other server renews Snapshot and Timestamp: they matter when they have expired. */
  watched(): WatchedFile[] {
    return [...filesOf(this.#trust)].flatMap(([name, bytes]) => {
      const role = name.replace(/\.json$/, '');
      if (role === 'root') return [];
      const renewed = role === 'snapshot' || role === 'timestamp';
      return [{ role, bytes, renewedAfterMs: renewed ? 0 : undefined }];
    });
  }

  /** Brings the image of a release into the store. Throws HttpProblem for one that is too long, Error otherwise. */
  async fetchImage(release: SignedRelease): Promise<void> {
    const { url, token, images, clock, fetch } = this.#options;
    const abort = new AbortController();
    const limitMs = IMAGE_MS + release.length / 65.536;
    const timer = clock.after('upstream-image', limitMs, () => abort.abort());
    try {
      const response = await fetch(new URL(`targets/${encodeURIComponent(release.name)}`, url), {
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        // An object store may hold the images: their hash is signed, and it gets no token.
        signal: abort.signal,
      });
      if (!response.ok || response.body === null) {
        await response.body?.cancel();
        throw new Error(`${response.url} answered ${response.status}`);
      }
      const staged = await images.stage(response.body, release.length);
      if (staged.sha256 !== release.sha256) {
        await staged.discard();
        throw new Error(`${response.url} is not the image that was signed`);
      }
      await staged.commit();
    } finally {
      timer.cancel();
    }
  }

  async #update(): Promise<void> {
    const { clock, chain } = this.#options;
    const update = new RepositoryUpdate(this.#trust, clock.wallMs());
    for (let request = update.next(); request !== undefined; request = update.next()) {
      const result = update.accept(await this.#get(request.file, request.maxBytes));
      if (update.trust.root.version > chain.version) await chain.add(update.trust.root.bytes);
      if (!result.ok) throw new Error(faultText(result));
    }
    await this.#keep(await this.#withDelegated(update.trust));
  }

  /** Delegated roles as Snapshot lists them. Who may have signed them is checked where an image is looked for. */
  async #withDelegated(trust: RepositoryTrust): Promise<RepositoryTrust> {
    const files = new Map(filesOf(trust));
    for (const [name, { version }] of Object.entries(trust.snapshot?.metadata.signed.meta ?? {})) {
      const role = decodeURIComponent(name.replace(/\.json$/, ''));
      if (role === 'targets' || trust.targets.get(role)?.version === version) continue;
      const answer = await this.#get(versionedFileOf(role, version), LARGEST_DELEGATED_BYTES);
      if (answer.kind === 'bytes') files.set(fileOf(role), answer.bytes);
    }
    const restored = restoreTrust(files);
    return restored.ok ? restored.value : trust;
  }

  async #keep(trust: RepositoryTrust): Promise<void> {
    const { store } = this.#options;
    const files: StoredMetadata[] = [];
    const changed = (role: string, version: number | undefined, bytes: Uint8Array): void => {
      if (version !== undefined) files.push({ role, version, bytes });
    };
    const before = this.#trust;
    for (const role of ['timestamp', 'snapshot'] as const) {
      const file = trust[role];
      if (file !== undefined && file.version !== before[role]?.version) {
        changed(role, file.version, file.bytes);
      }
    }
    for (const [role, file] of trust.targets) {
      if (file.version !== before.targets.get(role)?.version) {
        changed(role, file.version, file.bytes);
      }
    }
    await store.replace('images', files);
    this.#trust = trust;
    this.#read();
  }

  #read(): void {
    this.#releases = releasesIn(this.#trust, this.#options.clock.wallMs());
  }

  async #get(file: string, maxBytes: number): Promise<MetadataAnswer> {
    const { url, clock, fetch } = this.#options;
    const abort = new AbortController();
    const timer = clock.after('upstream-metadata', METADATA_MS, () => abort.abort());
    try {
      const response = await fetch(new URL(`metadata/${encodeURIComponent(file)}`, url), {
        redirect: 'error',
        signal: abort.signal,
      });
      if (response.status === 404) {
        await response.body?.cancel();
        return { kind: 'missing' };
      }
      if (!response.ok) throw new Error(`${response.url} answered ${response.status}`);
      const parts: Uint8Array[] = [];
      let length = 0;
      for await (const part of response.body ?? []) {
        length += part.length;
        if (length > maxBytes) return { kind: 'too-long' };
        parts.push(part);
      }
      return { kind: 'bytes', bytes: Uint8Array.from(Buffer.concat(parts)) };
    } finally {
      timer.cancel();
    }
  }
}
