// What can go wrong, as data: drawn from a seed beforehand, so that each can be left out again when a history is shrunk.

import { assertNever } from '../core/errors.ts';
import type { Random } from '../core/random.ts';
import { CHUNK_FAULT_NAMES, type ChunkFault } from '../services/chunked/faults.ts';
import type { ProfileEntry } from './profiles.ts';

export const ECU_NAMES = ['CGW', 'EDT', 'INV', 'BMS'] as const;
export type EcuName = (typeof ECU_NAMES)[number];
export const MACHINE_NAMES = ['TMU', ...ECU_NAMES] as const;
export type MachineName = (typeof MACHINE_NAMES)[number];

/** When a fault begins. Everything is counted from the start of its campaign. */
export type Trigger =
  | { readonly on: 'time'; readonly ms: number }
  /** Before the nth operation that changes the disk of this machine. */
  | { readonly on: 'write'; readonly machine: MachineName; readonly n: number }
  /** At the end of the nth frame on the wire. */
  | { readonly on: 'frame'; readonly n: number }
  /** When the TMU's campaign comes into this state. */
  | { readonly on: 'state'; readonly state: CampaignPhase; readonly delayMs: number };

/** States of a campaign at which it hurts most. */
export const CAMPAIGN_PHASES = [
  'downloading',
  'awaiting-approval',
  'staging',
  'activating',
  'verifying',
  'committing',
  'rolling-back',
] as const;
export type CampaignPhase = (typeof CAMPAIGN_PHASES)[number];

/** What the wire does to single frames. */
export const FRAME_FAULTS = ['drop', 'duplicate', 'corrupt'] as const;
/** What the network does to single exchanges. */
export const EXCHANGE_FAULTS = ['drop', 'delay', 'cut', 'truncate', 'garbage', 'drip'] as const;
export type ExchangeFault = (typeof EXCHANGE_FAULTS)[number];

