// Builds the signed part of each role (TUF 1.0.31, Uptane 5.2) and signs it. The checks for readers are elsewhere.

import { canonicalize } from '@tufjs/canonical-json';
import { defined } from '../core/optional.ts';
import { keyIdOf, type PublicKeyJson, type Signer, verifyWith } from './signing-key.ts';

const SPEC_VERSION = '1.0.31';

type RoleType = 'root' | 'timestamp' | 'snapshot' | 'targets';

/** The signed part. It has further fields for each role; `unknown` allows damaged ones in tests. */
export interface RolePayload {
  readonly _type: RoleType;
  readonly spec_version: string;
  readonly version: number;
  readonly expires: string;
  readonly [field: string]: unknown;
}

export interface RoleSignature {
  readonly keyid: string;
  readonly sig: string;
}

export interface SignedRole<P = RolePayload> {
  readonly signatures: readonly RoleSignature[];
  readonly signed: P;
}

/** The keys of a role, and how many of them must sign. */
export interface RoleKeys {
  readonly keys: readonly PublicKeyJson[];
  readonly threshold: number;
}

interface Common {
  readonly version: number;
  /** Milliseconds since 1970; written in whole seconds, rounded down. */
  readonly expiresMs: number;
}

export interface RootSpec extends Common {
  /** `root`, `timestamp`, `snapshot`, `targets`, and for a Director `time`, which signs time attestations. */
  readonly roles: Readonly<Record<string, RoleKeys>>;
  readonly consistentSnapshot?: boolean;
}

/** One image in Targets. `hashes` has at least `sha256`, in lower-case hex. */
export interface TargetSpec {
  readonly length: number;
  readonly hashes: Readonly<Record<string, string>>;
  readonly custom?: Readonly<Record<string, unknown>>;
}

export interface TargetsSpec extends Common {
  readonly targets: Readonly<Record<string, TargetSpec>>;
  /** `custom` of the whole file: a Director names the vehicle here (5.2.3.1), `{vin}`. */
  readonly custom?: Readonly<Record<string, unknown>>;
  /** Delegations in the order of their priority (5.2.3.2). */
  readonly delegations?: readonly (DelegationSpec | MultiRoleSpec)[];
}

/** One delegated role, and the targets that are delegated to it (5.2.3.2). */
export interface DelegationSpec extends RoleKeys {
  readonly name: string;
  /** Patterns of target names; either these or `pathHashPrefixes`. */
  readonly paths?: readonly string[];
  readonly pathHashPrefixes?: readonly string[];
  /** Without it the delegation covers every hardware id. */
  readonly hardwareIds?: readonly string[];
  readonly terminating?: boolean;
}

/** Several delegated roles of which some number must say the same about an image (5.2.3.2, 5.4.4.9). */
export interface MultiRoleSpec extends Omit<DelegationSpec, keyof RoleKeys> {
  readonly minRolesInAgreement: number;
  readonly roles: readonly (RoleKeys & { readonly name: string })[];
}

/** How one metadata file refers to another. */
export interface MetaSpec {
  readonly version: number;
  readonly length?: number;
  readonly hashes?: Readonly<Record<string, string>>;
}

export interface SnapshotSpec extends Common {
  /** Listed files by unversioned name: `targets.json`, `supplier.json`. */
  readonly meta: Readonly<Record<string, MetaSpec>>;
}

export interface TimestampSpec extends Common {
  readonly snapshot: MetaSpec;
}

export function buildRoot(spec: RootSpec): RolePayload {
  const keys: Record<string, PublicKeyJson> = {};
  const roles: Record<string, { keyids: string[]; threshold: number }> = {};
  for (const [name, role] of Object.entries(spec.roles)) {
    const keyids = role.keys.map(keyIdOf);
    for (const key of role.keys) keys[keyIdOf(key)] = key;
    roles[name] = { keyids, threshold: role.threshold };
  }
  return {
    ...header('root', spec),
    consistent_snapshot: spec.consistentSnapshot ?? true,
    keys,
    roles,
  };
}

export function buildTargets(spec: TargetsSpec): RolePayload {
  return {
    ...header('targets', spec),
    targets: spec.targets,
    ...defined({
      custom: spec.custom,
      delegations: spec.delegations === undefined ? undefined : delegationsOf(spec.delegations),
    }),
  };
}

/** The field `delegations` of Targets. */
export function delegationsOf(specs: readonly (DelegationSpec | MultiRoleSpec)[]) {
  const keys: Record<string, PublicKeyJson> = {};
  const signersOf = ({ keys: held, threshold }: RoleKeys) => {
    const keyids = held.map(keyIdOf);
    for (const key of held) keys[keyIdOf(key)] = key;
    return { keyids, threshold };
  };
  const roles = specs.map((spec) => ({
    name: spec.name,
    terminating: spec.terminating ?? false,
    ...defined({
      paths: spec.paths,
      path_hash_prefixes: spec.pathHashPrefixes,
      hardwareIds: spec.hardwareIds,
    }),
    ...('roles' in spec
      ? {
          // No key signs for the group: each of its roles has a file and keys.
          keyids: [],
          threshold: 1,
          min_roles_in_agreement: spec.minRolesInAgreement,
          roles: spec.roles.map((role) => ({ name: role.name, ...signersOf(role) })),
        }
      : signersOf(spec)),
  }));
  return { keys, roles };
}

