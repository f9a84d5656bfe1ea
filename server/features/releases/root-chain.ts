// The Roots of one repository as the server keeps them, and the online keys that sign for its roles.

import { present } from '../../../src/core/present.ts';
import { faultText } from '../../../src/trust/attack.ts';
import type { RepositoryName } from '../../../src/trust/full-verification.ts';
import { checkRootChain, trustRoot } from '../../../src/trust/repository.ts';
import {
  parseSignedRole,
  type RoleKeys,
  type RolePayload,
  roleKeysOf,
} from '../../../src/trust/role-signing.ts';
import { keyIdOf, type Signer } from '../../../src/trust/signing-key.ts';
import { HttpProblem, ServerError } from '../../platform/http/errors.ts';
import type { MetadataStore } from './metadata-store.ts';
import type { StoredMetadata } from './rows.ts';
import type { TrustFolder } from './trust-folder.ts';

/** Roles that the server signs. The keys of all others are kept where no server is (5.3.1, 5.3.2). */
export const ONLINE_ROLES: Readonly<Record<RepositoryName, readonly string[]>> = {
  director: ['targets', 'snapshot', 'timestamp', 'time'],
  images: ['snapshot', 'timestamp'],
};

export interface ChainOptions {
  /** The keys are needed. */
  readonly signs: boolean;
  /** Reads the folder again, for the keys of a Root that comes while the server runs. */
  readonly reread?: () => Promise<TrustFolder>;
}

export class RootChain {
  readonly repository: RepositoryName;
  readonly #store: MetadataStore;
  /** Reads the folder again; undefined where there is none on a disk. */
  readonly #reread: (() => Promise<TrustFolder>) | undefined;
  #folder: TrustFolder;
  readonly #roots: StoredMetadata[];
  readonly #signs: boolean;
  #signers: ReadonlyMap<string, readonly Signer[]>;
  /** The same for the Roots up to this version. */
  #takenAway: { readonly version: number; readonly roles: ReadonlySet<string> };

  private constructor(
    repository: RepositoryName,
    store: MetadataStore,
    folder: TrustFolder,
    roots: StoredMetadata[],
    { signs, reread }: ChainOptions,
  ) {
    this.repository = repository;
    this.#signs = signs;
    this.#reread = reread;
    this.#store = store;
    this.#folder = folder;
    this.#roots = roots;
    this.#signers = new Map();
    this.#takenAway = { version: 0, roles: new Set() };
  }

