// A vehicle of a simulated world: TMU and ECUs as machines on one wire, a driver, sensors, and a network to the backend.

import type { Ecu } from '../../ecus/bootloader/bootloader.ts';
import type { EcuEvent } from '../../ecus/bootloader/device.ts';
import type { EcuFaults } from '../../ecus/bootloader/faults.ts';
import { createCgw } from '../../ecus/cgw/create-cgw.ts';
import type { SignalBoard, SignalValue } from '../../ecus/cgw/signal-board.ts';
import { createEcu } from '../../ecus/create-ecu.ts';
import type { EcuDriver } from '../campaign/ports.ts';
import type { Logger } from '../core/logger.ts';
import { defined } from '../core/optional.ts';
import type { Storage } from '../core/storage.ts';
import type { DeviceEvent } from '../device/device-event.ts';
import type { HttpTransport } from '../link/http-transport.ts';
import { createTmuOnBus, type SessionChoice } from '../onboard/tmu-on-bus.ts';
import { withSecrets } from '../onboard/vehicle-secrets.ts';
import type { TmuEvent } from '../tmu/tmu-event.ts';
import { parseIdentity } from '../trust/identity-file.ts';
import { findEcu } from '../vehicle/load.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import { Eavesdropper } from './attacker.ts';
import { type DriverDeed, DriverModel } from './driver-model.ts';
import {
  type MachineEvent,
  type MachineLife,
  type RunningProgram,
  SimulatedMachine,
} from './machine.ts';
import { OTHER_MAKE } from './machine-names.ts';
import type { Character } from './other-make/character.ts';
import { noFaults, type PlainEcuFaults } from './other-make/faults.ts';
import { PlainEcu } from './other-make/plain-ecu.ts';
import type { PlainEcuEvent } from './other-make/services.ts';
import type { SeededRandom } from './seeded-random.ts';
import { SimulatedWire } from './simulated-bus.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import { SimulatedNetwork } from './simulated-network.ts';
import type { SimulatedServer } from './simulated-server.ts';
import type { VirtualClock } from './virtual-clock.ts';

export const TMU = 'TMU' as const;
/** `TMU`, or the name of an ECU in the vehicle file; `driver` also has events but is not a machine. */
export type VehicleMachine = string;

/** Events of the parts of a vehicle, in their order. */
export type VehicleEvent =
  | { readonly from: 'tmu'; readonly tmu: TmuEvent }
  | { readonly from: 'ecu'; readonly ecu: EcuEvent }
  | { readonly from: 'plain-ecu'; readonly plain: PlainEcuEvent }
  | { readonly from: 'small-device'; readonly device: DeviceEvent | MachineEvent }
  | { readonly from: 'machine'; readonly machine: MachineEvent }
  | { readonly from: 'driver'; readonly deed: DriverDeed };

/** Wrappers around the ports of the product; see WorldSabotage. */
export interface VehicleWrappers {
  readonly wrapDriver?: (driver: EcuDriver, ecu: string, vin: string) => EcuDriver;
  readonly wrapStorage?: (storage: Storage, machine: VehicleMachine, vin: string) => Storage;
  readonly wrapNetwork?: (transport: HttpTransport, vin: string) => HttpTransport;
}

export interface SimulatedVehicleOptions extends VehicleWrappers {
  /** The vehicle file without secrets: the secrets from the factory are on the disks. */
  readonly vehicle: Vehicle;
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly logger: Logger;
  readonly server: SimulatedServer;
  /** Durable content of each machine's disk; missing: an ECU that comes from the chip factory. */
  readonly disks: ReadonlyMap<VehicleMachine, ReadonlyMap<string, Uint8Array>>;
  /** Image of a new ECU of this name. */
  readonly factoryImage: (ecu: string) => { readonly image: Uint8Array; readonly version: string };
  /** Character of the ECU of another make, where the vehicle file has one. */
  readonly otherMake?: Character | undefined;
  readonly pollMs: number;
  /** Chunk size where images come in chunks; missing: plain HTTP. */
  readonly chunkBytes?: number | undefined;
  /** Choice of the session for sealed messages. */
  readonly session?: SessionChoice | undefined;
  readonly approvalTimeoutSeconds: number;
  readonly onEvent: (machine: VehicleMachine, event: VehicleEvent) => void;
}

/** Time between two contacts of the remote features. */
const SYNC_MS = 5000;
/** Bytes of an image between two durable points: small images shall have several. */
const CHECKPOINT_BYTES = 4096;
/** Time until a bus-off controller restarts, as with `ip link set can0 type can restart-ms 100`. */
const RESTART_MS = 100;
/** Software of the TMU in its own version report. */
const SOFTWARE = {
  name: 'can-ota-simulation',
  version: '1.0.0',
  length: 1,
  hashes: { sha256: '0'.repeat(64) },
};
/** A lock that does nothing: only one process uses the disk. */
const NO_LOCK = { release: async (): Promise<void> => {} };

