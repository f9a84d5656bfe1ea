// A key ceremony in memory and its folder, releases signed offline, and vehicles that check in like real ones.

import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { addToken } from '../../server/features/registry/tool-commands.ts';
import type { TrustFolder } from '../../server/features/releases/trust-folder.ts';
import type { ServerOptions } from '../../server/server.ts';
import { toHex } from '../../src/core/bytes.ts';
import type { Clock } from '../../src/core/clock.ts';
import { type Random, systemRandom } from '../../src/core/random.ts';
import { clientProof, deviceKeyOf, serverProof } from '../../src/trust/device-session.ts';
import { type EcuFacts, FullVerification } from '../../src/trust/full-verification.ts';
import {
  type KnownVersions,
  type SignedJson,
  signManifest,
  signVersionReport,
  type VersionReport,
} from '../../src/trust/manifest.ts';
import type { MetadataAnswer } from '../../src/trust/repository.ts';
import { trustRoot } from '../../src/trust/repository.ts';
import {
  buildRoot,
  buildTargets,
  type DelegationSpec,
  type RoleKeys,
  signRole,
  type TargetSpec,
} from '../../src/trust/role-signing.ts';
import {
  generateSigner,
  generateX25519,
  type LocalSigner,
  signerFromSeed,
  toPem,
} from '../../src/trust/signing-key.ts';
import {
  type Backend,
  json,
  type Reply,
  type RequestOptions,
  startBackend,
  temporaryFolder,
} from './support.ts';

export const DAY_MS = 86_400_000;
export const VIN = 'WVWZZZ1JZXW000001';
const YEAR_MS = 365 * DAY_MS;

type Key = ReturnType<typeof generateSigner>;

const keysOf = (keys: readonly Key[], threshold = 1): RoleKeys => ({
  keys: keys.map(({ signer }) => signer.publicKey),
  threshold,
});

/** Root and Targets keys stay in here; the folder holds what a server gets. */
export class Ceremony {
  readonly dir: string;
  readonly keys: Record<string, Key> = {};
  readonly targets: Record<string, TargetSpec> = {};
  delegations: DelegationSpec[] = [];
  rootVersions = { director: 0, images: 0 };
  targetsVersion = 0;

  readonly random: Random;
  readonly #nowMs: () => number;

  constructor(dir: string, random = systemRandom, nowMs: () => number = Date.now) {
    this.dir = dir;
    this.random = random;
    this.#nowMs = nowMs;
    for (const name of [
      'director-root',
      'director-targets',
      'director-snapshot',
      'director-timestamp',
      'director-time',
      'images-root',
      'images-targets',
      'images-snapshot',
      'images-timestamp',
    ]) {
      this.keys[name] = generateSigner('ed25519', random);
    }
  }

  static async create(): Promise<Ceremony> {
    const ceremony = new Ceremony(await temporaryFolder());
    await ceremony.writeKeys();
    for (const repository of ['director', 'images'] as const) {
      await ceremony.writeRoot(repository);
    }
    return ceremony;
  }

  signer(name: string): LocalSigner {
    return this.keys[name]!.signer;
  }

  /** What the folder would hold: for servers that read no files. Root version 1 of both is made by it. */
  async folder(): Promise<TrustFolder> {
    const root = async (repository: 'director' | 'images') => {
      const bytes = await this.root(repository);
      return [{ role: 'root', version: this.rootVersions[repository], bytes }];
    };
    return {
      location: 'memory',
      keys: Object.entries(this.keys)
        .filter(([name]) => isOnline(name))
        .map(([name, { signer }]) => ({ file: `${name}.pem`, signer })),
      metadata: { director: await root('director'), images: await root('images') },
    };
  }

  async writeKeys(passphrase?: string): Promise<void> {
    await mkdir(path.join(this.dir, 'online'), { recursive: true });
    for (const [name, { privateKey }] of Object.entries(this.keys)) {
      if (isOnline(name)) await this.writeKey(name, toPem(privateKey, passphrase));
    }
  }

  async writeKey(name: string, pem: string, mode = 0o600): Promise<void> {
    const file = path.join(this.dir, 'online', `${name}.pem`);
    await writeFile(file, pem);
    await chmod(file, mode);
  }

