// A repository from the view of its signer: put targets, publish. Signs only the roles whose keys it has (Uptane 5.3).

import { sha256 } from '@noble/hashes/sha2.js';
import { z } from 'zod';
import { toHex } from '../core/bytes.ts';
import { InputError } from '../core/errors.ts';
import { defined } from '../core/optional.ts';
import { present } from '../core/present.ts';
import { accepted, refused, type Verdict } from './attack.ts';
import {
  buildRoot,
  buildSnapshot,
  buildTargets,
  buildTimestamp,
  countSignatures,
  type DelegationSpec,
  delegationsOf,
  type MetaSpec,
  type MultiRoleSpec,
  parseSignedRole,
  type RoleKeys,
  type RolePayload,
  roleKeysOf,
  type SignedRole,
  signRole,
  type TargetSpec,
} from './role-signing.ts';
import { keyIdOf, type Signer } from './signing-key.ts';

/** The available signers by role. A role without signers is not changed: its file comes from elsewhere. */
export type RoleSigners = Readonly<Record<string, readonly Signer[] | undefined>>;

/** The roles that `publish` signs. People sign Root, one draft after the other. */
const PUBLISHED_ROLES = ['targets', 'snapshot', 'timestamp'] as const;
export type PublishedRole = (typeof PUBLISHED_ROLES)[number];

const DAY_MS = 86_400_000;

/** How long a signature is valid, in ms; a role is signed again after half of this time. */
export const DEFAULT_VALIDITY_MS: Readonly<Record<PublishedRole, number>> = {
  targets: 365 * DAY_MS,
  snapshot: 7 * DAY_MS,
  timestamp: DAY_MS,
};

export const ROOT_VALIDITY_MS = 365 * DAY_MS;

/** Tolerance for a signature that is valid for too long because the clock was ahead; above it the signature is replaced. */
const CLOCK_SLACK_MS = 7 * DAY_MS;

export interface WriterOptions {
  readonly signers: RoleSigners;
  readonly validityMs?: Readonly<Partial<Record<PublishedRole, number>>>;
}

export interface CreateOptions extends WriterOptions {
  readonly nowMs: number;
  /** The keys of each role. Default: its available signers, threshold 1. */
  readonly roles?: Readonly<Record<string, RoleKeys>>;
  readonly rootExpiresMs?: number;
  /** `custom` of the Targets file: `{vin}` for a Director. */
  readonly custom?: Readonly<Record<string, unknown>>;
}

interface StoredFile {
  readonly bytes: Uint8Array;
  readonly role: SignedRole;
}

const record = z.record(z.string(), z.unknown());
const targetsFields = z.looseObject({
  targets: z.record(
    z.string(),
    z.looseObject({
      length: z.int().nonnegative(),
      hashes: z.record(z.string(), z.string()),
      custom: record.optional(),
    }),
  ),
  custom: record.optional(),
  delegations: record.optional(),
});
type TargetsFields = z.infer<typeof targetsFields>;

export class RepositoryWriter {
  readonly #signers: RoleSigners;
  readonly #validityMs: Readonly<Record<PublishedRole, number>>;
  /** Files by unversioned name: `root.json`, `targets.json`, `supplier.json`. */
  readonly #files = new Map<string, StoredFile>();
  /** All Roots by version: a reader that was off for long needs each of them. */
  readonly #roots = new Map<number, StoredFile>();
  /** Files that no `publish` has returned yet. */
  #pending = new Map<string, Uint8Array>();
  #targets = new Map<string, TargetSpec>();
  #custom: Readonly<Record<string, unknown>> | undefined;
  #delegations: unknown;
  #changed = false;
  /** New files get versions above this one. */
  #floor = 0;

  private constructor({ signers, validityMs }: WriterOptions) {
    this.#signers = signers;
    this.#validityMs = { ...DEFAULT_VALIDITY_MS, ...validityMs };
  }

  /** A new repository: Root version 1 is signed at once, the other roles by the first `publish`. */
  static async create(options: CreateOptions): Promise<RepositoryWriter> {
    const writer = new RepositoryWriter(options);
    const held = Object.entries(options.signers).map(([name, signers = []]): [string, RoleKeys] => [
      name,
      { keys: signers.map(({ publicKey }) => publicKey), threshold: 1 },
    ]);
    const root = buildRoot({
      version: 1,
      expiresMs: options.rootExpiresMs ?? options.nowMs + ROOT_VALIDITY_MS,
      roles: options.roles ?? Object.fromEntries(held),
    });
    writer.#store('root.json', await signRole(root, options.signers.root ?? []));
    writer.#custom = options.custom;
    writer.#changed = true;
    return writer;
  }

