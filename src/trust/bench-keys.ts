// Keys of a bench, made from a public seed: they come with can-ota, so they are not secret. Never for a vehicle.

import { sha256 } from '@noble/hashes/sha2.js';
import { asciiBytes, fromHex, toHex } from '../core/bytes.ts';
import { defined } from '../core/optional.ts';
import { type EcuTrustState, encodeBundle } from './bundle.ts';
import type { EncryptedImage } from './director.ts';
import {
  buildRoot,
  buildSnapshot,
  buildTargets,
  buildTimestamp,
  type RolePayload,
  signRoleNow,
  type TargetSpec,
} from './role-signing.ts';
import {
  type LocalSigner,
  signerFromSeed,
  type X25519KeyPair,
  x25519PublicKey,
} from './signing-key.ts';
import { signTime } from './time-attestation.ts';

const DIRECTOR_ROLES = ['root', 'timestamp', 'snapshot', 'targets', 'time'] as const;
const IMAGES_ROLES = ['root', 'timestamp', 'snapshot', 'targets'] as const;

type Signers<Role extends string> = Readonly<Record<Role, LocalSigner>>;

export interface BenchRepositories {
  readonly director: Signers<(typeof DIRECTOR_ROLES)[number]>;
  readonly images: Signers<(typeof IMAGES_ROLES)[number]>;
  /** Root version 1, the same bytes in every process. */
  readonly directorRoot: Uint8Array;
  readonly imagesRoot: Uint8Array;
}

export interface BenchEcuIdentity {
  readonly serial: string;
  /** Seed of an Ed25519 key. */
  readonly signingSeed: Uint8Array;
  readonly encryption: X25519KeyPair;
  readonly deviceSecret: Uint8Array;
  readonly securityAccessKey: Uint8Array;
}

interface BenchImage {
  /** Target name. */
  readonly name: string;
  /** Length of the plain image in bytes. */
  readonly length: number;
  readonly sha256: string;
  readonly version: string;
  /** Release counter. */
  readonly counter: number;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly encryption?: EncryptedImage;
}

export interface BenchBundleOptions {
  readonly vin: string;
  /** Several ECUs may get the same image; without any the Director has nothing for this vehicle. */
  readonly ecus: readonly {
    readonly serial: string;
    readonly hardwareId: string;
    /** Name in the vehicle file; the serial of a bench contains it. */
    readonly ecu?: string;
    readonly image: BenchImage;
  }[];
  /** Nonce from DID FD21, hexadecimal. */
  readonly nonce: string;
  readonly timeMs: number;
  /** State from DID FD20: the signed metadata are newer than everything in it. */
  readonly state: EcuTrustState;
}

const SEED = 'can-ota bench keys, public, never for a vehicle';
const SERIAL_PREFIX = 'BENCH-';
const DAY_MS = 86_400_000;
/** The Roots of the bench practically never expire: their keys are public, so an attacker could sign the next one anyway. */
const ROOT_EXPIRES_MS = Date.UTC(2100, 0);

let world: BenchRepositories | undefined;

/** Computed at the first call, in a few ms. */
export function benchWorld(): BenchRepositories {
  world ??= makeWorld();
  return world;
}

function makeWorld(): BenchRepositories {
  const director = signers('director', DIRECTOR_ROLES);
  const images = signers('images', IMAGES_ROLES);
  return { director, images, directorRoot: rootOf(director), imagesRoot: rootOf(images) };
}

function signers<Role extends string>(repository: string, roles: readonly Role[]): Signers<Role> {
  return Object.fromEntries(
    roles.map((role) => [role, signerFromSeed(bytesFor(`${repository} ${role}`))]),
  ) as Signers<Role>;
}

function rootOf(held: Signers<'root'>): Uint8Array {
  const roles = Object.fromEntries(
    Object.entries(held).map(([role, { publicKey }]) => [
      role,
      { keys: [publicKey], threshold: 1 },
    ]),
  );
  return signRoleNow(buildRoot({ version: 1, expiresMs: ROOT_EXPIRES_MS, roles }), [held.root]);
}

/** Identity of an ECU or of the TMU by its name (`EDT`) or serial number (`BENCH-EDT`). */
export function benchEcuIdentity(nameOrSerial: string): BenchEcuIdentity {
  const name = nameOf(nameOrSerial);
  const privateKey = bytesFor(`${name} encryption`);
  return {
    serial: `${SERIAL_PREFIX}${name}`,
    signingSeed: bytesFor(`${name} signing`),
    encryption: { privateKey, publicKey: x25519PublicKey(privateKey) },
    deviceSecret: bytesFor(`${name} device secret`),
    securityAccessKey: bytesFor(`${name} security access`),
  };
}

/** The key of 32 bytes that authenticates the driver's answer. */
export function benchApprovalKey(): Uint8Array {
  return bytesFor('approval');
}

/**
 * Metadata for one ECU as `metadata.json` of RequestFileTransfer, signed at once: enough for partial or full verification,
 * depending on its state. Versions are seconds, and always higher than those of the ECU.
 */
export function benchBundle(options: BenchBundleOptions): Uint8Array {
  const { director, images } = benchWorld();
  const { vin, nonce, timeMs, state } = options;
  const full = state.verification === 'full';
  return encodeBundle({
    time: signTime({ timeMs, nonces: [nonce] }, director.time),
    director: files(director, directorTargets(options), { vin }, timeMs, state.director, full),
    images: full
      ? files(images, imageTargets(options), undefined, timeMs, state.images, full)
      : new Map(),
  });
}

