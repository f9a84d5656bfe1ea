// Makes the faults of one campaign happen to one vehicle, counts those that did, and repairs everything in the end.

import { type CanFrame, classicFrame } from '../bus/can-frame.ts';
import { toHex } from '../core/bytes.ts';
import { assertNever } from '../core/errors.ts';
import { testerAddresses } from '../isotp/address.ts';
import { CHUNK_PATH } from '../services/chunked/protocol.ts';
import { findEcu } from '../vehicle/load.ts';
import { startBabbling } from './babbling-node.ts';
import { ECU_NAMES, type EcuName, type Fault, MACHINE_NAMES, type MachineName } from './faults.ts';
import type { FaultCategory } from './profiles.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { FrameFate, SimulatedBus } from './simulated-bus.ts';
import type { DiskMoment, DiskOperation } from './simulated-disk.ts';
import type { NetworkFault } from './simulated-network.ts';
import { OperatorError, type SimulatedServer } from './simulated-server.ts';
import { type SimulatedVehicle, TMU } from './simulated-vehicle.ts';
import { plantTroubleCode, rotBank } from './tampering.ts';
import type { VirtualClock } from './virtual-clock.ts';

type Of<C extends FaultCategory> = Extract<Fault, { category: C }>;

export interface InjectorOptions {
  readonly vehicle: SimulatedVehicle;
  readonly server: SimulatedServer;
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly faults: readonly Fault[];
  readonly onFired: (category: FaultCategory) => void;
}

/** Watchdog and supervisor: a program that ended is started again. */
const RESTART_MS = 1000;
const TESTER_GAP_MS = 50;
/** Of a TMU that is cut in a command. */
const OFF_MS = 300;
/** Longer than anybody waits for an answer. */
const LATE_MS = 60_000;
/** What operators want to be told about. */
const TELEMETRY_DIDS = ['INV.FD40', 'INV.FD41', 'BMS.FD50', 'EDT.FD31'];

/** A fault that changes single frames, for as long as it has frames left. */
interface FrameFault {
  left: number;
  fate(frame: CanFrame, from: string): FrameFate | undefined;
}

export class Injector {
  readonly #options: InjectorOptions;
  /** By what they wait for. */
  #waiting: Fault[] = [];
  #frameFaults: FrameFault[] = [];
  readonly #writes = new Map<MachineName, number>();
  #frames = 0;
  #exchanges = 0;
  #answers = 0;
  /** Things that are broken at the moment and will be well again. */
  #broken = 0;
  /** How probable it is that chunks come too late. */
  #lateChunks = 0;
  #cutsAtCommands: number[] = [];
  #over = false;
  /** A program may end by itself only where its disk or its controller was taken away. */
  readonly #mayEnd = new Set<string>();

  constructor(options: InjectorOptions) {
    this.#options = options;
    this.#waiting = [...options.faults];
    const { vehicle } = options;
    for (const fault of options.faults) {
      switch (fault.kind) {
        case 'self-test':
          vehicle.faults(fault.ecu).failSelfTest = true;
          break;
        case 'refuse-boot':
          vehicle.faults(fault.ecu).refuseNewImage = true;
          break;
      }
      if ('at' in fault && fault.at.on === 'time') {
        this.#later(fault.at.ms, () => this.#fire(fault));
      }
    }
    vehicle.network.fault = ({ path }) => this.#onExchange(path);
    vehicle.driver.choose = () => {
      this.#answers++;
      return this.#choose();
    };
  }

  /** Nothing is broken at the moment. Faults whose moment has not come may still be there. */
  get quiet(): boolean {
    return this.#broken === 0;
  }

  /** Operations of this machine since the beginning, and frames. */
  writesOf(machine: MachineName): number {
    return this.#writes.get(machine) ?? 0;
  }

  get frames(): number {
    return this.#frames;
  }

  /** The TMU's campaign has come into this state. */
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
    const afterMs = this.#cutsAtCommands.shift();
    if (afterMs === undefined || this.#over) return;
    this.#mend(afterMs, () => this.#cut([TMU], OFF_MS));
  }

