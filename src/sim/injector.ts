// Executes the faults of one campaign on one vehicle at their moments, counts them, and repairs everything at the end.

import type { CanFrame } from '../bus/can-frame.ts';
import type { DriverChoice } from './driver-model.ts';
import { type Fault, type FaultCategory, moduleOf } from './faults/catalogue.ts';
import type { EcuMoment, FaultContext, FrameFilter, Handle } from './faults/fault.ts';
import { type EcuName, fittedMachines, type MachineName } from './machine-names.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { FrameFate } from './simulated-bus.ts';
import type { DiskMoment, DiskOperation } from './simulated-disk.ts';
import type { NetworkFault } from './simulated-network.ts';
import type { SimulatedServer } from './simulated-server.ts';
import type { SimulatedVehicle } from './simulated-vehicle.ts';
import type { SimulatedSmallDevice } from './small-device.ts';
import type { VirtualClock } from './virtual-clock.ts';

export interface InjectorOptions {
  readonly vehicle: SimulatedVehicle;
  readonly server: SimulatedServer;
  readonly smallDevice?: SimulatedSmallDevice | undefined;
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly faults: readonly Fault[];
  readonly onFired: (category: FaultCategory) => void;
}

type Triggered = Extract<Fault, { at: unknown }>;
type ExchangeFilter = Parameters<FaultContext['exchanges']>[0];

/** Time until a watchdog or supervisor starts a program again. */
const RESTART_MS = 1000;

