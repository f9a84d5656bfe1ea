// A real TMU with real ECUs between an honest pair of repositories and the copy of it that an attacker runs.

import { expect } from 'vitest';
import type { CreateCgwOptions } from '../../ecus/cgw/create-cgw.ts';
import { toHex } from '../../src/core/bytes.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { CgwApprover } from '../../src/drivers/cgw-approver.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { Tmu, type TmuOptions } from '../../src/tmu/tmu.ts';
import type { CycleResult, TmuEvent } from '../../src/tmu/tmu-event.ts';
import { type UptaneOptions, UptaneSource } from '../../src/tmu/uptane/uptane-source.ts';
import type { RoleVersions } from '../../src/trust/repository.ts';
import type { UdsRequester } from '../../src/uds/reply.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import type { Vehicle } from '../../src/vehicle/schema.ts';
import { EcuLink } from '../drivers/ecu-link.ts';
import { AttackedBackend, Heard } from './attack-backend.ts';
import {
  attackedVehicle,
  ECUS,
  type EcuName,
  ecuOptions,
  factoryVehicle,
  identity,
  testerKeyTo,
  tmuSigner,
} from './attack-factory.ts';
import {
  encryptedFor,
  honestRepositories,
  imageOf,
  order,
  orderedFor,
  REPOSITORIES,
  ROLES,
} from './attack-repositories.ts';
import { digestOf } from './ecu-bench.ts';
import { FaultStorage } from './fault-storage.ts';
import {
  type AssignOptions,
  MOCK_NOW_MS,
  type MockRelease,
  type MockRepositories,
  type ReleaseOptions,
  type RepositoryName,
} from './mock-repositories.ts';

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** The vehicle file with the keys of identity.json, as `can-ota tmu` fills them in. */
export const tmuVehicle: Vehicle = {
  ...attackedVehicle,
  approval: { ...attackedVehicle.approval!, key: identity.approvalKey! },
  ecus: attackedVehicle.ecus.map((ecu) => ({
    ...ecu,
    security: {
      algorithm: 'hmac-sha256',
      level: 1,
      secret: identity.ecus[ecu.name]!.securityAccessKey!,
    },
  })),
};

/** What a node between the TMU and one ECU makes of a request; undefined: it goes on as it is. */
export type Tamper = (request: Uint8Array, ecu: EcuName) => Uint8Array | undefined;

/** What of an ECU an attack must not change: everything durable but its counters, which note the attack. */
const UNTOUCHED = ['trust', 'boot-record', 'bank-a.bin', 'bank-b.bin', 'bank-b.trust', 'identity'];

interface State {
  readonly running: Readonly<Record<EcuName, string | undefined>>;
  readonly disks: Readonly<Record<EcuName, readonly (string | undefined)[]>>;
  readonly erases: number;
  readonly trusted: Readonly<Record<RepositoryName, RoleVersions>>;
  /** What decides: Targets of both repositories, and the counters of what was installed. */
  readonly deciding: readonly (string | undefined)[];
  readonly timeMs: number;
}

export interface VehicleStart {
  readonly approve?: CreateCgwOptions['approve'];
  readonly terminal?: CreateCgwOptions['terminal'];
  readonly clock?: (wallMs: number) => VirtualClock;
}

export class AttackedVehicle {
  readonly clock: VirtualClock;
  /** What the owner of the vehicles signs. */
  readonly honest: MockRepositories;
  /** The same keys in the attacker's hands, and the same files to begin with: a row says what he has of it. */
  readonly evil: MockRepositories;
  readonly backend: AttackedBackend;
  readonly storage: FaultStorage;
  readonly links = new Map<EcuName, EcuLink>();
  /** By which the TMU gives orders; the attacker has none of them. */
  readonly keys = new Map<EcuName, Uint8Array>();
  readonly events: TmuEvent[] = [];
  /** Who answers the vehicle. */
  serving: MockRepositories;
  tamper: Tamper | undefined;
  #lives = 1;

  private constructor(clock: VirtualClock, storage: FaultStorage) {
    this.clock = clock;
    this.storage = storage;
    this.honest = honestRepositories();
    this.evil = honestRepositories();
    this.serving = this.honest;
    // The backend asks whoever serves at that moment.
    const serving = {
      director: { signers: (role: string) => this.serving.director.signers(role) },
      answer: (...asked: Parameters<MockRepositories['answer']>) => this.serving.answer(...asked),
    };
    this.backend = new AttackedBackend(clock, serving as unknown as MockRepositories);
  }