export class SimulatedVehicle {
  readonly vin: string;
  readonly vehicle: Vehicle;
  readonly wire: SimulatedWire;
  readonly network: SimulatedNetwork;
  readonly driver: DriverModel;
  /** Frames that any node on the bus could have recorded. */
  readonly eavesdropper: Eavesdropper;
  readonly machines: ReadonlyMap<VehicleMachine, SimulatedMachine>;
  readonly #options: SimulatedVehicleOptions;
  readonly #faults = new Map<string, Writable<EcuFaults>>();
  readonly #ecus = new Map<string, Ecu>();
  /** Faults of the ECU of another make; may be changed at any time. */
  readonly otherMakeFaults: PlainEcuFaults = noFaults();
  #plain: PlainEcu | undefined;
  readonly #signals = new Map<string, SignalValue>();
  readonly #tmuSignals: AbortController[] = [];
  #board: SignalBoard | undefined;

  /** All machines are off at first. */
  constructor(options: SimulatedVehicleOptions) {
    const { vehicle, clock, random, server } = options;
    this.#options = options;
    this.vin = vehicle.vin;
    this.vehicle = vehicle;
    const [bus] = Object.values(vehicle.buses);
    this.wire = new SimulatedWire({
      clock,
      name: vehicle.vin,
      bitrate: bus?.bitrate ?? 500_000,
      ...defined({ dataBitrate: bus?.dataBitrate }),
    });
    this.network = new SimulatedNetwork({ clock, server, random: random.fork('network') });
    this.eavesdropper = new Eavesdropper(vehicle);
    this.driver = new DriverModel(clock);
    this.driver.onDeed = (deed) => this.#emit('driver', { from: 'driver', deed });
    const names = [TMU, ...vehicle.ecus.map(({ name }) => name)];
    this.machines = new Map(names.map((name) => [name, this.#machine(name)]));
  }

  /** Throws for an unknown name. */
  machine(name: VehicleMachine): SimulatedMachine {
    const machine = this.machines.get(name);
    if (machine === undefined) throw new Error(`${this.vin} has no ${name}`);
    return machine;
  }

  /** The running ECU; undefined while it is off or starts. */
  ecu(name: string): Ecu | undefined {
    return this.machine(name).alive ? this.#ecus.get(name) : undefined;
  }

  /** What an ECU of any make runs now; undefined while it is off or starts. */
  running(name: string): { readonly bank: string | number } | undefined {
    if (name !== OTHER_MAKE) return this.ecu(name)?.running;
    return this.machine(name).alive ? this.#plain?.running : undefined;
  }

  /** Faults of an ECU, which may be changed at any time; they survive its restarts. */
  faults(name: string): Writable<EcuFaults> {
    let faults = this.#faults.get(name);
    if (faults === undefined) {
      faults = {};
      this.#faults.set(name, faults);
    }
    return faults;
  }

  /** Sets the value of a sensor; an ECU that restarts has to measure it again. */
  setSignal(name: string, value: SignalValue): void {
    this.#signals.set(name, value);
    this.#board?.set(name, value);
  }

  /** Sets all sensors to their usual values: standing, parked, ignition on, a good battery. */
  resetSignals(): void {
    this.#signals.clear();
    if (this.#board === undefined || this.#approvalEcu === undefined) return;
    const usual = new Map(Object.entries(this.#usualSignals));
    for (const [name, value] of usual) this.#board.set(name, value);
  }

  /** Switches on everything that is off. */
  async bootAll(): Promise<void> {
    await Promise.all([...this.machines.values()].map((machine) => machine.boot()));
  }

  /** Cuts the power of all machines at once. */
  cutAll(): void {
    for (const machine of this.machines.values()) machine.cut();
  }

  /** Switches everything off for good. */
  close(): void {
    this.cutAll();
    // Node keeps combined signals in memory while they have listeners, and the programs of ended lives still listen.
    for (const signal of this.#tmuSignals) signal.abort();
  }

  get #approvalEcu(): string | undefined {
    return this.vehicle.approval?.ecu;
  }

  #usualSignals: Record<string, SignalValue> = {};

  #machine(name: VehicleMachine): SimulatedMachine {
    const { clock, random, disks } = this.#options;
    return new SimulatedMachine({
      name,
      clock,
      disk: new SimulatedDisk({
        location: `${this.vin}/${name}`,
        files: disks.get(name) ?? new Map(),
      }),
      random: random.fork(name),
      program: (life) => (name === TMU ? this.#startTmu(life) : this.#startEcu(name, life)),
      onEvent: (event) => this.#emit(name, { from: 'machine', machine: event }),
    });
  }

  async #startOtherMake(name: string, life: MachineLife): Promise<RunningProgram> {
    const { vehicle, factoryImage, otherMake } = this.#options;
    const ecu = findEcu(vehicle, name);
    if (otherMake === undefined) throw new Error(`the options do not say how ${name} behaves`);
    const plain = new PlainEcu({
      ecu,
      character: otherMake,
      faults: this.otherMakeFaults,
      factoryImage: factoryImage(name).image,
      bus: life.bus(this.wire.attach(name, { restartMs: RESTART_MS })),
      clock: life.clock,
      random: life.random,
      storage: this.#storage(name, life),
      onEvent: life.whileAlive((event) => this.#emit(name, { from: 'plain-ecu', plain: event })),
    });
    this.#plain = plain;
    await plain.boot();
    return plain;
  }

  async #startEcu(name: string, life: MachineLife): Promise<RunningProgram> {
    if (name === OTHER_MAKE) return this.#startOtherMake(name, life);
    const { vehicle, logger, factoryImage } = this.#options;
    life.onEnd(() => this.#ecus.delete(name));
    const common = {
      name,
      vehicle,
      logger,
      clock: life.clock,
      random: life.random,
      storage: this.#storage(name, life),
      bus: life.bus(this.wire.attach(name, { restartMs: RESTART_MS })),
      faults: this.faults(name),
      factoryImage: factoryImage(name),
      checkpointBytes: CHECKPOINT_BYTES,
      onEvent: life.whileAlive((event: EcuEvent) => {
        if (event.kind === 'approval') this.driver.hear(event.campaignId, event.status);
        this.#emit(name, { from: 'ecu', ecu: event });
      }),
    };
    if (name !== this.#approvalEcu) {
      const ecu = await createEcu(common);
      if (life.alive) this.#ecus.set(name, ecu);
      return ecu;
    }
    life.onEnd(() => {
      this.driver.standUp();
      this.#board = undefined;
    });
    const { ecu, signals } = await createCgw({
      ...common,
      approve: 'ask',
      colour: false,
      terminal: this.driver.sitDown(),
    });
    if (!life.alive) return ecu;
    this.#ecus.set(name, ecu);
    this.#board = signals;
    const own = Object.entries(vehicle.signals).filter(([, signal]) => signal.ecu === name);
    this.#usualSignals = Object.fromEntries(own.map(([signal]) => [signal, signals.get(signal)]));
    for (const [signal, value] of this.#signals) signals.set(signal, value);
    return ecu;
  }

  async #startTmu(life: MachineLife): Promise<RunningProgram> {
    const { vehicle, logger, server, session, wrapDriver, wrapNetwork } = this.#options;
    const storage = this.#storage(TMU, life);
    const file = 'identity.json';
    const bytes = await storage.read(file);
    if (bytes === undefined) throw new Error(`${storage.location} has no ${file}`);
    const identity = parseIdentity(new TextDecoder().decode(bytes), file);
    const poweredAtMs = life.clock.nowMs();
    const { tmu } = createTmuOnBus({
      vehicle: withSecrets(vehicle, identity, false),
      identity,
      logger,
      storage,
      bus: life.bus(this.wire.attach(TMU, { restartMs: RESTART_MS })),
      clock: life.clock,
      random: life.random,
      backend: {
        server: server.url,
        transport: life.network(wrapNetwork?.(this.network, this.vin) ?? this.network),
      },
      software: SOFTWARE,
      uptimeMs: () => life.clock.nowMs() - poweredAtMs,
      pollMs: this.#options.pollMs,
      syncIntervalMs: SYNC_MS,
      chunkBytes: this.#options.chunkBytes,
      ...defined({ session }),
      approvalTimeoutSeconds: this.#options.approvalTimeoutSeconds,
      events: life.whileAlive((event: TmuEvent) => this.#emit(TMU, { from: 'tmu', tmu: event })),
      lock: async () => NO_LOCK,
      ...(wrapDriver === undefined
        ? {}
        : { wrapDriver: (driver, name) => wrapDriver(driver, name, this.vin) }),
    });
    const end = new AbortController();
    this.#tmuSignals.push(end);
    return { stopped: tmu.run(end.signal) };
  }

  #storage(name: VehicleMachine, life: MachineLife): Storage {
    return this.#options.wrapStorage?.(life.storage, name, this.vin) ?? life.storage;
  }

  #emit(machine: VehicleMachine, event: VehicleEvent): void {
    this.#options.onEvent(machine, event);
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
