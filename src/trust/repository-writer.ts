// A repository as its signer sees it: put targets, publish. Signs only the roles whose keys it holds (Uptane 5.3).

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

/** The signers at hand by role. A role without any is left as it is: its file comes from elsewhere. */
export type RoleSigners = Readonly<Record<string, readonly Signer[] | undefined>>;

/** The roles that `publish` signs. Root is signed by people, one draft after the other. */
const PUBLISHED_ROLES = ['targets', 'snapshot', 'timestamp'] as const;
export type PublishedRole = (typeof PUBLISHED_ROLES)[number];

const DAY_MS = 86_400_000;

/** How long a signature lasts, in ms; a role is signed anew when half of it is over. */
export const DEFAULT_VALIDITY_MS: Readonly<Record<PublishedRole, number>> = {
  targets: 365 * DAY_MS,
  snapshot: 7 * DAY_MS,
  timestamp: DAY_MS,
};

export const ROOT_VALIDITY_MS = 365 * DAY_MS;

/** A signature that lasts this much longer than it may is replaced: the clock was ahead when it was made. */
const CLOCK_SLACK_MS = 7 * DAY_MS;

export interface WriterOptions {
  readonly signers: RoleSigners;
  readonly validityMs?: Readonly<Partial<Record<PublishedRole, number>>>;
}

export interface CreateOptions extends WriterOptions {
  readonly nowMs: number;
  /** Who may sign what. Default: the signers at hand of each role, threshold 1. */
  readonly roles?: Readonly<Record<string, RoleKeys>>;
  readonly rootExpiresMs?: number;
  /** Of Targets as a whole: `{vin}` for a Director. */
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
  /** By unversioned name: `root.json`, `targets.json`, `supplier.json`. */
  readonly #files = new Map<string, StoredFile>();
  /** Every Root by version: a reader that was away for long needs each of them. */
  readonly #roots = new Map<number, StoredFile>();
  /** What no `publish` has given out yet. */
  #pending = new Map<string, Uint8Array>();
  #targets = new Map<string, TargetSpec>();
  #custom: Readonly<Record<string, unknown>> | undefined;
  #delegations: unknown;
  #changed = false;
  /** Versions up to this one are not signed (any more). */
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
   * From what `files` gave: of each name the newest version counts; `root.json` or `N.root.json` must be there. A
   * Targets file that was not signed by its keys (of any Root at hand) is refused: its list would be signed anew.
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

  /** By name, as the next `publish` will list them. */
  get targets(): ReadonlyMap<string, TargetSpec> {
    return this.#targets;
  }

  /** Version of `targets`, `snapshot`, a delegated role...; undefined where there is no file of it yet. */
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

  /** False when there was none of this name. */
  removeTarget(name: string): boolean {
    const removed = this.#targets.delete(name);
    this.#changed ||= removed;
    return removed;
  }

  /** Replaces the whole list, and `custom` of the file where it is given. */
  setTargets(
    targets: ReadonlyMap<string, TargetSpec>,
    custom: Readonly<Record<string, unknown>> | undefined = this.#custom,
  ): void {
    this.#targets = new Map(targets);
    this.#custom = custom;
    this.#changed = true;
  }

  /** In the order of their priority; their files come by `putFile`. */
  setDelegations(delegations: readonly (DelegationSpec | MultiRoleSpec)[]): void {
    this.#delegations = delegations.length === 0 ? undefined : delegationsOf(delegations);
    this.#changed = true;
  }

  /**
   * A file that was signed elsewhere: a new Root, Targets from an offline key, a delegated role; by unversioned name.
   * Whether it may replace the old one is for the caller to check (`checkRootChain`, `checkTargetsFile`).
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
   * Signs what has changed, what half of its time has passed of, what would last longer than it may (a clock was ahead), what
   * is not above the version `floor`, and what its Root's keys no longer cover; gives out every new file under its names
   * (`3.targets.json` and `targets.json`). Throws InputError when the keys at hand are not enough for a role of which there
   * are any.
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

  /** The next Targets, unsigned: for keys that are not here. Its file comes back by `putFile`. */
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

  /** All that a repository serves and all that `open` needs, under versioned and unversioned names. */
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
        `Root version ${this.root.version} wants ${role.threshold} signatures, ${missing} of them are missing: ` +
          'give it the keys that this Root names',
      );
    }
    this.#store(`${name}.json`, file);
    if (name === 'targets') this.#changed = false;
  }

  /** What a Targets file lists, once it is known who signed it. */
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

  /** Targets and the delegated roles: what Snapshot lists. */
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
    return refused('MALFORMED', name, `is no metadata: ${(error as Error).message}`);
  }
}

/** 5.2.7: by version, except for Timestamp, whose version a reader cannot know; and the plain name for people. */
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

/** Those of the signers whose keys `root` names for the role: a revoked key at hand signs nothing. */
function signersOf(root: RolePayload, name: string, held: readonly Signer[]): Signer[] {
  const ids = new Set(roleKeysOf(root, name)?.keys.map(keyIdOf));
  return held.filter(({ keyId }) => ids.has(keyId));
}
