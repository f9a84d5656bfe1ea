// One ECU in front of an attacker on its bus, who may send what he likes; and what the ECU must look like afterwards.

import { expect } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { type EcuTrustState, encodeBundle, type MetadataBundle } from '../../src/trust/bundle.ts';
import { checkVersionReport, type VersionReport } from '../../src/trust/manifest.ts';
import type { LocalSigner } from '../../src/trust/signing-key.ts';
import { signTime } from '../../src/trust/time-attestation.ts';
import {
  type EcuName,
  ecuOptions,
  factoryVehicle,
  identity,
  SERIALS,
  testerKeyTo,
} from './attack-factory.ts';
import { honestRepositories, imageOf, order } from './attack-repositories.ts';
import { updatedVehicle } from './attack-vehicle.ts';
import { checkRequest, digestOf, EcuBench } from './ecu-bench.ts';
import type { FaultStorage } from './fault-storage.ts';
import type {
  AssignOptions,
  MockRelease,
  MockRepositories,
  ReleaseOptions,
  RepositoryName,
} from './mock-repositories.ts';

/** What is different from the right bundle. */
export interface BundleChange {
  readonly from?: MockRepositories;
  /** Instead of the ECU's own. */
  readonly nonce?: string;
  /** Later than the repositories' own time by so much. */
  readonly laterMs?: number;
  readonly change?: (bundle: MetadataBundle) => MetadataBundle;
}

/** What an attack must not change. The counters note the attack, and the report counter rises. */
const UNTOUCHED = ['trust', 'boot-record', 'bank-a.bin', 'bank-b.bin', 'bank-b.trust', 'identity'];

let lives = 0;

export class AttackedEcu {
  readonly name: EcuName;
  readonly bench: EcuBench;
  /** What the owner signs, and what an attacker with the same keys would. */
  readonly honest: MockRepositories;
  readonly evil: MockRepositories;

  private constructor(name: EcuName, bench: EcuBench, wallMs: number) {
    this.name = name;
    this.bench = bench;
    this.honest = honestRepositories();
    this.evil = honestRepositories();
    for (const mock of [this.honest, this.evil]) mock.skip(wallMs + 60_000 - mock.director.nowMs);
  }

  /** Runs 2.0.0 with release counter 2, which it has verified by itself. `tamper`: with the disk, while it was off. */
  static async start(
    name: EcuName,
    tamper: (storage: FaultStorage) => unknown = () => {},
  ): Promise<AttackedEcu> {
    const { disks, wallMs } = await updatedVehicle();
    const storage = disks[name].afterPowerCut();
    await tamper(storage);
    const bench = await EcuBench.start({
      name,
      storage,
      options: ecuOptions(name, 9000 + lives++),
      testerKey: await testerKeyTo(name),
    });
    return new AttackedEcu(name, bench, wallMs);
  }

  /** The power is gone and comes back; meanwhile somebody had the disk. */
  async restart(tamper: (storage: FaultStorage) => unknown = () => {}): Promise<EcuBench> {
    const storage = this.bench.storage.afterPowerCut();
    await tamper(storage);
    const options = ecuOptions(this.name, 9000 + lives++);
    const testerKey = await testerKeyTo(this.name);
    return EcuBench.start({ name: this.name, storage, options, testerKey });
  }

  /** Programming session, unlocked by who has the key. */
  async unlock(bench = this.bench): Promise<void> {
    await bench.expect('1002');
    await bench.unlock(identity.ecus[this.name]!.securityAccessKey);
  }

  /** Signed and ordered by both repositories of `of`. */
  release(
    of: MockRepositories,
    version: string,
    options: ReleaseOptions & { readonly order?: AssignOptions } = {},
  ): MockRelease {
    const { order: orderOptions, ...rest } = options;
    const image = imageOf(this.name, version);
    const counter = Number(version[0]);
    const release = of.release(this.name, { version, releaseCounter: counter, image, ...rest });
    order(of, this.name, release, orderOptions);
    return release;
  }

  /** What a TMU would bring from these repositories to an ECU in this state. */
  async bundle(change: BundleChange = {}): Promise<Uint8Array> {
    const state = await this.bench.trustState({ nonce: true });
    return bundleFrom(change.from ?? this.honest, state, change);
  }

