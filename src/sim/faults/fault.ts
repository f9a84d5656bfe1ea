// The form of a fault: data that is drawn in advance, and a module that executes it on one vehicle.

import type { CanFrame } from '../../bus/can-frame.ts';
import type { DriverChoice } from '../driver-model.ts';
import type { EcuName, MachineName } from '../machine-names.ts';
import type { SeededRandom } from '../seeded-random.ts';
import type { FrameFate } from '../simulated-bus.ts';
import type { NetworkFault } from '../simulated-network.ts';
import type { SimulatedServer } from '../simulated-server.ts';
import type { SimulatedVehicle } from '../simulated-vehicle.ts';
import type { SimulatedSmallDevice } from '../small-device.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import type { Draw } from './draw.ts';
import type { Trigger } from './trigger.ts';

/** The members that every fault has; each kind adds others. All of it is JSON. */
export interface FaultShape {
  readonly category: string;
  readonly kind: string;
  /** Missing: the fault is there from the start of its campaign, or waits for an event of its own. */
  readonly at?: Trigger;
}

/** `Given`: facts that the category has drawn before the choice of the fault. */
export interface FaultModule<F extends FaultShape, Given = undefined> {
  readonly category: F['category'];
  readonly kind: F['kind'];
  draw(draw: Draw, given: Given): F;
  /** Called at the start of the campaign. */
  begin?(fault: F, context: FaultContext): void;
  /** Called at its trigger. */
  fire?(fault: F, context: FaultContext): void;
  /** The module itself calls `fired`, once it has really changed something. */
  readonly countsItself?: boolean;
  /** The fault only costs time: with no other fault the campaign succeeds. */
  readonly onlyTime?: boolean;
}

/** Keeps the exact type. */
export function faultModule<F extends FaultShape, Given = undefined>(
  module: FaultModule<F, Given>,
): FaultModule<F, Given> {
  return module;
}

/** Decides about a single frame. `undefined`: the frame is not changed. */
export type FrameFilter = (frame: CanFrame, from: string) => FrameFate | undefined;

/** A registration that can be ended. */
export interface Handle {
  /** False: it had ended already. */
  end(): boolean;
}

/** Events of an ECU that a fault may wait for. */
export type EcuMoment = 'reset' | 'boot-failed' | 'trial-boot';

/** What a fault may do to one vehicle, until the end of its campaign. */
export interface FaultContext {
  readonly vehicle: SimulatedVehicle;
  readonly server: SimulatedServer;
  /** Only for the first vehicle, in a world with a small device. */
  readonly smallDevice: SimulatedSmallDevice | undefined;
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  /** Counts the fault as happened. */
  fired(): void;
  /** Something is broken for this long; `then` repairs it in any case. */
  mend(ms: number, then: () => void): void;
  cut(machines: readonly MachineName[], offMs: number): void;
  /** Cuts the power; the caller has to switch it on again. */
  cutNow(machine: MachineName): void;
  boot(machine: MachineName): void;
  /** Allows a program to end by itself, where its disk or its controller was taken away. */
  mayEnd(machine: MachineName): void;
  /** Filters the next `count` frames for which `filter` returns a fate. */
  frames(count: number, filter: FrameFilter): Handle;
  /** Filters all frames for this long. */
  framesFor(ms: number, filter: FrameFilter): void;
  /** Called for each exchange, in the order of the faults; `n` counts from the start of the campaign. */
  exchanges(
    fault: (exchange: { readonly n: number; readonly path: string }) => NetworkFault | undefined,
    before?: 'others',
  ): Handle;
  /** Sets the driver's next answer that no other fault has set. */
  answer(choice: DriverChoice): void;
  /** Calls `then` at each such moment until it returns true. */
  when(moment: EcuMoment, ecu: EcuName, then: () => boolean): void;
  /** Calls `then` once, when the TMU has begun a command. */
  onCommand(then: () => void): void;
  /** Calls `then` once, before the next sync on the disk of this machine. */
  beforeSync(machine: MachineName, then: () => void): Handle;
  /** Called when everything is repaired at the end of the campaign. */
  atEnd(then: () => void): void;
}
