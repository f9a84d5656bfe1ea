// What a fault is: data that is drawn beforehand, and a module that makes it happen to one vehicle.

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

/** The members that every fault has; the others are its own. All of it is JSON. */
export interface FaultShape {
  readonly category: string;
  readonly kind: string;
  /** Missing: it is there from the start of its campaign, or waits for something of its own. */
  readonly at?: Trigger;
}

/** `Given`: what its category has drawn before the choice of the fault. */
export interface FaultModule<F extends FaultShape, Given = undefined> {
  readonly category: F['category'];
  readonly kind: F['kind'];
  draw(draw: Draw, given: Given): F;
  /** At the start of the campaign. */
  begin?(fault: F, context: FaultContext): void;
  /** At its trigger. */
  fire?(fault: F, context: FaultContext): void;
  /** It calls `fired` by itself, when it has really done something. */
  readonly countsItself?: boolean;
  /** It costs nothing but time: with no other fault the campaign succeeds. */
  readonly onlyTime?: boolean;
}

/** Keeps its type exact. */
export function faultModule<F extends FaultShape, Given = undefined>(
  module: FaultModule<F, Given>,
): FaultModule<F, Given> {
  return module;
}

/** What happens to single frames. `undefined`: nothing to this one. */
export type FrameFilter = (frame: CanFrame, from: string) => FrameFate | undefined;

/** Something that was taken on and can be taken back. */
export interface Handle {
  /** False: it was over already. */
  end(): boolean;
}

/** What an ECU does that a fault may wait for. */
export type EcuMoment = 'reset' | 'boot-failed' | 'trial-boot';

/** What a fault may do to one vehicle, until the end of its campaign. */
export interface FaultContext {
  readonly vehicle: SimulatedVehicle;
  readonly server: SimulatedServer;
  /** In a world that has one, for the first vehicle only. */
  readonly smallDevice: SimulatedSmallDevice | undefined;
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  /** The fault has happened. */
  fired(): void;
  /** Something is broken for so long; `then` mends it whatever happens meanwhile. */
  mend(ms: number, then: () => void): void;
  cut(machines: readonly MachineName[], offMs: number): void;
  /** The power goes away, and nobody brings it back. */
  cutNow(machine: MachineName): void;
  boot(machine: MachineName): void;
  /** A program may end by itself only where its disk or its controller was taken away. */
  mayEnd(machine: MachineName): void;
  /** For the next `count` frames that it has something to say about. */
  frames(count: number, filter: FrameFilter): Handle;
  /** For so long. */
  framesFor(ms: number, filter: FrameFilter): void;
  /** Asked for each exchange, in the order of the faults; `n` counts from the start of the campaign. */
  exchanges(
    fault: (exchange: { readonly n: number; readonly path: string }) => NetworkFault | undefined,
    before?: 'others',
  ): Handle;
  /** The driver's next answer that is not taken yet. */
  answer(choice: DriverChoice): void;
  /** At each such moment until `then` says that it was the one. */
  when(moment: EcuMoment, ecu: EcuName, then: () => boolean): void;
  /** Once, when the TMU has begun a command. */
  onCommand(then: () => void): void;
  /** Once, before the next sync on the disk of this machine. */
  beforeSync(machine: MachineName, then: () => void): Handle;
  /** Everything works again, also what nobody has mended. */
  atEnd(then: () => void): void;
}
