// How to check Timestamp, Snapshot and Targets (Uptane 5.4.4.4 to 5.4.4.6), step by step with the attack that each stops.

import type { Targets } from '@tufjs/models';
import { equalBytes } from '../core/bytes.ts';
import { present } from '../core/present.ts';
import { accepted, refused, type Verdict } from './attack.ts';
import { checkMetadataFile } from './file-hash.ts';
import {
  type Authority,
  checkExpiry,
  checkSignatures,
  type Envelope,
  openEnvelope,
  type RoleKind,
  type SignedByKind,
  type Trusted,
  topAuthority,
  toTrusted,
} from './metadata.ts';
import { type Dialect, MAX_BYTES, RULES } from './profile.ts';
import {
  fetchRequired,
  fileOf,
  type RequiredRequest,
  type Steps,
  versionedFileOf,
} from './retrieval.ts';
import { quoted } from './strict-json.ts';
import { type RepositoryTrust, type TrustHolder, withTargets } from './trust-state.ts';

/** Timestamp, 5.4.4.4. */
export function* timestampSteps(holder: TrustHolder, nowMs: number): Steps<void> {
  const { dialect } = holder.trust;
  const bytes = yield* fetchRequired({
    role: 'timestamp',
    file: fileOf('timestamp'),
    maxBytes: MAX_BYTES.timestamp,
  });
  if (!bytes.ok) return bytes;
  // Step 2: arbitrary software.
  const authority = topAuthority(holder.trust.root, 'timestamp');
  const next = checkedFile('timestamp', bytes.value, 'timestamp', authority, dialect);
  if (!next.ok) return next;
  const trusted = holder.trust.timestamp;
  // The same version is the same file: a different text with that version is ignored (TUF 5.4.3).
  const kept = keptFile(trusted, next.value, dialect);
  if (kept !== undefined) return checkExpiry(kept, nowMs, 'timestamp');
  // Step 3: rollback, of Timestamp and of the Snapshot that it names.
  const fresh = checkNotOlder(next.value, trusted, 'timestamp');
  if (!fresh.ok) return fresh;
  const { version, hashes } = next.value.metadata.signed.snapshotMeta;
  const known = Math.max(
    trusted?.metadata.signed.snapshotMeta.version ?? 0,
    holder.trust.snapshot?.version ?? 0,
  );
  if (version < known) {
    const reason = `names Snapshot version ${version}, older than ${known}, which is trusted`;
    return refused('ROLLBACK', 'timestamp', reason);
  }
  // 5.2.5: the hash of Snapshot must be present, if the dialect demands it.
  if (RULES[dialect].snapshotHash && Object.keys(hashes ?? {}).length === 0) {
    return refused('MALFORMED', 'timestamp', 'names no hash of Snapshot');
  }
  // Step 4: freeze.
  const current = checkExpiry(next.value, nowMs, 'timestamp');
  if (current.ok) holder.trust = { ...holder.trust, timestamp: next.value };
  return current;
}

/** Snapshot, 5.4.4.5. */
export function* snapshotSteps(holder: TrustHolder, nowMs: number): Steps<void> {
  const { dialect, root, timestamp } = holder.trust;
  const named = present(timestamp, 'Timestamp').metadata.signed.snapshotMeta;
  const trusted = holder.trust.snapshot;
  // 5.4.4.2 step 4: the trusted Snapshot is the one that Timestamp names.
  if (
    trusted?.version === named.version &&
    checkMetadataFile(trusted.bytes, named, '', dialect).ok
  ) {
    return checkExpiry(trusted, nowMs, 'snapshot');
  }
  // Step 1.
  const bytes = yield* fetchRequired(
    namedRequest(holder.trust, 'snapshot', named, MAX_BYTES.snapshot),
  );
  if (!bytes.ok) return bytes;
  // Step 2: mix and match.
  const right = checkMetadataFile(bytes.value, named, 'snapshot', dialect);
  if (!right.ok) return right;
  // Step 3: arbitrary software.
  const authority = topAuthority(root, 'snapshot');
  const next = checkedFile('snapshot', bytes.value, 'snapshot', authority, dialect);
  if (!next.ok) return next;
  const same = checkNamedVersion(next.value, named.version, 'snapshot', 'Timestamp');
  if (!same.ok) return same;
  // Step 4: rollback.
  const fresh = checkNotOlder(next.value, trusted, 'snapshot');
  if (!fresh.ok) return fresh;
  // Steps 5 and 6: rollback of a listed file, or its removal.
  const { meta } = next.value.metadata.signed;
  for (const [file, { version }] of Object.entries(trusted?.metadata.signed.meta ?? {})) {
    const now = Object.hasOwn(meta, file) ? meta[file] : undefined;
    if (now === undefined || now.version < version) {
      const what = now === undefined ? 'lists no' : `lists version ${now.version} of`;
      const reason = `${what} ${quoted(file)}, of which version ${version} is trusted`;
      return refused('ROLLBACK', 'snapshot', reason);
    }
  }
  // Step 7: freeze.
  const current = checkExpiry(next.value, nowMs, 'snapshot');
  if (current.ok) holder.trust = { ...holder.trust, snapshot: next.value };
  return current;
}

/** Top-level Targets, 5.4.4.6. */
export function* targetsSteps(
  holder: TrustHolder,
  nowMs: number,
  snapshots: boolean,
  inspect?: (targets: Trusted<Targets>) => Verdict<unknown>,
): Steps<void> {
  const authority = topAuthority(holder.trust.root, 'targets');
  const next = snapshots
    ? yield* listedTargets(holder, 'targets', authority, nowMs)
    : yield* unlistedTargets(holder, authority, nowMs);
  if (!next.ok) return next;
  if (next.value === holder.trust.targets.get('targets')) return accepted(undefined);
  const inspected = inspect?.(next.value) ?? accepted(undefined);
  if (!inspected.ok) return inspected;
  holder.trust = withTargets(holder.trust, 'targets', next.value);
  return accepted(undefined);
}

