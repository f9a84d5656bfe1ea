// One repository from the view of its reader, and the checks of Uptane 5.4.4.3 to 5.4.4.6 that update it.

import type { Root, Targets } from '@tufjs/models';
import { defined } from '../core/optional.ts';
import { accepted, refused, type Verdict } from './attack.ts';
import {
  checkExpiry,
  openEnvelope,
  type RoleKind,
  rootAuthority,
  type SignedByKind,
  type Trusted,
  topAuthority,
  toTrusted,
} from './metadata.ts';
import type { Dialect } from './profile.ts';
import {
  fileOf,
  type MetadataAnswer,
  type MetadataRequest,
  Retrieval,
  type Steps,
} from './retrieval.ts';
import { checkedFile, snapshotSteps, targetsSteps, timestampSteps } from './role-checks.ts';
import { nextRoot, rootSteps, selfSignedRoot } from './root-check.ts';
import {
  type RepositoryTrust,
  type RoleVersions,
  TOP_LEVEL,
  type TrustHolder,
  withFiles,
} from './trust-state.ts';

export type { TargetFile } from '@tufjs/models';
export type { Trusted } from './metadata.ts';
export type { MetadataAnswer, MetadataRequest } from './retrieval.ts';
export { type RepositoryTrust, type RoleVersions, TOP_LEVEL } from './trust-state.ts';

type LastRole = 'timestamp' | 'snapshot' | 'targets';

export interface UpdateOptions {
  /** The last role to update. Default: `targets`. */
  readonly upTo?: LastRole;
  /** False for a repository without Timestamp and Snapshot: its Targets follow its Root. */
  readonly snapshots?: boolean;
  /** Further check of new Targets before they are trusted: the rules of a Director. */
  readonly inspect?: (targets: Trusted<Targets>) => Verdict<unknown>;
}

/** A trust anchor: a Root that was handed over in a safe place. It must be signed with its own keys; it may have expired. */
export function trustRoot(
  bytes: Uint8Array,
  dialect: Dialect = 'strict',
): Verdict<RepositoryTrust> {
  const root = selfSignedRoot(bytes, dialect);
  return root.ok ? accepted({ dialect, root: root.value, targets: new Map() }) : root;
}

/**
 * Reads the result of `filesOf`. Storage may have failed: a damaged Root is a fault. Any other file that is damaged, or not
 * signed by the keys of Root, is dropped and will be requested again.
 */
export function restoreTrust(
  files: ReadonlyMap<string, Uint8Array>,
  dialect: Dialect = 'strict',
): Verdict<RepositoryTrust> {
  const anchor = files.get('root.json');
  if (anchor === undefined) {
    return refused('MISSING_METADATA', 'root', 'there is no root.json: begin with a trust anchor');
  }
  const root = trustRoot(anchor, dialect);
  if (!root.ok) return root;
  const read = <K extends RoleKind>(
    kind: K,
    role: string,
  ): Trusted<SignedByKind[K]> | undefined => {
    const bytes = files.get(fileOf(role));
    const authority = rootAuthority(root.value.root, role);
    if (bytes === undefined || authority === undefined) return undefined;
    const file = checkedFile(kind, bytes, role, authority, dialect);
    return file.ok ? file.value : undefined;
  };
  const targets = new Map<string, Trusted<Targets>>();
  const top = read('targets', 'targets');
  if (top !== undefined) targets.set('targets', top);
  for (const [name, bytes] of files) {
    const role = delegatedRoleOf(name);
    if (role === undefined) continue;
    const file = openEnvelope('targets', bytes, role, dialect);
    const trusted = file.ok ? toTrusted('targets', file.value, role, dialect) : file;
    if (trusted.ok) targets.set(role, trusted.value);
  }
  return accepted(
    withFiles(root.value, read('timestamp', 'timestamp'), read('snapshot', 'snapshot'), targets),
  );
}

function delegatedRoleOf(name: string): string | undefined {
  if (!name.endsWith('.json')) return undefined;
  try {
    const role = decodeURIComponent(name.slice(0, -'.json'.length));
    return TOP_LEVEL.has(role) || fileOf(role) !== name ? undefined : role;
  } catch {
    return undefined;
  }
}