/** Targets of the Director: the fields of the image repository, and the ECUs that get the image. */
function directorTargets({ ecus }: BenchBundleOptions): Record<string, TargetSpec> {
  const targets: Record<string, TargetSpec> = {};
  for (const ecu of ecus) {
    const target = imageTarget(ecus, ecu);
    const mine = ecus.filter(({ image }) => image.name === ecu.image.name);
    const ecuIdentifiers = Object.fromEntries(
      mine.map(({ serial, hardwareId, image: { encryption } }) => [
        serial,
        { hardwareId, ...defined({ encryption }) },
      ]),
    );
    targets[ecu.image.name] = { ...target, custom: { ...target.custom, ecuIdentifiers } };
  }
  return targets;
}

function imageTargets({ ecus }: BenchBundleOptions): Record<string, TargetSpec> {
  return Object.fromEntries(ecus.map((ecu) => [ecu.image.name, imageTarget(ecus, ecu)]));
}

type EcuImage = BenchBundleOptions['ecus'][number];

function imageTarget(ecus: readonly EcuImage[], ecu: EcuImage): TargetSpec {
  const { name, length, sha256: digest, version, counter, dependencies, encryption } = ecu.image;
  const mine = ecus.filter(({ image }) => image.name === name);
  return {
    length,
    hashes: { sha256: digest },
    custom: {
      ecu: ecu.ecu ?? nameOf(ecu.serial),
      version,
      hardwareIds: [...new Set(mine.map(({ hardwareId }) => hardwareId))],
      releaseCounter: counter,
      dependencies: dependencies ?? {},
      encrypt: encryption !== undefined,
      notes: '',
    },
  };
}

function files(
  held: Signers<'timestamp' | 'snapshot' | 'targets'>,
  targets: Readonly<Record<string, TargetSpec>>,
  custom: Readonly<Record<string, unknown>> | undefined,
  timeMs: number,
  known: EcuTrustState['director'] | undefined,
  full: boolean,
): Map<string, Uint8Array> {
  const next = (role: 'timestamp' | 'snapshot' | 'targets') => ({
    version: Math.max(1, Math.floor(timeMs / 1000), (known?.[role] ?? 0) + 1),
    expiresMs: timeMs + DAY_MS,
  });
  const signed = (role: 'timestamp' | 'snapshot' | 'targets', payload: RolePayload) =>
    signRoleNow(payload, [held[role]]);
  const of = ({ version }: { version: number }, bytes: Uint8Array) => ({
    version,
    length: bytes.length,
    hashes: { sha256: toHex(sha256(bytes)) },
  });

  const spec = { ...next('targets'), targets, ...defined({ custom }) };
  const targetsFile = signed('targets', buildTargets(spec));
  if (!full) return new Map([['targets.json', targetsFile]]);
  const snapshotSpec = { ...next('snapshot'), meta: { 'targets.json': of(spec, targetsFile) } };
  const snapshotFile = signed('snapshot', buildSnapshot(snapshotSpec));
  const timestampSpec = { ...next('timestamp'), snapshot: of(snapshotSpec, snapshotFile) };
  return new Map([
    ['timestamp.json', signed('timestamp', buildTimestamp(timestampSpec))],
    ['snapshot.json', snapshotFile],
    ['targets.json', targetsFile],
  ]);
}

/** SHA-256 of the secrets in ecus/bench-vehicle.yaml, hexadecimal. */
export const SHIPPED_SECRETS: ReadonlySet<string> = new Set([
  '3830f71376da8fe57dd05bad4a81adcd06bdcfc71c7b5710e20ab07c80775cbf',
  '5d06f730c604f01af8339495c140bf2dabc1d80d5715b6fa1157f56f1636277f',
  'aa54d34d9fdb4ced52f5edd02707fdc8fc8e3502a7e4be41619dd900fd865c36',
  '649945a59d7ffbd78b7fcf5ec95b8c96bdc2aac0a312882c5b0a4b560038f77d',
  '40c279949b0e28b764a4b58e8ec879608a4f0dc0fe58ab15f4c5ce324fe25660',
]);

/** The ECUs of the bench vehicle: their keys are public. */
const BENCH_NAMES = ['TMU', 'CGW', 'EDT', 'INV', 'BMS'];

/**
 * Whether a secret (hexadecimal) comes with can-ota, from the bench vehicle's file or from here, and so protects
 * nothing.
 */
export function isShippedSecret(hex: string): boolean {
  const secret = fromHex(hex);
  const plain = toHex(secret);
  return (
    SHIPPED_SECRETS.has(toHex(sha256(secret))) ||
    plain === toHex(benchApprovalKey()) ||
    plain === toHex(benchEcuIdentity('TMU').encryption.publicKey) ||
    BENCH_NAMES.some((name) =>
      ['security access', 'device secret', 'signing', 'encryption'].some(
        (use) => plain === toHex(bytesFor(`${name} ${use}`)),
      ),
    )
  );
}

function nameOf(nameOrSerial: string): string {
  return nameOrSerial.startsWith(SERIAL_PREFIX)
    ? nameOrSerial.slice(SERIAL_PREFIX.length)
    : nameOrSerial;
}

function bytesFor(use: string): Uint8Array {
  return sha256(asciiBytes(`${SEED}: ${use}`));
}
