// How to check Root (Uptane 5.4.4.3): every version in turn, signed by the old keys and by its own keys.

import type { Root } from '@tufjs/models';
import { refused, type Verdict } from './attack.ts';
import {
  checkExpiry,
  checkSignatures,
  type Envelope,
  openEnvelope,
  rootAuthority,
  type Trusted,
  topAuthority,
  toTrusted,
} from './metadata.ts';
import { type Dialect, MAX_BYTES, MAX_ROOTS } from './profile.ts';
import { fetchFile, type Steps, versionedFileOf } from './retrieval.ts';
import { type RepositoryTrust, type TrustHolder, withFiles } from './trust-state.ts';

/** A Root that is signed with its own keys. */
export function selfSignedRoot(bytes: Uint8Array, dialect: Dialect): Verdict<Trusted<Root>> {
  const file = openEnvelope('root', bytes, 'root', dialect);
  if (!file.ok) return file;
  const root = toTrusted('root', file.value, 'root', dialect);
  if (!root.ok) return root;
  const signed = checkSignatures(root.value, topAuthority(root.value, 'root'), 'root');
  return signed.ok ? root : signed;
}

/**
 * 5.4.4.3: all Roots from the next one to the newest. `snapshots` is false if Targets follow their Root (partial
 * verification, a Director without Snapshot).
 */
export function* rootSteps(holder: TrustHolder, nowMs: number, snapshots: boolean): Steps<void> {
  for (let count = 0; ; count++) {
    const { root, dialect } = holder.trust;
    if (count === MAX_ROOTS) {
      const reason = `more than ${MAX_ROOTS} new Roots in one update: the next update goes on from version ${root.version}`;
      return refused('ENDLESS_DATA', 'root', reason);
    }
    // Step 2.2: the version is in the name; a missing file means that ours is the latest.
    const file = versionedFileOf('root', root.version + 1);
    const bytes = yield* fetchFile({
      role: 'root',
      file,
      maxBytes: MAX_BYTES.root,
      optional: true,
    });
    if (!bytes.ok) return bytes;
    if (bytes.value === undefined) break;
    const next = nextRoot(root, bytes.value, dialect);
    if (!next.ok) return next;
    // Step 2.5, and at once step 4, so that the files stored after this step belong together.
    holder.trust = afterRotation(holder.trust, next.value, snapshots);
  }
  // Step 3: freeze. Only the latest one must not have expired.
  return checkExpiry(holder.trust.root, nowMs, 'root');
}

/** May `bytes` follow `current`? Expiry is not checked: only the latest Root must not have expired. */
export function nextRoot(
  current: Trusted<Root>,
  bytes: Uint8Array,
  dialect: Dialect,
): Verdict<Trusted<Root>> {
  const file = openEnvelope('root', bytes, 'root', dialect);
  if (!file.ok) return file;
  // Step 2.3: arbitrary software. A threshold of the old keys...
  const old = checkSignatures(file.value, topAuthority(current, 'root'), 'root');
  if (!old.ok) return old;
  const next = toTrusted('root', file.value, 'root', dialect);
  if (!next.ok) return next;
  // ...and a threshold of the new ones.
  const own = checkSignatures(next.value, topAuthority(next.value, 'root'), 'root');
  if (!own.ok) return own;
  // Step 2.4: rollback. A later version than requested is refused, too: no Root may be skipped.
  if (next.value.version !== current.version + 1) {
    const reason = `is version ${next.value.version} where ${current.version + 1} must follow`;
    return refused('ROLLBACK', 'root', reason);
  }
  return next;
}

/**
 * Step 4: recovery from a fast-forward attack. The thief of a key can raise a version so far that no newer one can follow.
 * Timestamp and Snapshot of a removed key therefore set no floor any more.
 *
 * Targets are not part of that step: 5.4.4.6 step 4 compares with the previous Targets, also after a change of keys. If one
 * of several keys is removed, the others still sign older Targets, and an ECU without Snapshot has no other floor. So this
 * floor is dropped only if all old keys are removed (of Targets, or of the Snapshot that names its version): then the new
 * Root accepts no older file.
 */
function afterRotation(
  trust: RepositoryTrust,
  next: Trusted<Root>,
  snapshots: boolean,
): RepositoryTrust {
  const gone = (role: string): boolean => losesKey(trust.root, next, role);
  const unsigned = (file: Envelope | undefined, role: string): boolean => {
    const authority = rootAuthority(next, role);
    return (
      file !== undefined && (authority === undefined || !checkSignatures(file, authority, role).ok)
    );
  };
  const { timestamp, snapshot } = trust;
  const snapshotGone = gone('snapshot') || unsigned(snapshot, 'snapshot');
  const both = snapshotGone || gone('timestamp') || unsigned(timestamp, 'timestamp');
  // A Snapshot names the version of Targets. Without Snapshot only the keys of Targets matter.
  const noTargets =
    replacesKeys(trust.root, next, 'targets') ||
    (snapshots && replacesKeys(trust.root, next, 'snapshot'));
  return withFiles(
    { ...trust, root: next },
    both ? undefined : timestamp,
    both ? undefined : snapshot,
    noTargets ? new Map() : trust.targets,
  );
}

/** Whether `next` removes a key of the role: the files that this key has signed set no floor any more. */
export function losesKey(before: Trusted<Root>, next: Trusted<Root>, role: string): boolean {
  const left = materials(next, role);
  return [...materials(before, role)].some((material) => !left.has(material));
}

/** Whether the remaining old keys of the role are below its threshold in `next`. */
function replacesKeys(before: Trusted<Root>, next: Trusted<Root>, role: string): boolean {
  const old = materials(before, role);
  const left = [...materials(next, role)].filter((material) => old.has(material)).length;
  return left < (rootAuthority(next, role)?.threshold ?? 1);
}

function materials(root: Trusted<Root>, role: string): Set<string> {
  const keyIds = rootAuthority(root, role)?.keyIds ?? [];
  return new Set(keyIds.map((keyId) => root.keys.get(keyId)?.material ?? keyId));
}
