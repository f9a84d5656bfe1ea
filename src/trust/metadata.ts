// One metadata file: read strictly, its signatures counted by different keys, then parsed by the models of TUF.

import {
  Metadata,
  MetadataKind,
  MetaFile,
  type Root,
  type Snapshot,
  TargetFile,
  type Targets,
  type Timestamp,
} from '@tufjs/models';
import { present } from '../core/present.ts';
import { accepted, refused, type Verdict } from './attack.ts';
import { canonicalForms } from './canonical-form.ts';
import { type Dialect, type DialectRules, RULES } from './profile.ts';
import { type KeyRing, modelKey, readKeys } from './public-key.ts';
import { field, isObject, type JsonObject, parseJson, quoted } from './strict-json.ts';

/** Verified metadata in the classes of the models, for readers. */
export type { TargetFile, Targets } from '@tufjs/models';

export interface SignedByKind {
  readonly root: Root;
  readonly timestamp: Timestamp;
  readonly snapshot: Snapshot;
  readonly targets: Targets;
}
export type RoleKind = keyof SignedByKind;

/** The parts of a file that are known before any signature is checked. */
export interface Envelope {
  readonly kind: RoleKind;
  readonly dialect: Dialect;
  readonly bytes: Uint8Array;
  /** The signed part as received: signatures are over its canonical form, unknown fields included. */
  readonly signed: JsonObject;
  /** Signatures by key id. */
  readonly signatures: ReadonlyMap<string, string>;
  readonly version: number;
  /** Expiry in ms since 1970. */
  readonly expiresMs: number;
}

/** A file with enough valid signatures. */
export interface Trusted<T extends Root | Timestamp | Snapshot | Targets> extends Envelope {
  readonly metadata: Metadata<T>;
  /** The keys that it lists for other roles (Root, delegations). */
  readonly keys: KeyRing;
}

/** The keys that may sign a role. */
export interface Authority {
  readonly keyIds: readonly string[];
  readonly threshold: number;
  readonly keys: KeyRing;
}

const KINDS: Readonly<Record<RoleKind, MetadataKind>> = {
  root: MetadataKind.Root,
  timestamp: MetadataKind.Timestamp,
  snapshot: MetadataKind.Snapshot,
  targets: MetadataKind.Targets,
};

/** Uptane 5.2.1: type, version, expiry and the list of signatures; each key id at most once in it (TUF 4.2.1). */
export function openEnvelope(
  kind: RoleKind,
  bytes: Uint8Array,
  where: string,
  dialect: Dialect,
): Verdict<Envelope> {
  const rules = RULES[dialect];
  const json = parseJson(bytes, where, rules);
  if (!json.ok) return json;
  const malformed = (reason: string): Verdict<Envelope> => refused('MALFORMED', where, reason);
  const signed = field(json.value, 'signed');
  const list = field(json.value, 'signatures');
  if (!isObject(signed) || !Array.isArray(list)) {
    return malformed('is not {signed: {...}, signatures: [...]}');
  }
  const type = field(signed, '_type');
  const expected = rules.oldForm ? `${kind.charAt(0).toUpperCase()}${kind.slice(1)}` : kind;
  if (type !== expected) {
    return malformed(`"_type" is ${JSON.stringify(type ?? null)}, expected "${expected}"`);
  }
  const version = field(signed, 'version');
  if (typeof version !== 'number' || version < rules.lowestVersion) {
    return malformed(`"version" is not a whole number from ${rules.lowestVersion}`);
  }
  const expiresMs = expiryMs(field(signed, 'expires'), rules);
  if (expiresMs === undefined) {
    return malformed('"expires" is not a time like 2030-01-31T12:00:00Z');
  }
  const signatures = new Map<string, string>();
  for (const entry of list) {
    const keyId = field(entry, 'keyid');
    const sig = field(entry, 'sig');
    if (typeof keyId !== 'string' || typeof sig !== 'string') {
      return malformed('a signature is not {keyid, sig}');
    }
    if (signatures.has(keyId)) return malformed(`two signatures of key ${quoted(keyId)}`);
    signatures.set(keyId, sig);
  }
  return accepted({ kind, dialect, bytes, signed, signatures, version, expiresMs });
}

