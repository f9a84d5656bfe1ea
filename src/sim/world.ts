// A whole world in one process: a backend, vehicles with their TMUs and ECUs, networks, drivers, disks, and one clock.

import { type Logger, silentLogger } from '../core/logger.ts';
import { defined } from '../core/optional.ts';
import { present } from '../core/present.ts';
import type { SessionChoice } from '../onboard/tmu-on-bus.ts';
import type { ReleaseChoice } from '../signing/release.ts';
import { findEcu } from '../vehicle/load.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import { type Character, descriptionOf } from './other-make/character.ts';
import { type SeededRandom, seededRandom } from './seeded-random.ts';
import { ReleaseSigner, type SignedImage } from './simulated-factory.ts';
import { SimulatedServer } from './simulated-server.ts';
import {
  SimulatedVehicle,
  type VehicleEvent,
  type VehicleMachine,
  type VehicleWrappers,
} from './simulated-vehicle.ts';
import { SimulatedSmallDevice } from './small-device.ts';
import { FACTORY_SEED, factoryImageOf, imageOf, type Template, templateOf } from './template.ts';
import { VirtualClock } from './virtual-clock.ts';

/** An event, as the part itself reported it at that moment. */
export interface WorldEvent {
  readonly atMs: number;
  /** VIN. */
  readonly vehicle: string;
  /** `TMU`, the name of an ECU, or `driver`. */
  readonly machine: VehicleMachine;
  readonly event: VehicleEvent;
}

/** Breaks the system on purpose, around the ports of the product. */
export interface WorldSabotage extends VehicleWrappers {
  /** All disks of the vehicles ignore syncs. */
  readonly noFsync?: boolean;
}

export interface WorldOptions {
  readonly seed: number | string;
  /** Number of vehicles; 1 by default. */
  readonly vehicles?: number;
  /** Changes the bench vehicle, for example to a single bank; the same for all vehicles. Names must stay. */
  readonly vehicle?: (vehicle: Vehicle) => Vehicle;
  /** Character of the ECU of another make; missing: the vehicles have none. */
  readonly otherMake?: Character | undefined;
  /** Adds a small device beside the vehicles. */
  readonly smallDevice?: boolean;
  /** Size of factory images and releases, 16384 by default. */
  readonly imageBytes?: number;
  readonly sabotage?: WorldSabotage;
  readonly onEvent?: (event: WorldEvent) => void;
  /** How often TMUs ask for updates, 1000 ms by default. */
  readonly pollMs?: number;
  /** Chunk size of images that come in authenticated chunks; missing: plain HTTP. */
  readonly chunkBytes?: number | undefined;
  /** Choice of the session for sealed messages. */
  readonly session?: SessionChoice | undefined;
  /** 30 s by default. */
  readonly approvalTimeoutSeconds?: number;
  /** Gets all log messages; silent by default. */
  readonly logger?: Logger;
  /** Real time, files or threads make the world fail. True by default. */
  readonly strict?: boolean;
}

export interface ReleaseOrder {
  readonly ecu: string;
  /** Missing: the next version, 2.0.0 first. */
  readonly version?: string;
  /** Missing: generated from the seed. */
  readonly image?: Uint8Array;
  /** A safety release: the driver is not asked. */
  readonly forced?: boolean;
  readonly depends?: Readonly<Record<string, string>>;
  /** Encrypted for each ECU. */
  readonly encrypt?: boolean;
}

/** Facts of an ECU's factory image in its boot record. */
export interface FactoryImageFacts {
  readonly image: Uint8Array;
  readonly version: string;
}

const IMAGE_BYTES = 16 * 1024;
const POLL_MS = 1000;
const APPROVAL_TIMEOUT_SECONDS = 30;
/** Limit for the start: all machines boot well within it. */
const BOOT_LIMIT_MS = 10_000;

/** Resolves when every machine is on and the TMUs have begun to poll. */
export async function createWorld(options: WorldOptions): Promise<SimulatedWorld> {
  const { vehicles = 1, imageBytes = IMAGE_BYTES } = options;
  const { vehicle: change = same, otherMake } = options;
  const fitted = (vehicle: Vehicle): Vehicle =>
    otherMake === undefined
      ? change(vehicle)
      : change({ ...vehicle, ecus: [...vehicle.ecus, descriptionOf(otherMake)] });
  const template = await templateOf({ change: fitted, otherMake, vehicles, imageBytes });
  const world = new SimulatedWorld(options, template);
  await world.begin();
  return world;
}

function same(vehicle: Vehicle): Vehicle {
  return vehicle;
}

export class SimulatedWorld {
  readonly clock: VirtualClock;
  readonly server: SimulatedServer;
  readonly vehicles: readonly SimulatedVehicle[];
  readonly smallDevice: SimulatedSmallDevice | undefined;
  readonly #options: WorldOptions;
  readonly #random: SeededRandom;
  readonly #signer: ReleaseSigner;
  readonly #listeners = new Set<(event: WorldEvent) => void>();
  readonly #releases: SignedImage[] = [];
  readonly #factoryImage: (ecu: string) => FactoryImageFacts;
  #majors = 1;