  /**
   * What the database holds, continued by what the folder holds. Throws ServerError `TRUST` for a chain that is broken
   * or another one, for a key that is missing, and for one that belongs offline.
   */
  static async open(
    repository: RepositoryName,
    store: MetadataStore,
    folder: TrustFolder,
    options: ChainOptions,
  ): Promise<RootChain> {
    const chain = new RootChain(repository, store, folder, await store.roots(repository), options);
    const stored = chain.#roots.length;
    for (const file of folder.metadata[repository]) {
      if (file.role === 'root') chain.#extend(file);
    }
    if (chain.#roots.length === 0) {
      throw trustError(
        folder,
        `${repository}/1.root.json is missing: copy the folder again that can-ota keys export-online wrote`,
      );
    }
    chain.#refuseOfflineKeys(chain.current);
    chain.#signers = chain.#signersOf(chain.current);
    await store.add(repository, chain.#roots.slice(stored));
    return chain;
  }

  get version(): number {
    return this.#newest.version;
  }

  get bytes(): Uint8Array {
    return this.#newest.bytes;
  }

  /** `open` refuses a chain without one. */
  get #newest(): StoredMetadata {
    return present(this.#roots.at(-1), 'the newest Root');
  }

  get current(): RolePayload {
    return parseSignedRole(this.bytes).signed;
  }

  /** The oldest first. */
  get all(): readonly StoredMetadata[] {
    return this.#roots;
  }

  find(version: number): Uint8Array | undefined {
    return this.#roots.find((root) => root.version === version)?.bytes;
  }

  /** Whether a Root has ever taken a key away from this role. */
  tookAway(role: string): boolean {
    if (this.#takenAway.version !== this.version) {
      this.#takenAway = { version: this.version, roles: rolesThatLost(this.#roots) };
    }
    return this.#takenAway.roles.has(role);
  }

  signers(role: string): readonly Signer[] {
    return this.#signers.get(role) ?? [];
  }

  /**
   * The next Root, signed offline. Throws HttpProblem: `METADATA_REFUSED` when it is not the next one or not signed
   * by enough of the old and of the new keys (5.4.4.3), `METADATA_KEYS` when this server could not sign under it.
   */
  async add(bytes: Uint8Array): Promise<number> {
    const checked = checkRootChain(this.bytes, bytes);
    if (!checked.ok) throw new HttpProblem(422, 'METADATA_REFUSED', faultText(checked));
    const version = this.version + 1;
    const next = { role: 'root', version, bytes };
    let signers: ReadonlyMap<string, readonly Signer[]>;
    try {
      signers = await this.#signersFor(parseSignedRole(bytes).signed);
    } catch (error) {
      if (!(error instanceof ServerError)) throw error;
      throw new HttpProblem(
        409,
        'METADATA_KEYS',
        `this Root names online keys that the server does not hold: write them into its folder (can-ota keys export-online), then push again (${error.message})`,
        { cause: error },
      );
    }
    await this.#store.add(this.repository, [next]);
    this.#roots.push(next);
    this.#signers = signers;
    return version;
  }

  #extend(file: StoredMetadata): void {
    const known = this.find(file.version);
    const where = `${this.repository}/${file.version}.root.json`;
    if (known !== undefined) {
      if (Buffer.compare(known, file.bytes) === 0) return;
      throw trustError(
        this.#folder,
        `${where} is another file than the one that this data folder began with: use the folder of the same ceremony, or new data`,
      );
    }
    const last = this.#roots.at(-1);
    if (last === undefined ? file.version !== 1 : file.version !== last.version + 1) {
      throw trustError(
        this.#folder,
        `${where} does not follow version ${last?.version ?? 0}: every Root since the first one must be there`,
      );
    }
    const checked =
      last === undefined ? trustRoot(file.bytes) : checkRootChain(last.bytes, file.bytes);
    if (!checked.ok) throw trustError(this.#folder, `${where}: ${faultText(checked)}`);
    this.#roots.push(file);
  }

  /** With the keys that are in memory, or else with those that the folder holds by now. Throws ServerError. */
  async #signersFor(root: RolePayload): Promise<Map<string, readonly Signer[]>> {
    try {
      return this.#signersOf(root);
    } catch (error) {
      if (this.#reread === undefined) throw error;
      const before = this.#folder;
      this.#folder = await this.#reread();
      try {
        this.#refuseOfflineKeys(root);
        return this.#signersOf(root);
      } catch (late) {
        this.#folder = before;
        throw late;
      }
    }
  }

  #signersOf(root: RolePayload): Map<string, readonly Signer[]> {
    const signers = new Map<string, readonly Signer[]>();
    if (!this.#signs) return signers;
    for (const role of ONLINE_ROLES[this.repository]) {
      const keys = roleKeysOf(root, role);
      if (keys === undefined) {
        throw trustError(
          this.#folder,
          `Root version ${root.version} of ${this.repository} has no role ${role}`,
        );
      }
      const held = this.#held(keys);
      if (held.length < keys.threshold) {
        throw trustError(
          this.#folder,
          `${held.length} of the keys of ${this.repository} ${role} are in online/, Root version ${root.version} wants ${keys.threshold}`,
        );
      }
      signers.set(role, held.slice(0, keys.threshold));
    }
    return signers;
  }

  #held({ keys }: RoleKeys): Signer[] {
    const ids = new Set(keys.map(keyIdOf));
    return this.#folder.keys.map(({ signer }) => signer).filter(({ keyId }) => ids.has(keyId));
  }

  #refuseOfflineKeys(root: RolePayload): void {
    for (const role of Object.keys(root.roles as Record<string, unknown>)) {
      if (ONLINE_ROLES[this.repository].includes(role)) continue;
      const ids = new Set(roleKeysOf(root, role)?.keys.map(keyIdOf));
      const stray = this.#folder.keys.find(({ signer }) => ids.has(signer.keyId));
      if (stray === undefined) continue;
      throw trustError(
        this.#folder,
        `${stray.file} signs ${this.repository} ${role}, whose keys stay offline: take it off this machine`,
      );
    }
  }
}

/** Roles that had a key in one Root and not in the next. */
function rolesThatLost(roots: readonly StoredMetadata[]): Set<string> {
  const lost = new Set<string>();
  let before = new Map<string, ReadonlySet<string>>();
  for (const { bytes } of roots) {
    const root = parseSignedRole(bytes).signed;
    const names = Object.keys(root.roles as Record<string, unknown>);
    const now = new Map(
      names.map((role) => [role, new Set(roleKeysOf(root, role)?.keys.map(keyIdOf))]),
    );
    for (const [role, keyIds] of before) {
      if ([...keyIds].some((keyId) => now.get(role)?.has(keyId) !== true)) lost.add(role);
    }
    before = now;
  }
  return lost;
}

function trustError(folder: TrustFolder, message: string): ServerError {
  return new ServerError('TRUST', `${folder.location}: ${message}`);
}