function expiryMs(value: unknown, { expiry }: DialectRules): number | undefined {
  if (typeof value !== 'string') return undefined;
  const form =
    expiry === 'seconds in UTC'
      ? /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/
      : /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;
  const ms = form.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(ms)) return undefined;
  // Without this check Date would turn 2030-02-30 into the second of March.
  const exact =
    expiry !== 'seconds in UTC' || new Date(ms).toISOString() === `${value.slice(0, 19)}.000Z`;
  return exact ? ms : undefined;
}

/**
 * Results of signature checks, which take most of the time of a verification. Many images lead to the same file, so the
 * result for the same object is not computed twice.
 */
const CHECKED = new WeakMap<JsonObject, ReadonlySet<string>>();

/** ARBITRARY_SOFTWARE unless a threshold of different keys has signed; a key with several ids counts once. */
export function checkSignatures(
  file: Envelope,
  authority: Authority,
  where: string,
): Verdict<void> {
  const names = authority.keyIds.map((keyId) => [keyId, authority.keys.get(keyId)?.material]);
  const question = JSON.stringify([authority.threshold, names]);
  const answered = CHECKED.get(file.signed);
  if (answered?.has(question) === true) return accepted(undefined);
  const signers = signersOf(file, authority, authority.threshold);
  if (signers.size >= authority.threshold) {
    CHECKED.set(file.signed, new Set([...(answered ?? []), question]));
    return accepted(undefined);
  }
  return refused(
    'ARBITRARY_SOFTWARE',
    where,
    `has right signatures of ${signers.size} of its keys, ${authority.threshold} are needed`,
  );
}

/** The keys of a role that have validly signed a file, by their material; the search ends at `enough` of them. */
export function signersOf(
  file: Envelope,
  authority: Authority,
  enough = Number.POSITIVE_INFINITY,
): ReadonlySet<string> {
  const forms = canonicalForms(file.signed, RULES[file.dialect]);
  const signers = new Set<string>();
  for (const keyId of authority.keyIds) {
    if (signers.size >= enough) break;
    const key = authority.keys.get(keyId);
    const signature = file.signatures.get(keyId);
    if (key === undefined || signature === undefined || signers.has(key.material)) continue;
    if (forms.some((bytes) => key.verify(bytes, signature))) signers.add(key.material);
  }
  return signers;
}

/** Parses the signed part. The caller checks the signatures. */
export function toTrusted<K extends RoleKind>(
  kind: K,
  file: Envelope,
  where: string,
  dialect: Dialect,
): Verdict<Trusted<SignedByKind[K]>> {
  const rules = RULES[dialect];
  const owner = kind === 'root' ? file.signed : field(file.signed, 'delegations');
  const keys =
    owner === undefined
      ? accepted<KeyRing>(new Map())
      : readKeys(field(owner, 'keys'), rules, where);
  if (!keys.ok) return keys;
  try {
    const metadata = modelOf(kind, file, rules) as unknown as Metadata<SignedByKind[K]>;
    return accepted({ ...file, metadata, keys: keys.value });
  } catch (error) {
    return refused('MALFORMED', where, (error as Error).message);
  }
}

type ModelJson = Parameters<typeof Metadata.fromJSON>[1];

/**
 * The models copy a map for every entry that they add: 10,000 targets would take seconds. So the long lists are filled in
 * here, entry by entry, with the same classes. Fields for which the models have a default must be present.
 */