  /** All machines are off at first; use `createWorld`. */
  constructor(options: WorldOptions, template: Template) {
    this.#options = options;
    const { sabotage = {}, logger = silentLogger, imageBytes = IMAGE_BYTES } = options;
    this.#random = seededRandom(`world ${options.seed}`);
    this.clock = new VirtualClock(template.wallMs);
    this.#factoryImage = factoryImageOf(imageBytes);
    this.server = new SimulatedServer({
      ...{ clock: this.clock, logger, tokens: template.tokens, state: template.server },
      random: this.#random.fork('server'),
      trust: template.factory.trust,
    });
    this.#signer = new ReleaseSigner(FACTORY_SEED, template.factory.images);
    if (options.onEvent !== undefined) this.#listeners.add(options.onEvent);
    this.smallDevice =
      options.smallDevice === true
        ? new SimulatedSmallDevice({
            ...{ clock: this.clock, server: this.server, imageBytes },
            random: this.#random.fork('small device'),
            token: template.tokens.factory,
            suite: options.session?.suite,
            onEvent: (event) =>
              this.#emit('device', 'device', { from: 'small-device', device: event }),
          })
        : undefined;
    this.vehicles = template.vehicles.map(({ vehicle, disks }) => {
      const made = new SimulatedVehicle({
        ...sabotage,
        ...{ vehicle, disks, logger, clock: this.clock, server: this.server },
        random: this.#random.fork(vehicle.vin),
        factoryImage: this.#factoryImage,
        otherMake: options.otherMake,
        pollMs: options.pollMs ?? POLL_MS,
        chunkBytes: options.chunkBytes,
        session: options.session,
        approvalTimeoutSeconds: options.approvalTimeoutSeconds ?? APPROVAL_TIMEOUT_SECONDS,
        onEvent: (machine, event) => this.#emit(vehicle.vin, machine, event),
      });
      for (const { disk } of made.machines.values()) disk.noFsync = sabotage.noFsync === true;
      return made;
    });
  }

  /** Switches everything on. */
  async begin(): Promise<void> {
    await this.server.start();
    if (this.smallDevice !== undefined) {
      // Not strict, as in the template: the factory's program uses real time.
      await this.clock.run(this.smallDevice.enrol(), BOOT_LIMIT_MS);
      void this.smallDevice.machine.boot();
    }
    const boots = Promise.all(this.vehicles.map((vehicle) => vehicle.bootAll()));
    await this.#run(boots, BOOT_LIMIT_MS);
  }

  /** The image that a new ECU runs. */
  factoryImage(ecu: string): FactoryImageFacts {
    return this.#factoryImage(ecu);
  }

  /** All releases so far, oldest first. */
  get releases(): readonly SignedImage[] {
    return this.#releases;
  }

  /** Calls `listener` for every event from now on, after `onEvent` of the options. */
  on(listener: (event: WorldEvent) => void): { close(): void } {
    this.#listeners.add(listener);
    return { close: () => this.#listeners.delete(listener) };
  }

  /**
   * Signs new images and uploads them to the backend, all at one instant, so that one campaign installs them. They
   * are for all vehicles. The server has to be running.
   */
  async release(orders: readonly ReleaseOrder[]): Promise<readonly SignedImage[]> {
    this.#majors++;
    const { imageBytes = IMAGE_BYTES } = this.#options;
    const [first] = this.vehicles;
    const choices = orders.map((order): ReleaseChoice & { readonly image: Uint8Array } => {
      const { ecu, version = `${this.#majors}.0.0` } = order;
      const random = this.#random.fork(`image ${ecu} ${version}`);
      const image = order.image ?? imageOf(random, `release ${ecu} ${version}`, imageBytes);
      const { forced, depends, encrypt } = order;
      return {
        ...{
          ecu,
          version,
          image,
          hardware: [findEcu(present(first, 'the first vehicle').vehicle, ecu).hardwareId],
        },
        ...defined({ forced, depends, encrypt }),
      };
    });
    const release = this.clock.hold('release');
    try {
      const signed = await this.#signer.sign(choices, this.clock.wallMs());
      this.#releases.push(...signed.images);
      await this.server.take(signed.images, signed.targets);
      return signed.images;
    } finally {
      release();
    }
  }

  /** Uploads a new package for the small device, where there is one. The server has to be running. */
  async releaseForDevice(): Promise<void> {
    const release = this.clock.hold('release for the device');
    try {
      await this.smallDevice?.release();
    } finally {
      release();
    }
  }

  /**
   * Lets time pass until `condition` holds; it is checked at once and after every event. False when it does not hold
   * after `limitMs`.
   */
  async until(condition: () => boolean, limitMs: number): Promise<boolean> {
    if (condition()) return true;
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const listener = this.on(() => {
      try {
        if (condition()) resolve(true);
      } catch (error) {
        reject(error);
      }
    });
    const timer = this.clock.after('until', limitMs, () => resolve(false));
    try {
      return await this.#run(promise, limitMs + 1);
    } finally {
      timer.cancel();
      listener.close();
    }
  }

  /** Lets time pass. */
  async advance(ms: number): Promise<void> {
    await this.until(() => false, ms);
  }

  /** Ends everything at once, without any notice to the parts. */
  close(): void {
    this.#listeners.clear();
    for (const vehicle of this.vehicles) vehicle.close();
    this.smallDevice?.close();
    this.server.close();
  }

  #run<T>(promise: Promise<T>, limitMs: number): Promise<T> {
    return this.clock.run(promise, limitMs, { strict: this.#options.strict ?? true });
  }

  #emit(vehicle: string, machine: VehicleMachine, event: VehicleEvent): void {
    const told: WorldEvent = { atMs: this.clock.nowMs(), vehicle, machine, event };
    for (const listener of this.#listeners) listener(told);
  }
}
