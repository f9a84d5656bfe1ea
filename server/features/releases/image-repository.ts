// The image repository (5.3.2): takes what was signed offline, signs Snapshot and Timestamp over it, serves all of it.

import type { Clock } from '../../../src/core/clock.ts';
import { describeError } from '../../../src/core/errors.ts';
import type { Logger } from '../../../src/core/logger.ts';
import { faultText } from '../../../src/trust/attack.ts';
import {
  type RepositoryTrust,
  type RoleVersions,
  restoreTrust,
} from '../../../src/trust/repository.ts';
import { RepositoryWriter } from '../../../src/trust/repository-writer.ts';
import { parseSignedRole } from '../../../src/trust/role-signing.ts';
import { HttpProblem, ServerError } from '../../platform/http/errors.ts';
import type { VersionFloor } from '../director/version-floor.ts';
import { checkTargets } from './check-targets.ts';
import type { MetadataStore } from './metadata-store.ts';
import type { RootChain } from './root-chain.ts';
import type { StoredMetadata } from './rows.ts';
import { type ReleaseSource, releasesIn, type WatchedFile } from './signed-releases.ts';
import type { TrustFolder } from './trust-folder.ts';

/** `timestamp.json`, `7.snapshot.json`. */
const FILE = /^(?:([1-9]\d{0,9})\.)?([A-Za-z0-9][A-Za-z0-9_-]{0,63})\.json$/;
/** How often it is looked whether something has to be signed again. */
const RENEW_EVERY_MS = 60_000;
const HOUR_MS = 3_600_000;
const VALIDITY_MS = { snapshot: 14 * 24 * HOUR_MS, timestamp: 48 * HOUR_MS };

export interface RepositoryParts {
  readonly store: MetadataStore;
  readonly floor: VersionFloor;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class ImageRepository implements ReleaseSource {
  readonly #chain: RootChain;
  readonly #store: MetadataStore;
  readonly #floor: VersionFloor;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #writer: RepositoryWriter;
  /** The newest of each role, by role. */
  readonly #newest = new Map<string, StoredMetadata>();
  #releases: ReturnType<ReleaseSource['releases']> = [];
  #digests: ReadonlySet<string> = new Set();
  #renewed = { nowMs: Number.NEGATIVE_INFINITY, wallMs: Number.NEGATIVE_INFINITY };
  /** One after the other: versions rise by one. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(
    chain: RootChain,
    options: RepositoryParts & { readonly writer: RepositoryWriter },
  ) {
    this.#chain = chain;
    this.#store = options.store;
    this.#floor = options.floor;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#writer = options.writer;
  }

  /** Throws ServerError `TRUST` for stored or given Targets that were not signed as they must be. */
  static async open(
    chain: RootChain,
    folder: TrustFolder,
    options: RepositoryParts,
  ): Promise<ImageRepository> {
    const stored = await options.store.newest('images');
    const repository = new ImageRepository(chain, {
      ...options,
      writer: openWriter(chain, stored),
    });
    for (const file of stored) {
      if (file.role !== 'root') repository.#newest.set(file.role, file);
    }
    repository.#read();
    // Targets first: what they delegate to can be checked by them only.
    const given = folder.metadata.images.filter(({ role }) => !OWN_ROLES.has(role));
    given.sort((a, b) => Number(b.role === 'targets') - Number(a.role === 'targets'));
    for (const file of given) {
      if (file.version <= (repository.#newest.get(file.role)?.version ?? 0)) continue;
      // Of several versions only the newest has to be right: keys of older ones may be gone.
      if (given.some((other) => other.role === file.role && other.version > file.version)) continue;
      const refusal = repository.#refusalOf(file);
      if (refusal !== undefined) {
        throw new ServerError(
          'TRUST',
          `${folder.location}: images/${file.version}.${file.role}.json: ${refusal}`,
        );
      }
      await repository.#put(file);
    }
    await repository.#renew();
    return repository;
  }

  /** True as soon as there are Targets: from then on no vehicle gets an image that they do not list. */
  get published(): boolean {
    return this.#newest.has('targets');
  }

  /** For tags of answers that depend on what is signed. */
  get revision(): string {
    const roles = [...this.#newest].filter(([role]) => role !== 'timestamp' && role !== 'snapshot');
    return roles.map(([role, { version }]) => `${role} ${version}`).join(',');
  }

  releases(): ReturnType<ReleaseSource['releases']> {
    return this.#releases;
  }

  /** True when the bytes of this digest stand in Targets that are valid. */
  lists(sha256: string): boolean {
    return this.#digests.has(sha256);
  }

  get versions(): RoleVersions {
    const of = (role: string): number | undefined => this.#newest.get(role)?.version;
    return {
      root: this.#chain.version,
      timestamp: of('timestamp') ?? 0,
      snapshot: of('snapshot') ?? 0,
      targets: of('targets') ?? 0,
    };
  }

  /** Goes on above the floor where an operator has raised it. */
  async refresh(): Promise<void> {
    if (!this.published) return;
    const { timestamp = 0, snapshot = 0 } = this.versions;
    if (Math.min(timestamp, snapshot) > (await this.#floor.current())) return;
    await this.#inTurn(() => this.#renew());
  }

  /** The newest file of every role but Root, after what is near its end was signed again. */
  async watched(): Promise<WatchedFile[]> {
    await this.#renewInTime().catch((error) => {
      this.#logger.error({ error: describeError(error) }, 'Snapshot and Timestamp are not renewed');
    });
    return [...this.#newest.values()].map(({ role, bytes }) => ({
      role,
      bytes,
      renewedAfterMs: VALIDITY_MS[role as keyof typeof VALIDITY_MS] / 2 || undefined,
    }));
  }

  /** A metadata file by its versioned or unversioned name; what is near its end is signed again first. */
  async file(name: string): Promise<Uint8Array | undefined> {
    const [, number, role] = FILE.exec(name) ?? [];
    if (role === undefined) return undefined;
    const version = number === undefined ? undefined : Number(number);
    if (role === 'root') {
      return version === undefined ? this.#chain.bytes : this.#chain.find(version);
    }
    if (OWN_ROLES.has(role)) await this.#renewInTime();
    const newest = this.#newest.get(role);
    if (version === undefined || version === newest?.version) return newest?.bytes;
    return this.#store.find('images', role, version);
  }

  /**
   * A file that was signed offline: `root`, `targets`, or a delegated role. Throws HttpProblem 422 `METADATA_REFUSED`,
   * 409 `METADATA_KEYS`. The same file again changes nothing.
   */
  async upload(role: string, bytes: Uint8Array): Promise<{ version: number; changed: boolean }> {
    return this.#inTurn(async () => {
      const known = role === 'root' ? this.#chain.bytes : this.#newest.get(role)?.bytes;
      if (known !== undefined && Buffer.compare(known, bytes) === 0) {
        return { version: parseSignedRole(bytes).signed.version, changed: false };
      }
      if (role === 'root') {
        const version = await this.#chain.add(bytes);
        this.#writer = openWriter(this.#chain, [...this.#newest.values()]);
        this.#read();
        await this.#renew();
        return { version, changed: true };
      }
      const refusal = this.#refusalOf({ role, version: 0, bytes });
      if (refusal !== undefined) throw new HttpProblem(422, 'METADATA_REFUSED', refusal);
      const { version } = parseSignedRole(bytes).signed;
      await this.#put({ role, version, bytes });
      return { version, changed: true };
    });
  }

