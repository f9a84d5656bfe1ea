// A vehicle of a simulated world: TMU and ECUs as machines on one wire, a driver, sensors, and a way to the backend.

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
/** `TMU`, or the name of an ECU in the vehicle file; `driver` is none, and speaks, too. */
export type VehicleMachine = string;

/** What the parts of a vehicle tell, as they tell it. */
export type VehicleEvent =
  | { readonly from: 'tmu'; readonly tmu: TmuEvent }
  | { readonly from: 'ecu'; readonly ecu: EcuEvent }
  | { readonly from: 'plain-ecu'; readonly plain: PlainEcuEvent }
  | { readonly from: 'small-device'; readonly device: DeviceEvent | MachineEvent }
  | { readonly from: 'machine'; readonly machine: MachineEvent }
  | { readonly from: 'driver'; readonly deed: DriverDeed };

/** Something around the ports of the product; see WorldSabotage. */
export interface VehicleWrappers {
  readonly wrapDriver?: (driver: EcuDriver, ecu: string, vin: string) => EcuDriver;
  readonly wrapStorage?: (storage: Storage, machine: VehicleMachine, vin: string) => Storage;
  readonly wrapNetwork?: (transport: HttpTransport, vin: string) => HttpTransport;
}

export interface SimulatedVehicleOptions extends VehicleWrappers {
  /** Without secrets: those that the factory gave are on the disks. */
  readonly vehicle: Vehicle;
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly logger: Logger;
  readonly server: SimulatedServer;
  /** Of each machine, durably; missing: an ECU that comes from the chip factory. */
  readonly disks: ReadonlyMap<VehicleMachine, ReadonlyMap<string, Uint8Array>>;
  /** What an ECU of this name runs when it is new. */
  readonly factoryImage: (ecu: string) => { readonly image: Uint8Array; readonly version: string };
  /** Of the ECU of another make, where the vehicle file has one. */
  readonly otherMake?: Character | undefined;
  readonly pollMs: number;
  /** Images come in chunks of so many bytes; missing: by HTTP. */
  readonly chunkBytes?: number | undefined;
  /** Of the sealed messages. */
  readonly session?: SessionChoice | undefined;
  readonly approvalTimeoutSeconds: number;
  readonly onEvent: (machine: VehicleMachine, event: VehicleEvent) => void;
}

/** From one contact of the services to the next. */
const SYNC_MS = 5000;
/** Bytes of an image between two durable points: small images shall have several. */
const CHECKPOINT_BYTES = 4096;
/** As `ip link set can0 type can restart-ms 100`. */
const RESTART_MS = 100;
/** The manifest that the TMU's own version report names. */
const SOFTWARE = {
  name: 'can-ota-simulation',
  version: '1.0.0',
  length: 1,
  hashes: { sha256: '0'.repeat(64) },
};
/** One process has the disk; nothing else can. */
const NO_LOCK = { release: async (): Promise<void> => {} };

export class SimulatedVehicle {
  readonly vin: string;
  readonly vehicle: Vehicle;
  readonly wire: SimulatedWire;
  readonly network: SimulatedNetwork;
  readonly driver: DriverModel;
  /** What any node on the bus could have written down. */
  readonly eavesdropper: Eavesdropper;
  readonly machines: ReadonlyMap<VehicleMachine, SimulatedMachine>;
  readonly #options: SimulatedVehicleOptions;
  readonly #faults = new Map<string, Writable<EcuFaults>>();
  readonly #ecus = new Map<string, Ecu>();
  /** Of the ECU of another make; may be changed at any time. */
  readonly otherMakeFaults: PlainEcuFaults = noFaults();
  #plain: PlainEcu | undefined;
  readonly #signals = new Map<string, SignalValue>();
  readonly #tmuSignals: AbortController[] = [];
  #board: SignalBoard | undefined;

  /** Everything is switched off. */
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

  /** Throws for a name that is none. */
  machine(name: VehicleMachine): SimulatedMachine {
    const machine = this.machines.get(name);
    if (machine === undefined) throw new Error(`${this.vin} has no ${name}`);
    return machine;
  }

  /** As it lives at present; undefined while it is off, or starts. */
  ecu(name: string): Ecu | undefined {
    return this.machine(name).alive ? this.#ecus.get(name) : undefined;
  }

  /** What an ECU of whatever make runs at present; undefined while it is off, or starts. */
  running(name: string): { readonly bank: string | number } | undefined {
    if (name !== OTHER_MAKE) return this.ecu(name)?.running;
    return this.machine(name).alive ? this.#plain?.running : undefined;
  }

  /** Faults of an ECU, which may be changed at any time; they outlive its lives. */
  faults(name: string): Writable<EcuFaults> {
    let faults = this.#faults.get(name);
    if (faults === undefined) {
      faults = {};
      this.#faults.set(name, faults);
    }
    return faults;
  }

  /** What a sensor says from now on; whoever restarts has to measure it, too. */
  setSignal(name: string, value: SignalValue): void {
    this.#signals.set(name, value);
    this.#board?.set(name, value);
  }

  /** All sensors say the usual again: standing, parked, ignition on, a good battery. */
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

  /** Everything at once. */
  cutAll(): void {
    for (const machine of this.machines.values()) machine.cut();
  }

  /** Switches everything off for good. */
  close(): void {
    this.cutAll();
    // Node holds signals that are made of others in memory as long as somebody listens to them, and the dead do.
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
    if (otherMake === undefined) throw new Error(`nobody has said how ${name} behaves`);
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