export function buildSnapshot(spec: SnapshotSpec): RolePayload {
  return { ...header('snapshot', spec), meta: spec.meta };
}

export function buildTimestamp(spec: TimestampSpec): RolePayload {
  return { ...header('timestamp', spec), meta: { 'snapshot.json': spec.snapshot } };
}

function header(type: RoleType, spec: Common) {
  return {
    _type: type,
    spec_version: SPEC_VERSION,
    version: spec.version,
    expires: expiryText(spec.expiresMs),
  };
}

/** ISO 8601 in UTC without fractions, as in TUF 4.2.1. */
export function expiryText(ms: number): string {
  return `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}

/** The bytes that are signed: OLPC canonical JSON. */
export function payloadBytes(payload: unknown): Uint8Array {
  return new TextEncoder().encode(canonicalize(payload));
}

/** A metadata file in the form of a repository. */
export function fileBytes(role: SignedRole<unknown>): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(role));
}

/** Signs with every signer. The file may be published if they are enough for the role. */
export async function signRole(
  payload: RolePayload,
  signers: readonly Signer[],
): Promise<Uint8Array> {
  const bytes = payloadBytes(payload);
  const signatures: RoleSignature[] = [];
  for (const signer of signers) {
    signatures.push({ keyid: signer.keyId, sig: await signer.sign(bytes) });
  }
  return fileBytes({ signatures, signed: payload });
}

/** As `signRole`, for keys in memory. Throws TypeError for a signer that answers later. */
export function signRoleNow(payload: RolePayload, signers: readonly Signer[]): Uint8Array {
  const bytes = payloadBytes(payload);
  const signatures = signers.map((signer) => {
    const sig = signer.sign(bytes);
    if (typeof sig !== 'string') throw new TypeError(`key ${signer.keyId} does not sign at once`);
    return { keyid: signer.keyId, sig };
  });
  return fileBytes({ signatures, signed: payload });
}

/** Adds a signature to the file; an older one of the same key is replaced. */
export async function addSignature(file: Uint8Array, signer: Signer): Promise<Uint8Array> {
  const { signed, signatures } = parseSignedRole(file);
  const sig = await signer.sign(payloadBytes(signed));
  const others = signatures.filter(({ keyid }) => keyid !== signer.keyId);
  return fileBytes({ signatures: [...others, { keyid: signer.keyId, sig }], signed });
}

/**
 * Reads a file of ours, or a draft that people pass on. Throws SyntaxError or TypeError. Files from outside need the
 * verifier, not this function.
 */
export function parseSignedRole(file: Uint8Array): SignedRole {
  const role = JSON.parse(
    new TextDecoder('utf-8', { fatal: true }).decode(file),
  ) as Partial<SignedRole> | null;
  const signed = role?.signed;
  if (typeof signed?._type !== 'string' || !Number.isSafeInteger(signed.version)) {
    throw new TypeError('no signed metadata: "signed" with "_type" and "version" is missing');
  }
  const signatures = role?.signatures;
  const wellFormed = (entry: Partial<RoleSignature> | null): boolean =>
    typeof entry?.keyid === 'string' && typeof entry.sig === 'string';
  if (!Array.isArray(signatures) || !signatures.every(wellFormed)) {
    throw new TypeError('"signatures" is not a list of {keyid, sig}');
  }
  return { signatures, signed };
}

/** The keys of a role in a Root payload; undefined if the role is missing. */
export function roleKeysOf(root: RolePayload, role: string): RoleKeys | undefined {
  const roles = root.roles as Record<string, { keyids: string[]; threshold: number } | undefined>;
  const keys = root.keys as Record<string, PublicKeyJson | undefined>;
  const entry = Object.hasOwn(roles, role) ? roles[role] : undefined;
  if (entry === undefined) return undefined;
  return {
    keys: entry.keyids.flatMap((keyid) => keys[keyid] ?? []),
    threshold: entry.threshold,
  };
}

export interface SignatureCount {
  /** Key ids of the role that have signed, in the role's order. */
  readonly signed: readonly string[];
  readonly unsigned: readonly string[];
  /** How many of `unsigned` must still sign; zero when the role has signed. */
  readonly missing: number;
}

/** Counts the valid signatures of `role`. A key with several ids counts once. */
export function countSignatures(file: SignedRole, role: RoleKeys): SignatureCount {
  const bytes = payloadBytes(file.signed);
  const signed: string[] = [];
  const unsigned: string[] = [];
  for (const [keyid, key] of new Map(role.keys.map((key) => [keyIdOf(key), key]))) {
    const right = file.signatures.some(
      (signature) => signature.keyid === keyid && verifyWith(key, bytes, signature.sig),
    );
    (right ? signed : unsigned).push(keyid);
  }
  return { signed, unsigned, missing: Math.max(0, role.threshold - signed.length) };
}