/** Targets or a delegated role as Snapshot lists it: the trusted file, or a requested one. */
export function* listedTargets(
  holder: TrustHolder,
  role: string,
  authority: Authority,
  nowMs: number,
): Steps<Trusted<Targets>> {
  const { snapshot, dialect } = holder.trust;
  const { meta } = present(snapshot, 'Snapshot').metadata.signed;
  const listed = Object.hasOwn(meta, `${role}.json`) ? meta[`${role}.json`] : undefined;
  if (listed === undefined) {
    return refused('MISSING_METADATA', role, `Snapshot does not list ${quoted(`${role}.json`)}`);
  }
  const trusted = holder.trust.targets.get(role);
  if (
    trusted?.version === listed.version &&
    checkMetadataFile(trusted.bytes, listed, role, dialect).ok &&
    (role === 'targets' || checkSignatures(trusted, authority, role).ok)
  ) {
    const current = checkExpiry(trusted, nowMs, role);
    return current.ok ? accepted(trusted) : current;
  }
  // Step 1.
  const bytes = yield* fetchRequired(namedRequest(holder.trust, role, listed, MAX_BYTES.targets));
  if (!bytes.ok) return bytes;
  const right = checkMetadataFile(bytes.value, listed, role, dialect);
  if (!right.ok) return right;
  // Step 3: arbitrary software. It comes before step 2, because the version of an unsigned file is not known.
  const next = checkedFile('targets', bytes.value, role, authority, dialect);
  if (!next.ok) return next;
  // Step 2: mix and match.
  const same = checkNamedVersion(next.value, listed.version, role, 'Snapshot');
  if (!same.ok) return same;
  return checkedTargets(next.value, trusted, nowMs, role);
}

/** The newest Targets, where there is no Snapshot to name a version. */
function* unlistedTargets(
  holder: TrustHolder,
  authority: Authority,
  nowMs: number,
): Steps<Trusted<Targets>> {
  const bytes = yield* fetchRequired({
    role: 'targets',
    file: fileOf('targets'),
    maxBytes: MAX_BYTES.targets,
  });
  if (!bytes.ok) return bytes;
  return nextTargets(holder.trust, authority, bytes.value, nowMs);
}

/** New top-level Targets without other files: partial verification (5.4.4.1), a Director without Snapshot. */
export function nextTargets(
  trust: RepositoryTrust,
  authority: Authority,
  bytes: Uint8Array,
  nowMs: number,
): Verdict<Trusted<Targets>> {
  const next = checkedFile('targets', bytes, 'targets', authority, trust.dialect);
  if (!next.ok) return next;
  const trusted = trust.targets.get('targets');
  const kept = keptFile(trusted, next.value, trust.dialect);
  if (kept !== undefined) {
    const current = checkExpiry(kept, nowMs, 'targets');
    return current.ok ? accepted(kept) : current;
  }
  return checkedTargets(next.value, trusted, nowMs, 'targets');
}

/** The trusted file if the next one is not newer. */
function keptFile<T extends Envelope>(
  trusted: T | undefined,
  next: Envelope,
  dialect: Dialect,
): T | undefined {
  if (trusted?.version !== next.version) return undefined;
  const isKept = RULES[dialect].sameVersion === 'kept' || equalBytes(trusted.bytes, next.bytes);
  return isKept ? trusted : undefined;
}

function checkedTargets(
  next: Trusted<Targets>,
  trusted: Trusted<Targets> | undefined,
  nowMs: number,
  role: string,
): Verdict<Trusted<Targets>> {
  // Step 4: rollback.
  const fresh = checkNotOlder(next, trusted, role);
  if (!fresh.ok) return fresh;
  // Step 5: freeze.
  const current = checkExpiry(next, nowMs, role);
  return current.ok ? accepted(next) : current;
}

/** Reads a file and checks its signatures. */
export function checkedFile<K extends RoleKind>(
  kind: K,
  bytes: Uint8Array,
  role: string,
  authority: Authority,
  dialect: Dialect,
): Verdict<Trusted<SignedByKind[K]>> {
  const file = openEnvelope(kind, bytes, role, dialect);
  if (!file.ok) return file;
  const signed = checkSignatures(file.value, authority, role);
  return signed.ok ? toTrusted(kind, file.value, role, dialect) : signed;
}

/** 5.3.2: names contain the version if the repository keeps all versions. */
function namedRequest(
  { root, dialect }: RepositoryTrust,
  role: string,
  named: { readonly version: number; readonly length?: number | undefined },
  limit: number,
): RequiredRequest {
  const versioned = root.metadata.signed.consistentSnapshot;
  return {
    role,
    file: versioned ? versionedFileOf(role, named.version) : fileOf(role),
    maxBytes: RULES[dialect].namedFile === 'exact' ? Math.min(named.length ?? limit, limit) : limit,
  };
}

function checkNamedVersion(
  { version }: Envelope,
  named: number,
  role: string,
  by: string,
): Verdict<void> {
  if (version === named) return accepted(undefined);
  return refused('MIX_AND_MATCH', role, `is version ${version}, ${by} names version ${named}`);
}

function checkNotOlder(
  { version }: Envelope,
  trusted: Envelope | undefined,
  role: string,
): Verdict<void> {
  if (trusted === undefined || version >= trusted.version) return accepted(undefined);
  const reason = `version ${version} is older than ${trusted.version}, which is trusted`;
  return refused('ROLLBACK', role, reason);
}