  /** Sent, refused with 72, and nothing else has happened; the code that the ECU gives for it. */
  async refusal(bundle: Uint8Array): Promise<string> {
    const before = await this.state();
    expect(await this.bench.sendFile('metadata.json', bundle)).toBe('7F3772');
    const refused = this.bench.events.findLast(({ kind }) => kind === 'metadata-refused');
    if (refused?.kind !== 'metadata-refused') throw new Error('no refusal was told');
    expect(refused.reason).toMatch(/^[a-z].*: /);
    // Nothing may be erased by it, and nothing was.
    expect(await this.bench.ask('3101FF00')).toBe('7F3122');
    expect(await this.state()).toEqual(before);
    // The Director will hear of it from the ECU itself.
    expect((await this.report()).attack).toBe(refused.code);
    return refused.code;
  }

  /** What must be the same after an attack as before it. */
  async state() {
    const { storage, events } = this.bench;
    return {
      version: await this.bench.text('F195'),
      trust: { ...(await this.bench.trustState()), counter: 0 },
      disk: UNTOUCHED.map((file) => hash(storage, file)),
      erases: events.filter(({ kind }) => kind === 'erase').length,
    };
  }

  /** Its version report, checked with the key that the registry has of it. */
  async report(): Promise<VersionReport> {
    const { signingKey } = (await factoryVehicle())[this.name];
    const text = JSON.parse(await this.bench.text('FD22'));
    const checked = checkVersionReport(text, signingKey, SERIALS[this.name]);
    if (!checked.ok) throw new Error(checked.reason);
    return checked.value;
  }

  /** A new honest release is accepted, programmed, started and confirmed, and the report is clean again. */
  async recovers(version = '8.0.0'): Promise<void> {
    const { bench, honest } = this;
    // Whatever the attacker has had signed is older.
    for (const name of ['director', 'images'] as const) {
      const repository = honest.repository(name).behave();
      for (const role of ['timestamp', 'snapshot', 'targets']) {
        repository.setVersion(role, repository.version(role) + 10);
      }
    }
    honest.skip(3_600_000);
    const { image } = this.release(honest, version);
    await this.unlock();
    expect(await bench.sendFile('metadata.json', await this.bundle())).toBe('77');
    await bench.transfer(image);
    expect(await bench.ask(checkRequest(image))).toBe('7101020200');
    await bench.expectOrder('activate');
    await bench.reset();
    expect(await bench.text('F195')).toBe(version);
    const installed = { version, hashes: { sha256: toHex(digestOf(image)) } };
    const told = await this.report();
    expect(told).toMatchObject({ installed });
    // What it has noted stays until the Director has it, and not one report longer.
    expect(await bench.reportReceived(told.counter)).toBe('6EFD23');
    expect(await this.report()).toMatchObject({ attack: '', installed });
    await bench.expectOrder('confirm');
    await bench.expectOrder('commit');
  }
}

/** Metadata of these repositories for an ECU in this state. */
export function bundleFrom(
  from: MockRepositories,
  state: EcuTrustState,
  { nonce, laterMs = 0, change }: BundleChange = {},
): Uint8Array {
  const timeMs = from.director.nowMs + laterMs;
  const time = signTime(
    { timeMs, nonces: [nonce ?? state.nonce!] },
    from.director.signers('time') as LocalSigner[],
  );
  const bundle: MetadataBundle = {
    time,
    director: filesFor(from, 'director', state),
    images: state.verification === 'full' ? filesFor(from, 'images', state) : new Map(),
  };
  return encodeBundle(change?.(bundle) ?? bundle);
}

function filesFor(
  mock: MockRepositories,
  name: RepositoryName,
  state: EcuTrustState,
): Map<string, Uint8Array> {
  const known = state[name]?.root ?? 1;
  const repository = mock.repository(name);
  const roots = [...repository.roots()]
    .filter(([version]) => version > known)
    .map(([version]) => `${version}.root.json`);
  const roles =
    state.verification === 'full'
      ? ['timestamp.json', 'snapshot.json', 'targets.json']
      : ['targets.json'];
  const files = repository.files();
  return new Map([...roots, ...roles].map((file) => [file, files.get(file)!]));
}

function hash(storage: FaultStorage, file: string): string | undefined {
  const bytes = storage.contents(file);
  return bytes === undefined ? undefined : toHex(digestOf(bytes));
}

/** `NRC 33` of a negative response; the response itself of any other. */
export function nrcOf(answer: string): string {
  return answer.startsWith('7F') ? `NRC ${answer.slice(4)}` : answer;
}