export class Injector {
  readonly #options: InjectorOptions;
  /** Faults with a trigger that has not come yet. */
  #waiting: Triggered[];
  readonly #frameFilters = new List<{ left: number; readonly filter: FrameFilter }>();
  readonly #exchangeFilters = new List<ExchangeFilter>();
  readonly #answers = new List<{ readonly choice: DriverChoice; readonly fired: () => void }>();
  readonly #moments = new List<{
    readonly moment: EcuMoment;
    readonly ecu: EcuName;
    readonly then: () => boolean;
  }>();
  readonly #commands = new List<() => void>();
  readonly #syncs = new List<{ readonly machine: MachineName; readonly then: () => void }>();
  readonly #ends = new List<() => void>();
  readonly #writes = new Map<MachineName, number>();
  #frames = 0;
  #exchanges = 0;
  /** Number of things that are broken now and will be repaired. */
  #broken = 0;
  #over = false;
  readonly #mayEnd = new Set<string>();

  constructor(options: InjectorOptions) {
    this.#options = options;
    const { vehicle, faults } = options;
    this.#waiting = faults.filter((fault) => 'at' in fault);
    for (const fault of faults) {
      moduleOf(fault).begin?.(fault, this.#contextOf(fault));
      if ('at' in fault && fault.at.on === 'time') {
        this.#later(fault.at.ms, () => this.#fire(fault));
      }
    }
    vehicle.network.fault = ({ path }) => this.#onExchange(path);
    vehicle.driver.choose = () => this.#choose();
  }

  /** Nothing is broken at the moment. Faults may still be waiting for their trigger. */
  get quiet(): boolean {
    return this.#broken === 0;
  }

  /** Disk operations of this machine since the start of the campaign. */
  writesOf(machine: MachineName): number {
    return this.#writes.get(machine) ?? 0;
  }

  get frames(): number {
    return this.#frames;
  }

  /** The TMU's campaign has entered this state. */
  onState(state: string): void {
    this.#due(
      ({ at }) => at.on === 'state' && at.state === state,
      (fault) => {
        const { at } = fault;
        this.#later(at.on === 'state' ? at.delayMs : 0, () => this.#fire(fault));
      },
    );
  }

  /** The TMU has begun a command. */
  onCommand(): void {
    const then = this.#commands.takeFirst();
    if (!this.#over) then?.();
  }

  onOperation(machine: MachineName, operation: DiskOperation, moment: DiskMoment): void {
    if (moment === 'after') return;
    const n = this.writesOf(machine) + 1;
    this.#writes.set(machine, n);
    this.#due(
      ({ at }) => at.on === 'write' && at.machine === machine && at.n === n,
      (fault) => this.#fire(fault),
    );
    if (operation.kind === 'sync') this.#onSync(machine);
  }

  /** Called for every frame on the wire. */
  onFrame(frame: CanFrame, from: string): FrameFate {
    this.#frames++;
    this.#due(
      ({ at }) => at.on === 'frame' && at.n === this.#frames,
      // The wire is still processing the frame.
      (fault) => this.#later(0, () => this.#fire(fault)),
    );
    for (const entry of this.#frameFilters.items) {
      const fate = entry.filter(frame, from);
      if (fate === undefined) continue;
      if (--entry.left <= 0) this.#frameFilters.remove(entry);
      return fate;
    }
    return 'pass';
  }

  /** An event of an ECU that a fault may wait for. */
  onMoment(moment: EcuMoment, ecu: EcuName): void {
    for (const entry of this.#moments.items) {
      if (entry.moment !== moment || entry.ecu !== ecu || !entry.then()) continue;
      this.#moments.remove(entry);
      return;
    }
  }

  /** A program ended although its power was on. False: no fault explains it. */
  onProgramEnded(machine: string): boolean {
    this.#mend(RESTART_MS, () => this.#boot(machine));
    return this.#mayEnd.has(machine);
  }

  /** Faults that have not happened yet are dropped, and everything is repaired. */
  end(): void {
    const { vehicle } = this.#options;
    this.#over = true;
    this.#waiting = [];
    for (const list of [this.#frameFilters, this.#exchangeFilters, this.#answers]) list.clear();
    for (const list of [this.#moments, this.#commands, this.#syncs]) list.clear();
    vehicle.network.fault = undefined;
    vehicle.driver.choose = () => ({ answer: 'approve' });
    for (const end of this.#ends.items) end();
    this.#ends.clear();
  }

  #contextOf({ category }: Fault): FaultContext {
    const { vehicle, server, smallDevice, clock, random, onFired } = this.#options;
    const fired = (): void => onFired(category);
    return {
      ...{ vehicle, server, smallDevice, clock, random, fired },
      mend: (ms, then) => this.#mend(ms, then),
      cut: (machines, offMs) => {
        for (const machine of machines) vehicle.machine(machine).cut();
        this.#mend(offMs, () => {
          for (const machine of machines) this.#boot(machine);
        });
      },
      cutNow: (machine) => vehicle.machine(machine).cut(),
      boot: (machine) => this.#boot(machine),
      mayEnd: (machine) => void this.#mayEnd.add(machine),
      frames: (count, filter) => this.#frameFilters.add({ left: count, filter }),
      framesFor: (ms, filter) => {
        const handle = this.#frameFilters.add({ left: Number.POSITIVE_INFINITY, filter });
        this.#mend(ms, () => void handle.end());
      },
      exchanges: (filter, before) => this.#exchangeFilters.add(filter, before === 'others'),
      answer: (choice) => void this.#answers.add({ choice, fired }),
      when: (moment, ecu, then) => void this.#moments.add({ moment, ecu, then }),
      onCommand: (then) => void this.#commands.add(then),
      beforeSync: (machine, then) => this.#syncs.add({ machine, then }),
      atEnd: (then) => void this.#ends.add(then),
    };
  }

  #due(isDue: (fault: Triggered) => boolean, then: (fault: Triggered) => void): void {
    if (this.#waiting.length === 0) return;
    const due = this.#waiting.filter(isDue);
    if (due.length === 0) return;
    this.#waiting = this.#waiting.filter((fault) => !due.includes(fault));
    for (const fault of due) then(fault);
  }

  #fire(fault: Triggered): void {
    this.#waiting = this.#waiting.filter((one) => one !== fault);
    const module = moduleOf(fault);
    const context = this.#contextOf(fault);
    if (module.countsItself !== true) context.fired();
    module.fire?.(fault, context);
  }

  #later(ms: number, then: () => void): void {
    this.#options.clock.after('fault', ms, () => {
      if (!this.#over) then();
    });
  }

  #mend(ms: number, then: () => void): void {
    this.#broken++;
    this.#options.clock.after('mend', ms, () => {
      this.#broken--;
      then();
    });
  }

  #boot(machine: string): void {
    void this.#options.vehicle.machine(machine).boot();
  }

  #onSync(machine: MachineName): void {
    const due = this.#syncs.items.filter((entry) => entry.machine === machine);
    for (const entry of due) this.#syncs.remove(entry);
    for (const { then } of due) then();
  }

  #onExchange(path: string): NetworkFault | undefined {
    const n = ++this.#exchanges;
    for (const filter of this.#exchangeFilters.items) {
      const fault = filter({ n, path });
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #choose(): DriverChoice {
    const answer = this.#answers.takeFirst();
    answer?.fired();
    return answer?.choice ?? { answer: 'approve' };
  }
}

/** An ordered list that may be changed during iteration. */
class List<T> {
  items: readonly T[] = [];

  add(item: T, atFront = false): Handle {
    this.items = atFront ? [item, ...this.items] : [...this.items, item];
    return { end: () => this.remove(item) };
  }

  /** False: the item was not in the list. */
  remove(item: T): boolean {
    const before = this.items.length;
    this.items = this.items.filter((one) => one !== item);
    return this.items.length < before;
  }

  takeFirst(): T | undefined {
    const [first] = this.items;
    if (first !== undefined) this.remove(first);
    return first;
  }

  clear(): void {
    this.items = [];
  }
}

/** Whether every machine of a vehicle is on. */
export function allOn(vehicle: SimulatedVehicle): boolean {
  return fittedMachines(vehicle).every((name) => vehicle.machine(name).alive);
}