function modelOf(
  kind: RoleKind,
  file: Envelope,
  rules: DialectRules,
): Metadata<Root | Timestamp | Snapshot | Targets> {
  const signed: Record<string, unknown> = {
    ...file.signed,
    _type: kind,
    ...(rules.oldForm && !('spec_version' in file.signed) ? { spec_version: '1.0.0' } : {}),
  };
  const required = (name: string): JsonObject => {
    const value = field(file.signed, name);
    if (!isObject(value)) throw new TypeError(`"${name}" is not an object`);
    return value;
  };
  if (kind === 'root') {
    signed.keys = modelKeys(required('keys'), rules);
    signed.roles = rules.oldForm ? { ...NO_ROLES, ...required('roles') } : required('roles');
    if (rules.unreadableKey === 'ignored') signed.consistent_snapshot ??= false;
  }
  if (kind === 'timestamp') required('meta');
  if (kind === 'snapshot') {
    required('meta');
    signed.meta = {};
  }
  if (kind === 'targets') {
    required('targets');
    signed.targets = {};
    if (isObject(file.signed.delegations)) {
      const keys = field(file.signed.delegations, 'keys');
      if (isObject(keys)) {
        signed.delegations = { ...file.signed.delegations, keys: modelKeys(keys, rules) };
      }
    }
  }
  const signatures = [...file.signatures].map(([keyid, sig]) => ({ keyid, sig }));
  const json = { signed, signatures } as unknown as ModelJson;
  const metadata = Metadata.fromJSON(KINDS[kind] as MetadataKind.Targets, json) as Metadata<
    Root | Timestamp | Snapshot | Targets
  >;
  const filled = metadata.signed as unknown as {
    meta: Record<string, MetaFile>;
    targets: Record<string, TargetFile>;
  };
  if (kind === 'snapshot') {
    for (const [name, entry] of entriesOf(required('meta')))
      filled.meta[name] = MetaFile.fromJSON(entry);
  }
  if (kind === 'targets') {
    for (const [name, entry] of entriesOf(required('targets'))) {
      filled.targets[name] = TargetFile.fromJSON(name, rules.oldForm ? lowerHashes(entry) : entry);
    }
  }
  return metadata;
}

/** Hexadecimal digits may be upper or lower case. */
function lowerHashes(entry: ModelJson): ModelJson {
  const { hashes } = entry as unknown as JsonObject;
  if (!isObject(hashes)) return entry;
  const lower = Object.entries(hashes).map(([name, hash]) => [
    name,
    typeof hash === 'string' ? hash.toLowerCase() : hash,
  ]);
  return { ...entry, hashes: Object.fromEntries(lower) } as ModelJson;
}

function* entriesOf(object: JsonObject): Generator<[string, ModelJson]> {
  for (const [name, entry] of Object.entries(object)) {
    if (!isObject(entry)) throw new TypeError(`${quoted(name)} is not an object`);
    yield [name, entry as ModelJson];
  }
}

/** A Director of the old form names no keys for the roles that it does not have; no signature is valid for those. */
const NO_ROLES = Object.fromEntries(
  ['root', 'timestamp', 'snapshot', 'targets'].map((role) => [role, { keyids: [], threshold: 1 }]),
);

function modelKeys(keys: JsonObject, rules: DialectRules): Record<string, unknown> {
  const readable = Object.entries(keys).map(([keyId, json]) => [keyId, modelKey(json, rules)]);
  return Object.fromEntries(readable.filter(([, key]) => key !== undefined));
}

/** The keys of a role by Root; undefined for a role that Root does not name. */
export function rootAuthority(root: Trusted<Root>, role: string): Authority | undefined {
  const { roles } = root.metadata.signed;
  const entry = Object.hasOwn(roles, role) ? roles[role] : undefined;
  if (entry === undefined) return undefined;
  return { keyIds: entry.keyIDs, threshold: entry.threshold, keys: root.keys };
}

/** The keys of a top-level role: a trusted Root names all of them. */
export function topAuthority(root: Trusted<Root>, role: RoleKind): Authority {
  return present(rootAuthority(root, role), `role ${role} of Root`);
}

/** Uptane 5.4.4: "lower than the expiration": a file is expired from the second that it names. */
export function checkExpiry(file: Envelope, nowMs: number, where: string): Verdict<void> {
  if (nowMs < file.expiresMs) return accepted(undefined);
  const expired = new Date(file.expiresMs).toISOString();
  const reason = `version ${file.version} expired at ${expired}: no newer version is available`;
  return refused('FREEZE', where, reason);
}