  /** CGW, EDT and INV run 2.0.0, which the vehicle itself has verified, installed and reported. */
  static async start(options: VehicleStart = {}): Promise<AttackedVehicle> {
    const { storage, disks, wallMs } = await updatedVehicle();
    const clock = options.clock?.(wallMs) ?? new VirtualClock(wallMs);
    const vehicle = new AttackedVehicle(clock, storage.afterPowerCut());
    vehicle.#follow(wallMs);
    await vehicle.#startEcus(disks, options);
    return vehicle;
  }

  /** Straight from the factory, on its first day. */
  static async fromFactory(): Promise<AttackedVehicle> {
    const vehicle = new AttackedVehicle(new VirtualClock(MOCK_NOW_MS), new FaultStorage());
    const made = await factoryVehicle();
    await vehicle.#startEcus(
      Object.fromEntries(ECUS.map((name) => [name, made[name].storage])) as Disks,
      {},
    );
    return vehicle;
  }

  async #startEcus(disks: Disks, { approve = 'yes', terminal }: VehicleStart): Promise<void> {
    for (const name of ECUS) {
      const link = await EcuLink.start(attackedVehicle, name, this.clock, {
        ...ecuOptions(name, ++this.#lives),
        storage: disks[name].afterPowerCut(),
        ...(name === 'CGW' ? { approve, terminal } : {}),
      });
      this.links.set(name, link);
      this.keys.set(name, await testerKeyTo(name));
    }
  }

  ecu(name: EcuName): EcuLink {
    return this.links.get(name)!;
  }

  running(name: EcuName): string | undefined {
    return this.ecu(name).ecu?.running?.version;
  }

  // ---- what the repositories do ----

  /** Signed by the image repository, ordered by the Director, and there to be downloaded. */
  release(
    of: MockRepositories,
    ecu: EcuName,
    version: string,
    options: ReleaseOptions & { readonly order?: AssignOptions } = {},
  ): MockRelease {
    const { order: orderOptions, ...rest } = options;
    const release = of.release(ecu, { version, releaseCounter: Number(version[0]), ...rest });
    this.backend.images.set(release.name, release.image);
    order(of, ecu, release, orderOptions);
    return release;
  }

  /** The same, encrypted for the ECU; the blob. */
  async releaseEncrypted(
    of: MockRepositories,
    ecu: EcuName,
    version: string,
    image: Uint8Array,
  ): Promise<{ readonly blob: Uint8Array; readonly file: string }> {
    const release = of.release(ecu, {
      version,
      image,
      releaseCounter: Number(version[0]),
      encrypt: true,
    });
    const { blob, encryption } = await encryptedFor(ecu, release);
    this.backend.images.set(encryption.file, blob);
    order(of, ecu, release, { encryption });
    return { blob, file: encryption.file };
  }

  /** From now on the attacker answers in place of both repositories. */
  attack(change: (evil: MockRepositories) => unknown = () => {}): void {
    change(this.evil);
    this.serving = this.evil;
  }

  /** Time passes, here and for those who sign. */
  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
    this.#follow(this.clock.wallMs());
    for (const mock of [this.honest, this.evil]) {
      for (const name of REPOSITORIES) mock.repository(name).publish();
    }
  }

  #follow(wallMs: number): void {
    for (const mock of [this.honest, this.evil]) mock.skip(wallMs - mock.director.nowMs);
  }

  /** What the file is called in a request: `director targets.json` is `director 6.targets.json`. */
  nameOnNetwork(name: string): string {
    const [repository, file] = name.split(' ') as [RepositoryName, string];
    const role = file.replace('.json', '');
    if (role !== 'snapshot' && role !== 'targets') return name;
    return `${repository} ${this.honest.repository(repository).version(role)}.${file}`;
  }

  /** Whoever listens from now on, in the network and on the bus. */
  listenIn(): Heard {
    const heard = new Heard();
    this.backend.hear = (bytes) => heard.network.push(bytes);
    for (const link of this.links.values()) {
      link.loses = (request) => {
        heard.bus.push(Buffer.from(request, 'hex'));
        return false;
      };
      link.changes = (answer) => {
        heard.bus.push(answer);
        return answer;
      };
    }
    return heard;
  }

  // ---- what the vehicle does ----

  /** Other limits for the pace of metadata. */
  limits: UptaneOptions['limits'];

  tmu(options: Partial<TmuOptions> = {}): Tmu {
    const { director, images } = this.honest;
    return new Tmu({
      backend: this.backend,
      trusted: (tools) =>
        UptaneSource.open(tools, {
          identity,
          signer: tmuSigner,
          software: {
            name: 'tmu',
            version: '1.0.0',
            length: 1,
            hashes: { sha256: 'a'.repeat(64) },
          },
          anchors: { director: director.anchor, images: images.anchor },
          ...(this.limits === undefined ? {} : { limits: this.limits }),
        }),
      driverFor: (name) =>
        new UdsEcuDriver({
          ecu: findEcu(tmuVehicle, name),
          requester: this.#requester(name as EcuName),
          clock: this.clock,
          authority: { role: 'tester', key: this.keys.get(name as EcuName)! },
        }),
      approver: new CgwApprover({
        ecu: findEcu(tmuVehicle, 'CGW'),
        key: identity.approvalKey!,
        requester: this.#requester('CGW'),
        clock: this.clock,
      }),
      storage: this.storage,
      vehicle: tmuVehicle,
      clock: this.clock,
      random: seededRandom(++this.#lives + 5000),
      logger: silentLogger,
      lock: async () => ({ release: async () => {} }),
      events: (event) => this.events.push(event),
      // Every cycle looks at the signatures; the row about the poll says otherwise.
      checkinIntervalMs: 0,
      ...options,
    });
  }

  #requester(ecu: EcuName): UdsRequester {
    const { client } = this.ecu(ecu);
    const changed = (request: Uint8Array): Uint8Array => this.tamper?.(request, ecu) ?? request;
    return {
      request: (request, options) => client.request(changed(request), options),
      broadcast: (request) => client.broadcast(changed(request)),
      keepAlive: (whom) => client.keepAlive(whom),
    };
  }

  /** One cycle of a process of its own. */
  async once(options: Partial<TmuOptions> = {}): Promise<CycleResult> {
    const tmu = this.tmu(options);
    try {
      return await this.clock.within(6 * HOUR_MS, tmu.runOnce(new AbortController().signal));
    } finally {
      await tmu.close();
    }
  }

  /** One cycle that ends in `outcome` and leaves every ECU as it is; the code that it ends with. */
  async refusal(how: Refusal = {}): Promise<string> {
    const before = this.state();
    const { outcome, code, reason } = await this.once(how.tmu);
    expect(outcome, reason).toBe(how.outcome ?? 'SECURITY_VALIDATION_FAILED');
    if (how.where !== undefined) expect(reason).toMatch(new RegExp(`^${how.where}: `));
    this.expectUntouched(before, how.trusted);
    return code ?? 'none';
  }

  /**
   * Nothing was erased, every ECU runs and trusts what it did, and the TMU trusts nothing older than before. Targets
   * are the same, too, unless they were in order by themselves and a later check found fault.
   */
  expectUntouched(before: State, trusted: Refusal['trusted'] = 'unchanged'): void {
    const after = this.state();
    const { erases, running, disks } = after;
    expect({ erases, running, disks }).toEqual({
      erases: before.erases,
      running: before.running,
      disks: before.disks,
    });
    if (trusted === 'unchanged') expect(after.deciding).toEqual(before.deciding);
    for (const name of REPOSITORIES) {
      const was = before.trusted[name];
      const is = after.trusted[name];
      expect(is.root).toBeGreaterThanOrEqual(was.root);
      for (const role of ROLES) expect(is[role] ?? 0).toBeGreaterThanOrEqual(was[role] ?? 0);
    }
    expect(after.timeMs).toBeGreaterThanOrEqual(before.timeMs);
  }

  /** The attacker is gone, and the next honest update is installed as if he had never been. */
  async recovers(ecu: EcuName = 'EDT', version = '3.0.0'): Promise<void> {
    this.serving = this.honest;
    this.tamper = undefined;
    this.backend.letThrough();
    for (const link of this.links.values()) {
      link.loses = undefined;
      link.changes = undefined;
    }
    // What the attacker had signed with stolen keys may stand in the place of the next honest version.
    for (const name of REPOSITORIES) {
      const repository = this.honest.repository(name).behave();
      for (const role of ROLES) repository.setVersion(role, repository.version(role) + 10);
    }
    // A campaign that was refused on the bus is tried again after a while, not at once.
    await this.advance(2 * HOUR_MS);
    this.release(this.honest, ecu, version, { releaseCounter: 9 });
    const result = await this.once();
    expect(result.outcome, result.reason).toBe('SUCCESS');
    expect(this.running(ecu)).toBe(version);
  }

  // ---- what is known of it ----

  state(): State {
    const perEcu = <T>(of: (name: EcuName) => T): Readonly<Record<EcuName, T>> =>
      Object.fromEntries(ECUS.map((name) => [name, of(name)])) as Record<EcuName, T>;
    return {
      running: perEcu((name) => this.running(name)),
      disks: perEcu((name) => UNTOUCHED.map((file) => hash(this.ecu(name).storage, file))),
      erases: this.erases(),
      trusted: {
        director: this.#versions('director'),
        images: this.#versions('images'),
      },
      deciding: [
        ...REPOSITORIES.map((name) => hash(this.storage, `trust/${name}/targets.json`)),
        hash(this.storage, 'trust/counters.json'),
      ],
      timeMs: (this.json('trust/time.json') as { timeMs?: number } | undefined)?.timeMs ?? 0,
    };
  }

  erases(): number {
    const all = [...this.links.values()].flatMap(({ events }) => events);
    return all.filter(({ kind }) => kind === 'erase').length;
  }

  /** Of a role, as the TMU trusts it. */
  trusts(repository: RepositoryName, role: string): number {
    const file = this.json(`trust/${repository}/${role}.json`) as
      | { signed: { version: number } }
      | undefined;
    return file?.signed.version ?? 0;
  }

  #versions(repository: RepositoryName): RoleVersions {
    return {
      root: this.trusts(repository, 'root'),
      ...Object.fromEntries(ROLES.map((role) => [role, this.trusts(repository, role)])),
    };
  }

  json(file: string): unknown {
    const bytes = this.storage.contents(file);
    return bytes === undefined ? undefined : JSON.parse(new TextDecoder().decode(bytes));
  }

  attacks(): string[] {
    return this.events.flatMap((event) => (event.kind === 'attack' ? [event.code] : []));
  }
}

