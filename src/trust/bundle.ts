// The metadata that the Primary brings to one ECU over the bus (Uptane 5.4.3.5): form and content.

import { z } from 'zod';
import { present } from '../core/present.ts';
import { accepted, refused, type Verdict } from './attack.ts';
import { searchSteps } from './delegations.ts';
import type { VehicleTrust } from './full-verification.ts';
import { filesOf, type RepositoryTrust, type RoleVersions, versionsOf } from './repository.ts';
import { fileOf, Retrieval, versionedFileOf } from './retrieval.ts';
import { type JsonValue, parseJson } from './strict-json.ts';
import { readAssignment } from './target-custom.ts';

/** Roots under their versioned names (`2.root.json`), all other files under unversioned names. */
export interface MetadataBundle {
  /** A signed time attestation, or null. */
  readonly time: unknown;
  readonly director: ReadonlyMap<string, Uint8Array>;
  readonly images: ReadonlyMap<string, Uint8Array>;
}

/** The state that an ECU reports before it gets metadata (DID FD20, the nonce from FD21). */
export interface EcuTrustState {
  readonly verification: 'partial' | 'full';
  readonly director: RoleVersions;
  readonly images?: RoleVersions;
  /** Counter of its version reports. */
  readonly counter: number;
  /** The latest attested time, ISO 8601. */
  readonly time: string | null;
  readonly nonce?: string;
}

/** All Roots by version: an ECU that was off for long needs each of them. */
export type RootHistory = ReadonlyMap<number, Uint8Array>;

const FORMAT = 'can-ota-metadata-1';

const MAX_BUNDLE_BYTES = 262_144;

const files = z.record(z.string().regex(/^[^/\\]{1,250}\.json$/), z.string());
const bundleSchema = z.strictObject({
  format: z.literal(FORMAT),
  time: z.unknown(),
  director: files,
  images: files,
});

/** JSON with every file as a text, so that its bytes stay as they were signed. */
export function encodeBundle({ time, director, images }: MetadataBundle): Uint8Array {
  const json = {
    format: FORMAT,
    time: time ?? null,
    director: texts(director),
    images: texts(images),
  };
  return new TextEncoder().encode(JSON.stringify(json));
}

function texts(map: ReadonlyMap<string, Uint8Array>): Record<string, string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  return Object.fromEntries([...map].map(([name, bytes]) => [name, decoder.decode(bytes)]));
}

export function decodeBundle(
  bytes: Uint8Array,
  maxBytes: number = MAX_BUNDLE_BYTES,
): Verdict<MetadataBundle> {
  if (bytes.length > maxBytes) {
    const reason = `has ${bytes.length} bytes, ${maxBytes} are taken`;
    return refused('ENDLESS_DATA', 'metadata bundle', reason);
  }
  const json = parseJson(bytes, 'metadata bundle');
  if (!json.ok) return json;
  const bundle = bundleSchema.safeParse(json.value);
  if (!bundle.success) {
    return refused('MALFORMED', 'metadata bundle', z.prettifyError(bundle.error));
  }
  const { time, director, images } = bundle.data;
  return accepted({
    time: (time ?? null) as JsonValue,
    director: bytesOf(director),
    images: bytesOf(images),
  });
}

function bytesOf(map: Readonly<Record<string, string>>): ReadonlyMap<string, Uint8Array> {
  const encoder = new TextEncoder();
  return new Map(Object.entries(map).map(([name, text]) => [name, encoder.encode(text)]));
}

/**
 * The smallest set of files for an ECU in this state: the Roots that it has not seen, the Director's Targets, and for full
 * verification the newer files of all other roles, with the delegated roles that lead to its image. Without `serial` it
 * has all delegated roles.
 */
export function bundleFor(
  trust: VehicleTrust,
  roots: { readonly director: RootHistory; readonly images: RootHistory },
  state: EcuTrustState,
  time: unknown,
  serial?: string,
): MetadataBundle {
  const director = newRoots(trust.director, roots.director, state.director);
  const targets = trust.director.targets.get('targets');
  if (targets !== undefined) director.set('targets.json', targets.bytes);
  if (state.verification === 'partial') return { time, director, images: new Map() };
  const images = newRoots(trust.images, roots.images, state.images);
  addNewer(director, trust.director, state.director);
  addNewer(images, trust.images, state.images);
  const all = filesOf(trust.images);
  for (const role of delegatedRoles(trust, serial)) {
    const file = fileOf(role);
    images.set(file, present(all.get(file), file));
  }
  return { time, director, images };
}

/** Roots after the ECU's version. An ECU that reports none has the anchor of its provisioning, which may be any version. */
function newRoots(
  trust: RepositoryTrust,
  history: RootHistory,
  state: RoleVersions | undefined,
): Map<string, Uint8Array> {
  const known = new Map([...history, [trust.root.version, trust.root.bytes]]);
  const newer = [...known]
    .filter(([version]) => version > (state?.root ?? 1) && version <= trust.root.version)
    .sort(([a], [b]) => a - b);
  return new Map(newer.map(([version, bytes]) => [versionedFileOf('root', version), bytes]));
}

function addNewer(
  into: Map<string, Uint8Array>,
  trust: RepositoryTrust,
  state: RoleVersions | undefined,
): void {
  const versions = versionsOf(trust);
  const all = filesOf(trust);
  // A new Root may have removed the keys of the ECU's files: then the ECU needs each file again, even of the same version.
  const sameRoot = state?.root === versions.root;
  for (const role of ['timestamp', 'snapshot', 'targets'] as const) {
    const bytes = all.get(fileOf(role));
    if (bytes === undefined || (sameRoot && state?.[role] === versions[role])) continue;
    into.set(fileOf(role), bytes);
  }
}

function delegatedRoles({ director, images }: VehicleTrust, serial: string | undefined): string[] {
  const all = [...images.targets.keys()].filter((role) => role !== 'targets');
  const targets = director.targets.get('targets');
  if (serial === undefined || targets === undefined || images.snapshot === undefined) return all;
  const needed = new Set<string>();
  for (const target of Object.values(targets.metadata.signed.targets)) {
    const assignment = readAssignment(target, director.dialect);
    const hardwareId = assignment.ok ? assignment.value.ecus[serial]?.hardwareId : undefined;
    if (hardwareId === undefined) continue;
    for (const role of rolesAsked(images, target.path, hardwareId)) needed.add(role);
  }
  return all.filter((role) => needed.has(role));
}

/** The delegated roles that a search visits: the files that it asks for when it has none of them. */
function rolesAsked(
  images: RepositoryTrust,
  name: string,
  hardwareId: string,
): ReadonlySet<string> {
  const top = images.targets.get('targets');
  const asked = new Set<string>();
  if (top === undefined) return asked;
  const bare: RepositoryTrust = { ...images, targets: new Map([['targets', top]]) };
  const search = new Retrieval(searchSteps({ trust: bare }, name, hardwareId, 0));
  for (let request = search.next(); request !== undefined; request = search.next()) {
    asked.add(request.role);
    const bytes = images.targets.get(request.role)?.bytes;
    search.accept(bytes === undefined ? { kind: 'missing' } : { kind: 'bytes', bytes });
  }
  return asked;
}