  /**
   * Opens a repository from the result of `files`: of each name the newest version is used; `root.json` or `N.root.json`
   * must exist. A Targets file without valid signatures (by the keys of any Root here) is refused, because its list would
   * be signed again.
   */
  static open(
    files: ReadonlyMap<string, Uint8Array>,
    options: WriterOptions,
  ): Verdict<RepositoryWriter> {
    const writer = new RepositoryWriter(options);
    for (const [name, bytes] of files) {
      const role = parsed(name, bytes);
      if (!role.ok) return role;
      writer.#store(name.replace(/^\d+\.(?=.*\.json$)/, ''), bytes, role.value);
    }
    writer.#pending.clear();
    if (writer.#roots.size === 0) {
      return refused('MISSING_METADATA', 'root.json', 'a repository begins with its Root');
    }
    const targets = writer.#files.get('targets.json');
    if (targets === undefined) return accepted(writer);
    const list = writer.#listOf(targets.role);
    if (!list.ok) return list;
    writer.#load(list.value);
    return accepted(writer);
  }

  /** The newest Root. */
  get root(): RolePayload {
    return present(this.#files.get('root.json'), 'root.json').role.signed;
  }

  /** Targets by name, as the next `publish` will list them. */
  get targets(): ReadonlyMap<string, TargetSpec> {
    return this.#targets;
  }

  /** Version of `targets`, `snapshot`, a delegated role...; undefined if it has no file yet. */
  version(role: string): number | undefined {
    return this.#files.get(`${role}.json`)?.role.signed.version;
  }

  /** When the signed file of a role expires, in ms since 1970. */
  expiresMs(role: string): number | undefined {
    const expires = this.#files.get(`${role}.json`)?.role.signed.expires;
    return expires === undefined ? undefined : Date.parse(expires);
  }

  putTarget(name: string, target: TargetSpec): void {
    this.#targets.set(name, target);
    this.#changed = true;
  }

  /** False if there was no target of this name. */
  removeTarget(name: string): boolean {
    const removed = this.#targets.delete(name);
    this.#changed ||= removed;
    return removed;
  }

  /** Replaces the whole list, and `custom` of the file if it is given. */
  setTargets(
    targets: ReadonlyMap<string, TargetSpec>,
    custom: Readonly<Record<string, unknown>> | undefined = this.#custom,
  ): void {
    this.#targets = new Map(targets);
    this.#custom = custom;
    this.#changed = true;
  }

  /** Delegations in the order of their priority; their files come by `putFile`. */
  setDelegations(delegations: readonly (DelegationSpec | MultiRoleSpec)[]): void {
    this.#delegations = delegations.length === 0 ? undefined : delegationsOf(delegations);
    this.#changed = true;
  }

  /**
   * Adds a file that was signed elsewhere: a new Root, Targets from an offline key, a delegated role; by unversioned name.
   * The caller checks whether it may replace the old one (`checkRootChain`, `checkTargetsFile`).
   */
  putFile(name: string, bytes: Uint8Array): Verdict<void> {
    const role = parsed(name, bytes);
    if (!role.ok) return role;
    const { version } = role.value.signed;
    const known = this.version(name.replace(/\.json$/, '')) ?? 0;
    if (version < known) {
      return refused('ROLLBACK', name, `version ${version} is older than ${known}, which is there`);
    }
    const list = name === 'targets.json' ? this.#listOf(role.value) : accepted(undefined);
    if (!list.ok) return list;
    this.#store(name, bytes, role.value);
    if (list.value !== undefined) this.#load(list.value);
    return accepted(undefined);
  }

  /**
   * Signs the roles that have changed, have less than half of their time left, are valid for too long (a clock was ahead),
   * have a version up to `floor`, or are no longer covered by the keys of Root. Returns every new file under its names
   * (`3.targets.json` and `targets.json`). Throws InputError if a role has signers, but not enough of them.
   */
  async publish(nowMs: number, floor = 0): Promise<Map<string, Uint8Array>> {
    this.#floor = floor;
    await this.#publishRole('targets', nowMs, this.#changed, () => this.nextTargets(nowMs));
    const meta = this.#targetsFiles();
    if (meta['targets.json'] !== undefined) {
      const changed = !sameMeta(this.#metaOf('snapshot'), meta);
      await this.#publishRole('snapshot', nowMs, changed, () =>
        buildSnapshot({ ...this.#next('snapshot', nowMs), meta }),
      );
    }
    const snapshot = this.#files.get('snapshot.json');
    if (snapshot !== undefined) {
      const named = describe(snapshot);
      const changed = !sameMeta(this.#metaOf('timestamp'), { 'snapshot.json': named });
      await this.#publishRole('timestamp', nowMs, changed, () =>
        buildTimestamp({ ...this.#next('timestamp', nowMs), snapshot: named }),
      );
    }
    const published = this.#pending;
    this.#pending = new Map();
    return published;
  }

  /** The next Targets, unsigned, for keys that are elsewhere. The signed file comes back by `putFile`. */
  nextTargets(nowMs: number): RolePayload {
    return {
      ...buildTargets({
        ...this.#next('targets', nowMs),
        targets: Object.fromEntries(this.#targets),
        ...defined({ custom: this.#custom }),
      }),
      ...defined({ delegations: this.#delegations }),
    };
  }

  /** All files that a repository serves and that `open` needs, under versioned and unversioned names. */
  files(): Map<string, Uint8Array> {
    const files = new Map<string, Uint8Array>();
    for (const [version, { bytes }] of this.#roots) files.set(`${version}.root.json`, bytes);
    for (const [name, { bytes, role }] of this.#files) {
      for (const each of namesOf(name, role)) files.set(each, bytes);
    }
    return files;
  }

  #next(role: PublishedRole, nowMs: number): { version: number; expiresMs: number } {
    return {
      version: Math.max(this.version(role) ?? 0, this.#floor) + 1,
      expiresMs: nowMs + this.#validityMs[role],
    };
  }

  async #publishRole(
    name: PublishedRole,
    nowMs: number,
    changed: boolean,
    build: () => RolePayload,
  ): Promise<void> {
    const held = this.#signers[name] ?? [];
    if (held.length === 0) return;
    const role = roleKeysOf(this.root, name) ?? { keys: [], threshold: 1 };
    const current = this.#files.get(`${name}.json`)?.role;
    const leftMs = current === undefined ? 0 : Date.parse(current.signed.expires) - nowMs;
    const due =
      changed ||
      current === undefined ||
      current.signed.version <= this.#floor ||
      leftMs < this.#validityMs[name] / 2 ||
      leftMs > this.#validityMs[name] + CLOCK_SLACK_MS ||
      countSignatures(current, role).missing > 0;
    if (!due) return;
    const file = await signRole(build(), signersOf(this.root, name, held));
    const { missing } = countSignatures(parseSignedRole(file), role);
    if (missing > 0) {
      throw new InputError(
        `keys of ${name}`,
        `Root version ${this.root.version} needs ${role.threshold} signatures, ${missing} of them are missing: ` +
          'use the keys that this Root names',
      );
    }
    this.#store(`${name}.json`, file);
    if (name === 'targets') this.#changed = false;
  }

  /** The contents of a Targets file after a check of its signatures. */
  #listOf(file: SignedRole): Verdict<TargetsFields> {
    const signed = [...this.#roots.values()].some(({ role: { signed: root } }) => {
      const keys = roleKeysOf(root, 'targets');
      return keys !== undefined && countSignatures(file, keys).missing === 0;
    });
    if (!signed) {
      const reason = 'too few signatures by the keys of any Root here: restore it from a copy';
      return refused('ARBITRARY_SOFTWARE', 'targets.json', reason);
    }
    const fields = targetsFields.safeParse(file.signed);
    return fields.success
      ? accepted(fields.data)
      : refused('MALFORMED', 'targets.json', z.prettifyError(fields.error));
  }

  #load(fields: TargetsFields): void {
    this.#targets = new Map(Object.entries(fields.targets as Record<string, TargetSpec>));
    this.#custom = fields.custom;
    this.#delegations = fields.delegations;
    this.#changed = false;
  }

  #store(name: string, bytes: Uint8Array, role: SignedRole = parseSignedRole(bytes)): void {
    const stored = { bytes, role };
    if (name === 'root.json') this.#roots.set(role.signed.version, stored);
    const known = this.#files.get(name)?.role.signed.version ?? 0;
    if (role.signed.version < known) return;
    this.#files.set(name, stored);
    for (const each of namesOf(name, role)) this.#pending.set(each, bytes);
  }

  #metaOf(role: 'snapshot' | 'timestamp'): Readonly<Record<string, MetaSpec>> | undefined {
    const meta = this.#files.get(`${role}.json`)?.role.signed.meta;
    return meta as Readonly<Record<string, MetaSpec>> | undefined;
  }

  /** The files that Snapshot lists: Targets and the delegated roles. */
  #targetsFiles(): Record<string, MetaSpec> {
    const names = [...this.#files].filter(([, { role }]) => role.signed._type === 'targets');
    return Object.fromEntries(
      names.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, file]) => [name, describe(file)]),
    );
  }
}

function parsed(name: string, bytes: Uint8Array): Verdict<SignedRole> {
  try {
    return accepted(parseSignedRole(bytes));
  } catch (error) {
    return refused('MALFORMED', name, `is not metadata: ${(error as Error).message}`);
  }
}

/** 5.2.7: names with the version (except Timestamp, whose version a reader cannot know), and the plain name for people. */
function namesOf(name: string, { signed }: SignedRole): string[] {
  return signed._type === 'timestamp' ? [name] : [`${signed.version}.${name}`, name];
}

function describe({ bytes, role }: StoredFile): MetaSpec {
  return {
    version: role.signed.version,
    length: bytes.length,
    hashes: { sha256: toHex(sha256(bytes)) },
  };
}

function sameMeta(
  one: Readonly<Record<string, MetaSpec>> | undefined,
  other: Readonly<Record<string, MetaSpec>>,
): boolean {
  const text = (meta: Readonly<Record<string, MetaSpec>>): string =>
    JSON.stringify(
      Object.entries(meta).map(([name, { version, hashes }]) => [name, version, hashes?.sha256]),
    );
  return one !== undefined && text(one) === text(other);
}

/** The signers whose keys `root` lists for the role: an available signer with a revoked key signs nothing. */
function signersOf(root: RolePayload, name: string, held: readonly Signer[]): Signer[] {
  const ids = new Set(roleKeysOf(root, name)?.keys.map(keyIdOf));
  return held.filter(({ keyId }) => ids.has(keyId));
}