  #refusalOf({ role, bytes }: StoredMetadata): string | undefined {
    const checked = checkTargets(this.#trust(), role, bytes, this.#clock.wallMs());
    return checked.ok ? undefined : faultText(checked);
  }

  /** As a vehicle would see it. */
  #trust(): RepositoryTrust {
    const files = new Map([['root.json', this.#chain.bytes]]);
    for (const { role, bytes } of this.#newest.values()) files.set(`${role}.json`, bytes);
    const trust = restoreTrust(files);
    if (!trust.ok) throw new ServerError('TRUST', faultText(trust));
    return trust.value;
  }

  /** Stores the file together with the Snapshot and Timestamp that name it. */
  async #put(file: StoredMetadata): Promise<void> {
    const put = this.#writer.putFile(`${file.role}.json`, file.bytes);
    if (!put.ok) throw new HttpProblem(422, 'METADATA_REFUSED', faultText(put));
    await this.#publish([file]);
    this.#read();
  }

  async #renewInTime(): Promise<void> {
    const { nowMs, wallMs } = this.#renewed;
    // Both clocks count: when the wall clock jumps, what was signed may be over at once, or last too long.
    const isRecent =
      this.#clock.nowMs() - nowMs < RENEW_EVERY_MS &&
      Math.abs(this.#clock.wallMs() - wallMs) < RENEW_EVERY_MS;
    if (isRecent) return;
    await this.#inTurn(() => this.#renew());
  }

  async #renew(): Promise<void> {
    this.#renewed = { nowMs: this.#clock.nowMs(), wallMs: this.#clock.wallMs() };
    if (this.published) await this.#publish([]);
  }

  async #publish(given: readonly StoredMetadata[]): Promise<void> {
    const files = [...given];
    try {
      for (const [name, bytes] of await this.#writer.publish(
        this.#clock.wallMs(),
        await this.#floor.current(),
      )) {
        const role = name.replace(/\.json$/, '');
        if (!OWN_ROLES.has(role)) continue;
        files.push({ role, version: parseSignedRole(bytes).signed.version, bytes });
      }
    } catch (error) {
      // The old files are valid until they expire: an operator has to act, and the server goes on.
      this.#logger.error(
        { error: describeError(error) },
        'Snapshot and Timestamp of the image repository cannot be signed: see --trust',
      );
      if (given.length > 0) throw error;
    }
    try {
      await this.#store.add('images', files);
    } catch (error) {
      // What was signed but not stored was never given out: start again from what is stored.
      this.#writer = openWriter(this.#chain, [...this.#newest.values()]);
      throw error;
    }
    for (const file of files) this.#newest.set(file.role, file);
  }

  #read(): void {
    this.#releases = releasesIn(this.#trust(), this.#clock.wallMs());
    this.#digests = new Set(this.#releases.map(({ sha256 }) => sha256));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work, work);
    this.#turn = result.catch(() => {});
    return result;
  }
}

const OWN_ROLES: ReadonlySet<string> = new Set(['root', 'snapshot', 'timestamp']);

function openWriter(chain: RootChain, files: readonly StoredMetadata[]): RepositoryWriter {
  const named = new Map<string, Uint8Array>();
  for (const { version, bytes } of chain.all) named.set(`${version}.root.json`, bytes);
  for (const { role, bytes } of files) if (role !== 'root') named.set(`${role}.json`, bytes);
  const opened = RepositoryWriter.open(named, {
    signers: { snapshot: chain.signers('snapshot'), timestamp: chain.signers('timestamp') },
    validityMs: VALIDITY_MS,
  });
  if (!opened.ok)
    throw new ServerError('TRUST', `the stored image repository: ${faultText(opened)}`);
  return opened.value;
}