export type Fault =
  /** The supply of these machines breaks down, and comes back. */
  | {
      readonly category: 'power';
      readonly kind: 'cut';
      readonly at: Trigger;
      readonly machines: readonly MachineName[];
      readonly offMs: number;
    }
  | {
      readonly category: 'bus';
      readonly kind: (typeof FRAME_FAULTS)[number];
      readonly at: Trigger;
      /** Frames in a row. */
      readonly frames: number;
    }
  /** One node misses frames that the others hear: its receive buffer is full. */
  | {
      readonly category: 'bus';
      readonly kind: 'deaf';
      readonly at: Trigger;
      readonly machine: MachineName;
      readonly frames: number;
    }
  | {
      readonly category: 'bus';
      readonly kind: 'babble';
      readonly at: Trigger;
      readonly forMs: number;
    }
  | {
      readonly category: 'bus';
      readonly kind: 'bus-off';
      readonly at: Trigger;
      readonly machine: MachineName;
      readonly forMs: number;
    }
  /** Somebody at the diagnostic plug speaks with an ECU at the same time. */
  | {
      readonly category: 'bus';
      readonly kind: 'second-tester';
      readonly at: Trigger;
      readonly ecu: EcuName;
      readonly requests: number;
    }
  | {
      readonly category: 'network';
      readonly kind: ExchangeFault;
      /** The nth exchange of the campaign, from 1, and `exchanges - 1` after it. */
      readonly nth: number;
      readonly exchanges: number;
    }
  | {
      readonly category: 'network';
      readonly kind: 'away' | 'server-restart';
      readonly at: Trigger;
      readonly forMs: number;
    }
  | {
      readonly category: 'disk';
      readonly kind: 'full';
      readonly at: Trigger;
      readonly machine: MachineName;
      readonly forMs: number;
    }
  /** The supply breaks down in the middle of writing: what was not synced is torn. */
  | {
      readonly category: 'disk';
      readonly kind: 'torn';
      readonly at: Trigger;
      readonly machine: MachineName;
      readonly offMs: number;
    }
  /** A staged image that never ran loses bits. */
  | {
      readonly category: 'disk';
      readonly kind: 'rot';
      readonly at: Trigger;
      readonly ecu: EcuName;
    }
  /** Neither hears nor says anything. */
  | {
      readonly category: 'ecu';
      readonly kind: 'stuck';
      readonly at: Trigger;
      readonly ecu: EcuName;
      readonly forMs: number;
    }
  /** Its answers are garbled, or negative for no reason. */
  | {
      readonly category: 'ecu';
      readonly kind: 'wrong-answers';
      readonly at: Trigger;
      readonly ecu: EcuName;
      readonly answers: number;
    }
  | {
      readonly category: 'ecu';
      readonly kind: 'reset-loop';
      readonly at: Trigger;
      readonly ecu: EcuName;
      readonly resets: number;
      readonly everyMs: number;
    }
  /** For the whole campaign. */
  | {
      readonly category: 'ecu';
      readonly kind: 'self-test' | 'refuse-boot' | 'trouble-code';
      readonly ecu: EcuName;
    }
  /** What the driver says to the first question of the campaign, in place of yes. */
  | {
      readonly category: 'driver';
      readonly kind: 'deny' | 'later' | 'later-ignition' | 'silence';
      readonly afterMs: number;
    }
  /** The driver takes his approval back; the operator wants the campaign to end. */
  | { readonly category: 'driver'; readonly kind: 'withdraw' | 'cancel'; readonly at: Trigger }
  /** The vehicle is not in the condition for an update any more. */
  | {
      readonly category: 'vehicle';
      readonly kind: 'moving' | 'low-battery';
      readonly at: Trigger;
      readonly forMs: number;
    }
  /** An operator wants something of an ECU, in the middle of whatever happens. */
  | {
      readonly category: 'services';
      readonly kind: 'command';
      readonly at: Trigger;
      readonly action: 'calibrate' | 'setPowerLimit' | 'setFan';
      /** Of its argument; one that the ECU does not take is among them. */
      readonly value: number;
      /** The order is sent a second time. */
      readonly twice: boolean;
      readonly expiresInS: number;
      readonly cancelAfterMs: number | null;
      /** The TMU loses its power so long after it has begun the next command. */
      readonly cutAfterMs: number | null;
    }
  /** An operator changes the configuration. */
  | {
      readonly category: 'services';
      readonly kind: 'configure';
      readonly at: Trigger;
      readonly pollInterval: number;
      readonly uploadInterval: number;
      readonly dids: number;
    }
  /** The backend spoils what it sends in chunks, as `can-ota server --fault` does. */
  | {
      readonly category: 'backend';
      readonly kind: ChunkFault;
      readonly at: Trigger;
      readonly rate: number;
      readonly forMs: number;
    };

/** What a fault-free campaign of the drawn size does; faults are spread over it. */
export interface Dimensions {
  readonly frames: number;
  readonly durationMs: number;
  /** Operations on the TMU's disk, and on the disk of one ECU that is updated. */
  readonly tmuWrites: number;
  readonly ecuWrites: number;
  readonly exchanges: number;
}

/** Measured on the bench vehicle: image bytes, then metadata and dialogue, per ECU. */
export function dimensionsOf(ecus: number, imageBytes: number): Dimensions {
  const frames = 300 + ecus * (1500 + Math.ceil(imageBytes / 6.5));
  return {
    frames,
    durationMs: 2500 + ecus * 1500 + frames * 0.25,
    tmuWrites: 30 + 30 * ecus,
    ecuWrites: 40,
    exchanges: 12 + 4 * ecus,
  };
}

/** One fault of this category. `ecus`: those that the campaign updates; most faults concern them. */
export function drawFault(
  category: ProfileEntry,
  random: Random,
  dimensions: Dimensions,
  ecus: readonly EcuName[],
): Fault {
  const draw = new Draw(random, dimensions, ecus);
  switch (category) {
    case 'power':
      return draw.power();
    case 'bus':
      return draw.bus();
    case 'network':
      return draw.network();
    case 'disk':
      return draw.disk();
    case 'ecu':
      return draw.ecu();
    case 'driver':
      return draw.driver();
    case 'vehicle':
      return {
        category: 'vehicle',
        kind: draw.oneOf(['moving', 'low-battery']),
        at: draw.trigger(),
        forMs: draw.between(500, 60_000),
      };
    case 'services':
      return draw.services();
    case 'backend':
      return draw.backend(draw.oneOf(CHUNK_FAULT_NAMES));
    default:
      return draw.backend(category);
  }
}