  /** Signed with `rootKeys`, by default the one root key there is. */
  async root(
    repository: 'director' | 'images',
    signers: readonly LocalSigner[] = [this.signer(`${repository}-root`)],
  ): Promise<Uint8Array> {
    const version = ++this.rootVersions[repository];
    const names = ['root', 'targets', 'snapshot', 'timestamp'];
    if (repository === 'director') names.push('time');
    const roles = Object.fromEntries(
      names.map((role) => [role, keysOf([this.keys[`${repository}-${role}`]!])]),
    );
    return signRole(buildRoot({ version, expiresMs: this.#nowMs() + YEAR_MS, roles }), signers);
  }

  async writeRoot(repository: 'director' | 'images', bytes?: Uint8Array): Promise<Uint8Array> {
    const root = bytes ?? (await this.root(repository));
    await mkdir(path.join(this.dir, repository), { recursive: true });
    const version = this.rootVersions[repository];
    await writeFile(path.join(this.dir, repository, `${version}.root.json`), root);
    return root;
  }

  /** Lists an image; returns its target name, as the server will name the upload. */
  release(image: Uint8Array, options: Partial<ReleaseOptions> = {}): string {
    const { ecu = 'EDT', version = '2.0.0', counter = 2, notes = '' } = options;
    const sha256 = createHash('sha256').update(image).digest('hex');
    const name = `${ecu}-${version}-${sha256.slice(0, 12)}.bin`;
    this.targets[name] = {
      length: image.length,
      hashes: { sha256 },
      custom: {
        ecu,
        version,
        hardwareIds: options.hardwareIds ?? [`${ecu}-HW-1`],
        releaseCounter: counter,
        dependencies: options.dependencies ?? {},
        encrypt: options.encrypt ?? false,
        forced: options.forced ?? false,
        notes,
      },
    };
    return name;
  }

  async signTargets(
    signers: readonly LocalSigner[] = [this.signer('images-targets')],
    expiresMs = this.#nowMs() + YEAR_MS,
  ): Promise<Uint8Array> {
    const version = ++this.targetsVersion;
    const { targets, delegations } = this;
    return signRole(
      buildTargets({
        version,
        expiresMs,
        targets,
        ...(delegations.length === 0 ? {} : { delegations }),
      }),
      signers,
    );
  }
}

function isOnline(name: string): boolean {
  return !name.endsWith('-root') && name !== 'images-targets';
}

export interface ReleaseOptions {
  ecu: string;
  version: string;
  counter: number;
  hardwareIds: string[];
  dependencies: Record<string, string>;
  encrypt: boolean;
  forced: boolean;
  notes: string;
}

export interface SignedBackend extends Backend {
  readonly ceremony: Ceremony;
  readonly factory: string;
  readonly releaser: string;
  /** Uploads an image and the Targets that list it. */
  publish(image: Uint8Array, options?: Partial<ReleaseOptions>): Promise<string>;
  upload(image: Uint8Array, options?: Partial<ReleaseOptions>): Promise<Reply>;
  putMetadata(role: string, bytes: Uint8Array, path?: string): Promise<Reply>;
}

export async function startSigned(
  options: Partial<ServerOptions> & { ceremony?: Ceremony } = {},
): Promise<SignedBackend> {
  const { ceremony = await Ceremony.create(), ...rest } = options;
  const dataDir = rest.dataDir ?? (await temporaryFolder());
  const tokenFor = (role: string): Promise<string> =>
    // Tests of what expires skip years.
    addToken(dataDir, `${role}-${toHex(randomBytes(4))}`, role, { lifeDays: 36_500 });
  const factory = await tokenFor('factory');
  const releaser = await tokenFor('release');
  const backend = await startBackend({
    uptane: { role: 'all', trustDir: ceremony.dir },
    ...rest,
    dataDir,
  });
  const signed: SignedBackend = {
    ...backend,
    ceremony,
    factory,
    releaser,
    upload: (image, { ecu = 'EDT', version = '2.0.0' } = {}) => {
      const form = new FormData();
      form.set('ecu', ecu);
      form.set('version', version);
      form.set('file', new Blob([Uint8Array.from(image)]), 'image.bin');
      return backend.request('/upload', { method: 'POST', body: form, headers: bearer(releaser) });
    },
    putMetadata: (role, bytes, target = `/metadata/${role}`) =>
      backend.request(target, {
        method: 'POST',
        body: bytes,
        headers: { ...bearer(releaser), 'Content-Type': 'application/json' },
      }),
    publish: async (image, release = {}) => {
      expect((await signed.upload(image, release)).status).toBe(201);
      const name = ceremony.release(image, release);
      const reply = await signed.putMetadata('targets', await ceremony.signTargets());
      expect([reply.status, reply.text]).toEqual([201, expect.any(String)]);
      return name;
    },
  };
  return signed;
}

export function bearer(token: string): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}

export interface TestEcu {
  readonly name: string;
  readonly serial: string;
  readonly hwId: string;
  readonly signer: LocalSigner;
  readonly encryption: { readonly privateKey: Uint8Array; readonly publicKey: Uint8Array };
  readonly secret: Uint8Array;
  counter: number;
  installed: { name: string; version: string; length: number; sha256: string };
  attack: VersionReport['attack'];
  time: string | null;
}

/** What a vehicle needs of a backend. */
export interface VehicleBackend {
  readonly factory: string;
  readonly clock: Pick<Clock, 'wallMs'>;
  request(path: string, options?: RequestOptions): Promise<Reply>;
}

/** A provisioned vehicle: TMU as Primary, EDT and INV. */
export class TestVehicle<B extends VehicleBackend = SignedBackend> {
  readonly backend: B;
  readonly vin: string;
  readonly ecus: TestEcu[] = [];
  token = '';
  /** What its manifests say of the metadata that it trusts. */
  knows: KnownVersions | undefined;

  constructor(backend: B, vin: string) {
    this.backend = backend;
    this.vin = vin;
  }

  static async provisioned<B extends VehicleBackend = SignedBackend>(
    backend: B,
    vin = VIN,
    names = ['TMU', 'EDT', 'INV'],
    random: Random = systemRandom,
  ): Promise<TestVehicle<B>> {
    const vehicle = new TestVehicle(backend, vin);
    for (const name of names) {
      const secret = random.bytes(32);
      const signer = signerFromSeed(random.bytes(32));
      const encryption = generateX25519(random);
      const hwId = toHex(random.bytes(16));
      const reply = await provision(backend, {
        hw_id: hwId,
        vin,
        name,
        hardware_id: `${name}-HW-1`,
        primary: name === 'TMU',
        signing_key: signer.publicKey.keyval.public,
        encryption_key: toHex(encryption.publicKey),
        device_secret_hash: toHex(deviceKeyOf(secret)),
      });
      expect([reply.status, reply.text]).toEqual([201, expect.any(String)]);
      await provision(backend, { hw_id: hwId }, '/provision/activate');
      const image = Buffer.from(`factory image of ${name}`);
      vehicle.ecus.push({
        name,
        serial: reply.json.serial,
        hwId,
        signer,
        encryption,
        secret,
        counter: 0,
        installed: describeImage(`${name}-1.0.0-factory.bin`, '1.0.0', image),
        attack: '',
        time: null,
      });
    }
    vehicle.token = await logIn(backend, vehicle.primary, random);
    return vehicle;
  }

  get primary(): TestEcu {
    return this.ecu('TMU');
  }

  ecu(name: string): TestEcu {
    return this.ecus.find((ecu) => ecu.name === name)!;
  }

  /** Changes only what the test says; every report has a new counter. */
  manifest(change: (reports: Record<string, SignedJson>) => void = () => {}): SignedJson {
    const reports = Object.fromEntries(
      this.ecus.map((ecu): [string, SignedJson] => [ecu.serial, reportOf(ecu)]),
    );
    change(reports);
    const { vin, primary, knows } = this;
    return signManifest({ vin, primary: primary.serial, reports, knows }, primary.signer);
  }

  send(path: string, body: unknown): Promise<Reply> {
    const init = json(body);
    return this.backend.request(path, {
      ...init,
      headers: { ...init.headers, ...bearer(this.token) },
    });
  }

  get(path: string): Promise<Reply> {
    return this.request(path);
  }

  request(path: string, headers: Record<string, string> = {}): Promise<Reply> {
    return this.backend.request(path, { headers: { ...bearer(this.token), ...headers } });
  }

  checkin(manifest: unknown = this.manifest(), more: object = {}): Promise<Reply> {
    return this.send('/vehicle/checkin', { vin: this.vin, manifest, ...more });
  }

  /** Full verification of both repositories over HTTP, from the first Roots on. */
  async verify(nowMs = this.backend.clock.wallMs()) {
    const anchor = async (target: string) => {
      const trust = trustRoot(Uint8Array.from((await this.get(target)).body));
      if (!trust.ok) throw new Error(trust.reason);
      return trust.value;
    };
    const base = `/director/${this.vin}/metadata`;
    const facts: EcuFacts[] = this.ecus.map(({ serial, name, installed }) => ({
      serial,
      name,
      hardwareId: `${name}-HW-1`,
      installedSha256: installed.sha256,
    }));
    const verification = new FullVerification({
      trust: {
        director: await anchor(`${base}/1.root.json`),
        images: await anchor('/metadata/1.root.json'),
      },
      nowMs,
      vin: this.vin,
      ecus: facts,
      primary: true,
      alwaysCheckImages: true,
    });
    for (let asked = verification.next(); asked !== undefined; asked = verification.next()) {
      const folder = asked.repository === 'director' ? base : '/metadata';
      const reply = await this.get(`${folder}/${asked.request.file}`);
      const answer: MetadataAnswer =
        reply.status === 200
          ? { kind: 'bytes', bytes: Uint8Array.from(reply.body) }
          : { kind: 'missing' };
      const verdict = verification.accept(answer);
      if (!verdict.ok) return verdict;
    }
    return { ok: true, targets: verification.result(), trust: verification.trust } as const;
  }

  async install(name: string, target: string, image: Uint8Array, version: string): Promise<void> {
    this.ecu(name).installed = describeImage(target, version, image);
  }
}

export function reportOf(ecu: TestEcu, signer = ecu.signer): SignedJson {
  const { name, version, length, sha256 } = ecu.installed;
  return signVersionReport(
    {
      ecu: ecu.serial,
      installed: { name, version, length, hashes: { sha256 } },
      attack: ecu.attack,
      time: ecu.time,
      counter: ++ecu.counter,
    },
    signer,
  );
}

export function describeImage(name: string, version: string, image: Uint8Array) {
  const sha256 = createHash('sha256').update(image).digest('hex');
  return { name, version, length: image.length, sha256 };
}

export function provision(
  backend: Pick<VehicleBackend, 'request' | 'factory'>,
  body: unknown,
  path = '/provision',
): Promise<Reply> {
  const init = json(body);
  return backend.request(path, {
    ...init,
    headers: { ...init.headers, ...bearer(backend.factory) },
  });
}

/** Both proofs, as a TMU does it. Throws when the server's is wrong; the reply when it refuses. */
export async function tryLogIn(
  backend: Pick<Backend, 'request'>,
  { serial, hwId, secret }: Pick<TestEcu, 'serial' | 'hwId' | 'secret'>,
  random: Random = systemRandom,
): Promise<Reply> {
  const key = deviceKeyOf(secret);
  const clientNonce = toHex(random.bytes(16));
  const challenge = await backend.request(
    '/auth/challenge',
    json({ serial, hw_id: hwId, clientNonce }),
  );
  if (challenge.status !== 200) return challenge;
  const exchanged = { serial, clientNonce, ...challenge.json };
  const honest = serverProof(key, exchanged) === challenge.json.serverProof;
  const reply = await backend.request(
    '/auth/response',
    json({ challenge: challenge.json.challenge, clientProof: clientProof(key, exchanged) }),
  );
  if (reply.status === 200 && !honest) throw new Error('the server has not proven itself');
  return reply;
}

export async function logIn(
  backend: Pick<Backend, 'request'>,
  ecu: Pick<TestEcu, 'serial' | 'hwId' | 'secret'>,
  random: Random = systemRandom,
): Promise<string> {
  const reply = await tryLogIn(backend, ecu, random);
  expect([reply.status, reply.text]).toEqual([200, expect.any(String)]);
  return reply.json.token;
}