/** The files to store: `root.json`, `timestamp.json`, `snapshot.json`, `targets.json` and delegated roles, as received. */
export function filesOf(trust: RepositoryTrust): ReadonlyMap<string, Uint8Array> {
  const files = new Map([['root.json', trust.root.bytes]]);
  if (trust.timestamp !== undefined) files.set('timestamp.json', trust.timestamp.bytes);
  if (trust.snapshot !== undefined) files.set('snapshot.json', trust.snapshot.bytes);
  for (const [role, { bytes }] of trust.targets) files.set(fileOf(role), bytes);
  return files;
}

export function versionsOf({ root, timestamp, snapshot, targets }: RepositoryTrust): RoleVersions {
  const top = targets.get('targets');
  return {
    root: root.version,
    ...defined({
      timestamp: timestamp?.version,
      snapshot: snapshot?.version,
      targets: top?.version,
    }),
  };
}

/**
 * One update of the top-level roles. It reads no clock, and keeps the files that it accepted even if a later one is
 * refused: `trust` should be stored after every answer.
 */
export class RepositoryUpdate {
  readonly #holder: TrustHolder;
  readonly #retrieval: Retrieval<void>;

  constructor(trust: RepositoryTrust, nowMs: number, options: UpdateOptions = {}) {
    this.#holder = { trust };
    this.#retrieval = new Retrieval(updateSteps(this.#holder, nowMs, options));
  }

  get trust(): RepositoryTrust {
    return this.#holder.trust;
  }

  /** The next request; undefined if everything is up to date, or a file was refused. */
  next(): MetadataRequest | undefined {
    return this.#retrieval.next();
  }

  accept(answer: MetadataAnswer): Verdict<RepositoryTrust> {
    const verdict = this.#retrieval.accept(answer);
    return verdict.ok ? accepted(this.trust) : verdict;
  }
}

/** Root, Timestamp, Snapshot, Targets, up to the requested role. */
export function* updateSteps(
  holder: TrustHolder,
  nowMs: number,
  options: UpdateOptions = {},
): Steps<void> {
  const { upTo = 'targets', snapshots = true } = options;
  const root = yield* rootSteps(holder, nowMs, snapshots);
  if (!root.ok) return root;
  if (snapshots) {
    const timestamp = yield* timestampSteps(holder, nowMs);
    if (!timestamp.ok || upTo === 'timestamp') return timestamp;
    const snapshot = yield* snapshotSteps(holder, nowMs);
    if (!snapshot.ok || upTo === 'snapshot') return snapshot;
  }
  return yield* targetsSteps(holder, nowMs, snapshots, options.inspect);
}

/** Check before publishing: may `next` follow `current`? Expiry is not checked. */
export function checkRootChain(
  current: Uint8Array,
  next: Uint8Array,
  dialect: Dialect = 'strict',
): Verdict<Trusted<Root>> {
  const root = selfSignedRoot(current, dialect);
  return root.ok ? nextRoot(root.value, next, dialect) : root;
}

/** Check before publishing: are these Targets signed by the keys of `root`, newer than `previous`, and not expired? */
export function checkTargetsFile(
  root: Uint8Array,
  previous: Uint8Array | undefined,
  next: Uint8Array,
  nowMs: number,
  dialect: Dialect = 'strict',
): Verdict<Trusted<Targets>> {
  const trust = trustRoot(root, dialect);
  if (!trust.ok) return trust;
  const authority = topAuthority(trust.value.root, 'targets');
  const file = checkedFile('targets', next, 'targets', authority, dialect);
  if (!file.ok) return file;
  const known =
    previous === undefined ? undefined : openEnvelope('targets', previous, 'targets', dialect);
  if (known?.ok === true && file.value.version <= known.value.version) {
    const reason = `version ${file.value.version} must be newer than ${known.value.version}, which is published`;
    return refused('ROLLBACK', 'targets', reason);
  }
  const current = checkExpiry(file.value, nowMs, 'targets');
  return current.ok ? file : current;
}