  onOperation(machine: MachineName, operation: DiskOperation, moment: DiskMoment): void {
    if (moment === 'after') return;
    const n = this.writesOf(machine) + 1;
    this.#writes.set(machine, n);
    this.#due(
      ({ at }) => at.on === 'write' && at.machine === machine && at.n === n,
      (fault) => this.#fire(fault),
    );
    if (operation.kind === 'sync' && this.#torn.delete(machine)) this.#cutNow([machine]);
  }

  /** Asked for every frame on the wire. */
  onFrame(frame: CanFrame, from: string): FrameFate {
    this.#frames++;
    this.#due(
      ({ at }) => at.on === 'frame' && at.n === this.#frames,
      // The frame is still in the hands of the wire.
      (fault) => this.#later(0, () => this.#fire(fault)),
    );
    for (const fault of this.#frameFaults) {
      const fate = fault.fate(frame, from);
      if (fate === undefined) continue;
      if (--fault.left <= 0) this.#frameFaults = this.#frameFaults.filter((one) => one !== fault);
      return fate;
    }
    return 'pass';
  }

  /** An ECU restarts: with the new software comes what it finds wrong. */
  onReset(ecu: EcuName): void {
    const fault = this.#waiting.find((one) => one.kind === 'trouble-code' && one.ecu === ecu);
    if (fault === undefined || !plantTroubleCode(this.#options.vehicle.machine(ecu).disk)) return;
    this.#waiting = this.#waiting.filter((one) => one !== fault);
    this.#options.onFired('ecu');
  }

  /** The self test of a new image has failed, or it did not come up. */
  onBadImage(ecu: EcuName, kind: 'self-test' | 'refuse-boot'): void {
    const fault = this.#waiting.find((one) => one.kind === kind && one.ecu === ecu);
    if (fault === undefined) return;
    this.#waiting = this.#waiting.filter((one) => one !== fault);
    this.#options.onFired('ecu');
  }

  /** A program ended although its power was on. False: nothing here was a reason for that. */
  onProgramEnded(machine: string): boolean {
    this.#mend(RESTART_MS, () => this.#boot(machine));
    return this.#mayEnd.has(machine);
  }

  /** Faults that did not happen so far never will, and everything works again. */
  end(): void {
    const { vehicle } = this.#options;
    this.#over = true;
    this.#waiting = [];
    this.#frameFaults = [];
    this.#torn.clear();
    vehicle.network.fault = undefined;
    this.#lateChunks = 0;
    vehicle.driver.choose = () => ({ answer: 'approve' });
    for (const ecu of ECU_NAMES) {
      vehicle.faults(ecu).failSelfTest = false;
      vehicle.faults(ecu).refuseNewImage = false;
    }
  }

  readonly #torn = new Set<MachineName>();

  #due(
    isDue: (fault: Extract<Fault, { at: unknown }>) => boolean,
    then: (fault: Extract<Fault, { at: unknown }>) => void,
  ): void {
    if (this.#waiting.length === 0) return;
    const due = this.#waiting.filter((fault) => 'at' in fault).filter(isDue);
    if (due.length === 0) return;
    const gone: readonly Fault[] = due;
    this.#waiting = this.#waiting.filter((fault) => !gone.includes(fault));
    for (const fault of due) then(fault);
  }

  #later(ms: number, then: () => void): void {
    this.#options.clock.after('fault', ms, () => {
      if (!this.#over) then();
    });
  }

  /** Broken until then; mended whatever happens meanwhile. */
  #mend(ms: number, then: () => void): void {
    this.#broken++;
    this.#options.clock.after('mend', ms, () => {
      this.#broken--;
      then();
    });
  }

  #fire(fault: Fault): void {
    this.#waiting = this.#waiting.filter((one) => one !== fault);
    if (fault.kind !== 'rot') this.#options.onFired(fault.category);
    switch (fault.category) {
      case 'power':
        this.#cut(fault.machines, fault.offMs);
        break;
      case 'bus':
        this.#disturb(fault);
        break;
      case 'network':
        this.#disconnect(fault);
        break;
      case 'disk':
        this.#spoil(fault);
        break;
      case 'ecu':
        this.#breakEcu(fault);
        break;
      case 'driver':
        if (fault.kind === 'withdraw') this.#options.vehicle.driver.withdraw();
        else if (fault.kind === 'cancel') void this.#cancel();
        break;
      case 'vehicle':
        this.#move(fault);
        break;
      case 'services':
        void this.#operate(fault);
        break;
      case 'backend':
        this.#spoilChunks(fault);
        break;
      default:
        assertNever(fault);
    }
  }

  /** An operator at the backend; what it does not take he leaves at that. */
  async #operate(fault: Of<'services'>): Promise<void> {
    const { vehicle, server, random, clock } = this.#options;
    const { vin } = vehicle;
    const ask = async (method: 'POST' | 'PUT' | 'DELETE', path: string, body: unknown) => {
      if (!server.running) return undefined;
      return server.operate(method, path, body).catch((error: unknown) => {
        // It may go away in the middle of it, and then nobody knows what it has done.
        if (error instanceof OperatorError && error.status < 500) return undefined;
        if (!server.running) return undefined;
        throw error;
      });
    };
    if (fault.kind === 'configure') {
      const { pollInterval, uploadInterval } = fault;
      const dids = TELEMETRY_DIDS.slice(0, fault.dids);
      await ask('PUT', `/config/${vin}`, { parameters: { pollInterval, uploadInterval, dids } });
      return;
    }
    const { action, value, expiresInS, cancelAfterMs, cutAfterMs } = fault;
    if (cutAfterMs !== null) this.#cutsAtCommands.push(cutAfterMs);
    const names = { calibrate: undefined, setPowerLimit: 'power', setFan: 'duty' } as const;
    const argument = names[action];
    const order = {
      ...{ ecu: 'INV', action, expiresInS, priority: value % 10 },
      arguments: argument === undefined ? {} : { [argument]: value },
      key: toHex(random.bytes(8)),
    };
    const told = await ask('POST', `/commands/${vin}`, order);
    if (fault.twice) await ask('POST', `/commands/${vin}`, order);
    const { id } = (told ?? {}) as { id?: string };
    if (id === undefined || cancelAfterMs === null) return;
    clock.after('operator', cancelAfterMs, () => {
      void ask('DELETE', `/commands/${vin}/${id}`, {});
    });
  }

  #spoilChunks({ kind, rate, forMs }: Of<'backend'>): void {
    // Time stands still while the server works: what is late is late on its way.
    if (kind === 'timeout') {
      this.#lateChunks = rate;
      this.#mend(forMs, () => {
        this.#lateChunks = 0;
      });
      return;
    }
    const { chunkFaults } = this.#options.server;
    chunkFaults[kind] = rate;
    this.#mend(forMs, () => {
      delete chunkFaults[kind];
    });
  }

  /** Where nothing is under way, or the backend is away, the operator is told so, and leaves it at that. */
  async #cancel(): Promise<void> {
    const { vehicle, server } = this.#options;
    if (!server.running) return;
    const body = new TextEncoder().encode(JSON.stringify({ reason: 'the release is withdrawn' }));
    await server
      .post(`/vehicles/${vehicle.vin}/cancel`, body, 'application/json')
      .catch((error: unknown) => {
        if (!(error instanceof OperatorError) || error.status >= 500) throw error;
      });
  }

  #cutNow(machines: readonly MachineName[]): void {
    for (const machine of machines) this.#options.vehicle.machine(machine).cut();
  }

  #cut(machines: readonly MachineName[], offMs: number): void {
    this.#cutNow(machines);
    this.#mend(offMs, () => {
      for (const machine of machines) this.#boot(machine);
    });
  }

  #boot(machine: string): void {
    void this.#options.vehicle.machine(machine).boot();
  }

  #disturb(fault: Of<'bus'>): void {
    switch (fault.kind) {
      case 'drop':
      case 'duplicate':
      case 'corrupt': {
        const { kind } = fault;
        this.#frameFaults.push({ left: fault.frames, fate: () => kind });
        break;
      }
      case 'deaf': {
        const { machine } = fault;
        this.#frameFaults.push({
          left: fault.frames,
          fate: (_frame, from) => (from === machine ? undefined : { missedBy: [machine] }),
        });
        break;
      }
      case 'babble': {
        const { clock, vehicle } = this.#options;
        startBabbling({ clock, wire: vehicle.wire, forMs: fault.forMs, name: 'babbler' });
        this.#mend(fault.forMs, () => {});
        break;
      }
      case 'bus-off': {
        // As by a bad contact: what it sends is destroyed until its controller leaves the bus.
        const { machine } = fault;
        this.#during(fault.forMs, (_frame, from) => (from === machine ? 'corrupt' : undefined));
        break;
      }
      case 'second-tester':
        this.#secondTester(fault.ecu, fault.requests);
        break;
      default:
        assertNever(fault);
    }
  }

  #during(ms: number, fate: FrameFault['fate']): void {
    const fault: FrameFault = { left: Number.POSITIVE_INFINITY, fate };
    this.#frameFaults.push(fault);
    this.#mend(ms, () => {
      this.#frameFaults = this.#frameFaults.filter((one) => one !== fault);
    });
  }

  /** Default session, tester present, a seed, a version: what a workshop's tester does when it is plugged in. */
  #secondTester(ecu: EcuName, requests: number): void {
    const { vehicle, clock } = this.#options;
    const { tx } = testerAddresses(findEcu(vehicle.vehicle, ecu).address).physical;
    const bus: SimulatedBus = vehicle.wire.attach('second-tester');
    const payloads = [
      [0x02, 0x10, 0x01],
      [0x02, 0x3e, 0x00],
      [0x02, 0x10, 0x03],
      [0x02, 0x27, 0x01],
      [0x03, 0x22, 0xf1, 0x89],
    ];
    const ask = (left: number): void => {
      if (left === 0) {
        void bus.close();
        return;
      }
      const payload = payloads[left % payloads.length]!;
      bus.send(
        classicFrame(
          tx.id,
          Uint8Array.from([...payload, 0, 0, 0, 0, 0]).subarray(0, 8),
          tx.extended,
        ),
      );
      clock.after('second-tester', TESTER_GAP_MS, () => ask(left - 1));
    };
    this.#mend(requests * TESTER_GAP_MS, () => {});
    ask(requests);
  }

  #disconnect(fault: Of<'network'>): void {
    const { vehicle, server } = this.#options;
    if (fault.kind === 'away') {
      vehicle.network.covered = false;
      this.#mend(fault.forMs, () => {
        vehicle.network.covered = true;
      });
    } else if (fault.kind === 'server-restart') {
      server.stop();
      this.#mend(fault.forMs, () => void server.start());
    }
  }

  #onExchange(path: string): NetworkFault | undefined {
    const n = ++this.#exchanges;
    const { random } = this.#options;
    const slow = this.#lateChunks > 0 && path === CHUNK_PATH;
    if (slow && random.fraction() < this.#lateChunks) return { kind: 'delay', ms: LATE_MS };
    for (const fault of this.#waiting) {
      if (!('nth' in fault) || n < fault.nth) continue;
      if (n >= fault.nth + fault.exchanges - 1) {
        this.#waiting = this.#waiting.filter((one) => one !== fault);
      }
      if (n === fault.nth) this.#options.onFired('network');
      return this.#exchangeFault(fault.kind);
    }
    return undefined;
  }

  #exchangeFault(kind: NetworkFault['kind']): NetworkFault {
    const { random } = this.#options;
    const share = random.fraction();
    switch (kind) {
      case 'drop':
        return { kind, what: share < 0.5 ? 'request' : 'answer' };
      case 'delay':
        return { kind, ms: 100 + 60_000 * share * share };
      case 'cut':
        return share < 0.3 ? { kind } : { kind, share: random.fraction() };
      case 'truncate':
        return { kind, share };
      case 'garbage':
        return { kind, how: share < 0.7 ? 'flip' : 'portal' };
      case 'drip':
        return { kind, bytesPerSecond: 20 + 4000 * share };
      default:
        return assertNever(kind);
    }
  }

  #spoil(fault: Of<'disk'>): void {
    const { vehicle, random } = this.#options;
    switch (fault.kind) {
      case 'full': {
        const { disk } = vehicle.machine(fault.machine);
        this.#mayEnd.add(fault.machine);
        disk.full = true;
        this.#mend(fault.forMs, () => {
          disk.full = false;
        });
        break;
      }
      case 'torn':
        this.#torn.add(fault.machine);
        this.#mend(fault.offMs, () => {
          if (!this.#torn.delete(fault.machine)) this.#boot(fault.machine);
        });
        break;
      case 'rot':
        // Only what is staged and never ran: the rest of a flash has no second copy to go back to.
        if (rotBank(vehicle.machine(fault.ecu).disk, random)) this.#options.onFired('disk');
        break;
      default:
        assertNever(fault);
    }
  }

  #breakEcu(fault: Of<'ecu'>): void {
    const { vehicle, random } = this.#options;
    switch (fault.kind) {
      case 'stuck': {
        const { ecu } = fault;
        this.#during(fault.forMs, (_frame, from) => (from === ecu ? 'drop' : { missedBy: [ecu] }));
        break;
      }
      case 'wrong-answers': {
        const { ecu } = fault;
        const { rx } = testerAddresses(findEcu(vehicle.vehicle, ecu).address).physical;
        this.#frameFaults.push({
          left: fault.answers,
          fate: (frame, from) =>
            from === ecu && frame.id === rx.id
              ? { replaceBy: { ...frame, data: wrong(frame.data, random) } }
              : undefined,
        });
        break;
      }
      case 'reset-loop': {
        const machine = vehicle.machine(fault.ecu);
        for (let n = 0; n < fault.resets; n++) {
          this.#mend(n * fault.everyMs, () => {
            // Not one that a power cut has switched off: that one comes back at its own time.
            if (!machine.alive) return;
            machine.kill();
            this.#mend(1, () => this.#boot(fault.ecu));
          });
        }
        break;
      }
      case 'self-test':
      case 'refuse-boot':
      case 'trouble-code':
        break; // they are there from the beginning
      default:
        assertNever(fault);
    }
  }

  #choose(): ReturnType<SimulatedVehicle['driver']['choose']> {
    const fault = this.#waiting.find((one) => one.category === 'driver' && !('at' in one));
    if (fault?.category !== 'driver' || 'at' in fault) return { answer: 'approve' };
    this.#waiting = this.#waiting.filter((one) => one !== fault);
    this.#options.onFired('driver');
    switch (fault.kind) {
      case 'deny':
      case 'later-ignition':
        return { answer: fault.kind, afterMs: fault.afterMs };
      case 'later':
        return { answer: 'later', minutes: 5, afterMs: fault.afterMs };
      case 'silence':
        return { answer: 'silence' };
      default:
        return assertNever(fault);
    }
  }

  #move(fault: Of<'vehicle'>): void {
    const { vehicle } = this.#options;
    if (fault.kind === 'moving') vehicle.setSignal('speed', 50);
    else vehicle.setSignal('battery', 11);
    this.#mend(fault.forMs, () => vehicle.resetSignals());
  }
}

/** A negative response where there is a request to refuse, nonsense otherwise. */
function wrong(data: Uint8Array, random: SeededRandom): Uint8Array {
  const changed = data.slice();
  const isSingle = data.length > 2 && data[0]! >> 4 === 0;
  if (isSingle && random.fraction() < 0.5) {
    changed.set([0x03, 0x7f, data[1]! - 0x40, 0x22].slice(0, data.length));
    return changed;
  }
  const at = Math.floor(random.fraction() * data.length);
  if (data.length > 0) changed[at]! ^= 1 + Math.floor(random.fraction() * 255);
  return changed;
}

/** Every machine of a vehicle is on. */
export function allOn(vehicle: SimulatedVehicle): boolean {
  return MACHINE_NAMES.every((name) => vehicle.machine(name).alive);
}