export interface Refusal {
  readonly outcome?: CycleResult['outcome'];
  /** The file that was refused: what other checks would find later does not count. */
  readonly where?: string;
  /** `may move on`: new Targets were right by themselves, and only what they lead to was refused. */
  readonly trusted?: 'unchanged' | 'may move on';
  readonly tmu?: Partial<TmuOptions>;
}

export const MAY_MOVE_ON = { trusted: 'may move on' } as const;

/** One attack on a vehicle that was well before; then the attacker goes away, and it is well again. */
export async function refusal(
  change: (evil: MockRepositories, w: AttackedVehicle) => unknown,
  how: Refusal = {},
  start: VehicleStart = {},
): Promise<string> {
  const w = await AttackedVehicle.start(start);
  w.attack();
  await change(w.evil, w);
  const code = await w.refusal(how);
  if (start.approve === undefined) await w.recovers();
  return code;
}

/** A release that only the attacker's copy of the image repository has. */
export function malware(w: AttackedVehicle): MockRelease {
  return w.release(w.evil, 'EDT', '6.6.6', { image: imageOf('EDT', 'malware 6.6.6') });
}

function hash(storage: FaultStorage, file: string): string | undefined {
  const bytes = storage.contents(file);
  return bytes === undefined ? undefined : toHex(digestOf(bytes));
}

type Disks = Readonly<Record<EcuName, FaultStorage>>;

export interface Base {
  readonly storage: FaultStorage;
  readonly disks: Disks;
  readonly wallMs: number;
}

let base: Promise<Base> | undefined;

/** Disks of a TMU and of ECUs that have installed 2.0.0; whoever starts from them takes a copy. */
export function updatedVehicle(): Promise<Base> {
  base ??= makeBase();
  return base;
}

/** The first honest update of the vehicle; done once in a process, and copied. */
async function makeBase(): Promise<Base> {
  const vehicle = await AttackedVehicle.fromFactory();
  for (const ecu of ECUS) {
    vehicle.backend.images.set(orderedFor(vehicle.honest, ecu)!, imageOf(ecu, '2.0.0'));
  }
  const result = await vehicle.once();
  expect(result.outcome, result.reason).toBe('SUCCESS');
  for (const name of ECUS) {
    expect(vehicle.running(name)).toBe('2.0.0');
    await vehicle.ecu(name).ecu!.close();
  }
  return {
    storage: vehicle.storage,
    disks: Object.fromEntries(ECUS.map((name) => [name, vehicle.ecu(name).storage])) as Disks,
    wallMs: Math.ceil(vehicle.clock.wallMs()),
  };
}