class Draw {
  readonly #random: Random;
  readonly #dimensions: Dimensions;
  readonly #ecus: readonly EcuName[];

  constructor(random: Random, dimensions: Dimensions, ecus: readonly EcuName[]) {
    this.#random = random;
    this.#dimensions = dimensions;
    this.#ecus = ecus;
  }

  power(): Fault {
    const every = this.#chance(0.2);
    const several = this.#chance(0.25);
    const machines = MACHINE_NAMES.filter(() => every || (several && this.#chance(0.5)));
    const cut = machines.length > 0 ? machines : [this.#machine()];
    return {
      category: 'power',
      kind: 'cut',
      // A cut between two writes of the machine itself is where a half change would show.
      at: this.#chance(0.4) ? this.#write(this.oneOf(cut)) : this.trigger(),
      machines: cut,
      offMs: this.#pause(),
    };
  }

  bus(): Fault {
    const at = this.trigger();
    const kind = this.oneOf([
      ...FRAME_FAULTS,
      ...FRAME_FAULTS,
      'deaf',
      'babble',
      'bus-off',
      'second-tester',
    ] as const);
    switch (kind) {
      case 'drop':
      case 'duplicate':
      case 'corrupt':
        return { category: 'bus', kind, at, frames: this.#burst() };
      case 'deaf':
        return { category: 'bus', kind, at, machine: this.#machine(), frames: this.#burst() };
      case 'babble':
        return { category: 'bus', kind, at, forMs: this.between(5, 3000) };
      case 'bus-off':
        return {
          category: 'bus',
          kind,
          at,
          machine: this.#machine(),
          forMs: this.between(10, 5000),
        };
      case 'second-tester':
        return { category: 'bus', kind, at, ecu: this.#ecu(), requests: this.between(1, 20) };
      default:
        return assertNever(kind);
    }
  }

  network(): Fault {
    const kind = this.oneOf([...EXCHANGE_FAULTS, 'away', 'server-restart'] as const);
    if (kind === 'away' || kind === 'server-restart') {
      return { category: 'network', kind, at: this.trigger(), forMs: this.between(50, 60_000) };
    }
    const nth = this.between(1, this.#dimensions.exchanges);
    return { category: 'network', kind, nth, exchanges: this.#chance(0.7) ? 1 : this.#burst() };
  }

  disk(): Fault {
    if (this.#chance(0.25)) {
      return { category: 'disk', kind: 'rot', at: this.trigger(), ecu: this.#ecu() };
    }
    const machine = this.#machine();
    const at = this.#write(machine);
    return this.#chance(0.5)
      ? { category: 'disk', kind: 'full', at, machine, forMs: this.between(100, 60_000) }
      : { category: 'disk', kind: 'torn', at, machine, offMs: this.#pause() };
  }

  ecu(): Fault {
    const ecu = this.#ecu();
    const kind = this.oneOf([
      'stuck',
      'wrong-answers',
      'reset-loop',
      'self-test',
      'refuse-boot',
      'trouble-code',
    ] as const);
    switch (kind) {
      case 'stuck':
        return {
          category: 'ecu',
          kind,
          ecu,
          at: this.trigger(),
          forMs: this.#chance(0.8) ? this.between(50, 30_000) : this.between(30_000, 3_600_000),
        };
      case 'wrong-answers':
        return { category: 'ecu', kind, ecu, at: this.trigger(), answers: this.#burst() };
      case 'reset-loop':
        return {
          category: 'ecu',
          kind,
          ecu,
          at: this.trigger(),
          resets: this.between(1, 6),
          everyMs: this.between(50, 2000),
        };
      case 'self-test':
      case 'refuse-boot':
      case 'trouble-code':
        return { category: 'ecu', kind, ecu };
      default:
        return assertNever(kind);
    }
  }

  driver(): Fault {
    const kind = this.oneOf([
      ...(['deny', 'later', 'later-ignition', 'silence'] as const),
      ...(['withdraw', 'withdraw', 'cancel', 'cancel'] as const),
    ]);
    if (kind === 'withdraw' || kind === 'cancel') {
      return { category: 'driver', kind, at: this.trigger() };
    }
    return { category: 'driver', kind, afterMs: this.between(0, 20_000) };
  }

  services(): Fault {
    const at = this.trigger();
    if (this.#chance(0.35)) {
      return {
        category: 'services',
        kind: 'configure',
        at,
        pollInterval: this.between(1, 5),
        // Not always what the vehicle takes.
        uploadInterval: this.between(3, 15),
        dids: this.between(0, 4),
      };
    }
    const cut = this.#chance(0.5);
    return {
      category: 'services',
      kind: 'command',
      at,
      // Runs of the calibration are counted: a second one shows.
      action: cut ? 'calibrate' : this.oneOf(['calibrate', 'setPowerLimit', 'setFan']),
      value: this.between(0, 110),
      twice: this.#chance(0.3),
      expiresInS: this.between(1, 120),
      cancelAfterMs: this.#chance(0.2) ? this.between(0, 10_000) : null,
      // It takes most of a second.
      cutAfterMs: cut ? this.between(0, 1000) : null,
    };
  }

  backend(kind: ChunkFault): Fault {
    const rate = this.#chance(0.3) ? 1 : this.between(1, 50) / 100;
    const at: Trigger = this.#chance(0.7)
      ? { on: 'state', state: 'downloading', delayMs: this.between(0, 200) }
      : { on: 'time', ms: 0 };
    return { category: 'backend', kind, at, rate, forMs: this.between(50, 60_000) };
  }

  trigger(): Trigger {
    const { frames, durationMs } = this.#dimensions;
    switch (this.oneOf(['time', 'write', 'frame', 'frame', 'state', 'state'] as const)) {
      case 'time':
        return { on: 'time', ms: this.between(0, durationMs) };
      case 'write':
        return this.#write(this.#machine());
      case 'frame':
        return { on: 'frame', n: this.between(1, frames) };
      case 'state':
        return {
          on: 'state',
          state: this.oneOf(CAMPAIGN_PHASES),
          // Most states are short: half of the time at once, otherwise somewhere in the longest of them.
          delayMs: this.#chance(0.5) ? this.between(0, 50) : this.between(0, durationMs / 2),
        };
    }
  }

  oneOf<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.#random.fraction() * choices.length)]!;
  }

  /** Whole numbers, both ends included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.#random.fraction() * (Math.floor(most) - least + 1));
  }

  #write(machine: MachineName): Trigger {
    const { tmuWrites, ecuWrites } = this.#dimensions;
    return {
      on: 'write',
      machine,
      n: this.between(1, machine === 'TMU' ? tmuWrites : ecuWrites),
    };
  }

  #machine(): MachineName {
    return this.#chance(0.4) ? 'TMU' : this.#ecu();
  }

  #ecu(): EcuName {
    return this.#chance(0.85) ? this.oneOf(this.#ecus) : this.oneOf(ECU_NAMES);
  }

  /** A frame or two, rarely a storm. */
  #burst(): number {
    return this.#chance(0.6) ? this.between(1, 2) : this.between(3, 40);
  }

  /** A flicker, a restart, or a vehicle that stands for longer than any trial lasts. */
  #pause(): number {
    if (this.#chance(0.6)) return this.between(1, 500);
    return this.#chance(0.8) ? this.between(500, 10_000) : this.between(10_000, 900_000);
  }

  #chance(share: number): boolean {
    return this.#random.fraction() < share;
  }
}

/** One line for people. */
export function faultText(fault: Fault): string {
  const { category, kind, ...facts } = fault;
  const details = Object.entries(facts).map(([name, value]) =>
    name === 'at'
      ? `at ${triggerText(value as Trigger)}`
      : `${name} ${Array.isArray(value) ? value.join('+') : String(value)}`,
  );
  return [`${category}: ${kind}`, ...details].join(', ');
}

export function triggerText(trigger: Trigger): string {
  switch (trigger.on) {
    case 'time':
      return `${trigger.ms} ms`;
    case 'write':
      return `write ${trigger.n} of ${trigger.machine}`;
    case 'frame':
      return `frame ${trigger.n}`;
    case 'state':
      return `${trigger.delayMs} ms of ${trigger.state}`;
    default:
      return assertNever(trigger);
  }
}
