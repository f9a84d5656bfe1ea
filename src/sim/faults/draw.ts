// What the draws of all faults share: a seeded random, and the size of the campaign over which faults are spread.

import { itemAt } from '../../core/present.ts';
import type { Random } from '../../core/random.ts';
import { type EcuName, type MachineName, OUR_ECUS } from '../machine-names.ts';
import { CAMPAIGN_PHASES, type Trigger } from './trigger.ts';

/** Size of a fault-free campaign; faults are spread over it. */
export interface Dimensions {
  readonly frames: number;
  readonly durationMs: number;
  /** Operations on the TMU's disk, and on the disk of one updated ECU. */
  readonly tmuWrites: number;
  readonly ecuWrites: number;
  readonly exchanges: number;
}

/** Measured on the bench vehicle: image bytes, plus metadata and dialogue per ECU. */
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

export class Draw {
  readonly dimensions: Dimensions;
  readonly #random: Random;
  readonly #ecus: readonly EcuName[];

  /** `ecus`: the ECUs that the campaign updates; most faults concern them. */
  constructor(random: Random, dimensions: Dimensions, ecus: readonly EcuName[]) {
    this.#random = random;
    this.dimensions = dimensions;
    this.#ecus = ecus;
  }

  trigger(): Trigger {
    const { frames, durationMs } = this.dimensions;
    switch (this.oneOf(['time', 'write', 'frame', 'frame', 'state', 'state'] as const)) {
      case 'time':
        return { on: 'time', ms: this.between(0, durationMs) };
      case 'write':
        return this.write(this.machine());
      case 'frame':
        return { on: 'frame', n: this.between(1, frames) };
      case 'state':
        return {
          on: 'state',
          state: this.oneOf(CAMPAIGN_PHASES),
          // Most states are short: half of the faults come at once, the others within half of the longest duration.
          delayMs: this.chance(0.5) ? this.between(0, 50) : this.between(0, durationMs / 2),
        };
    }
  }

  write(machine: MachineName): Trigger {
    const { tmuWrites, ecuWrites } = this.dimensions;
    return {
      on: 'write',
      machine,
      n: this.between(1, machine === 'TMU' ? tmuWrites : ecuWrites),
    };
  }

  machine(): MachineName {
    return this.chance(0.4) ? 'TMU' : this.ecu();
  }

  ecu(): EcuName {
    return this.chance(0.85) ? this.oneOf(this.#ecus) : this.oneOf(OUR_ECUS);
  }

  /** A frame or two, rarely a storm. */
  burst(): number {
    return this.chance(0.6) ? this.between(1, 2) : this.between(3, 40);
  }

  /** How long a machine is off: a short dropout, a restart, or a vehicle that stands longer than any trial lasts. */
  pause(): number {
    if (this.chance(0.6)) return this.between(1, 500);
    return this.chance(0.8) ? this.between(500, 10_000) : this.between(10_000, 900_000);
  }

  oneOf<const T>(choices: readonly T[]): T {
    return itemAt(choices, Math.floor(this.#random.fraction() * choices.length));
  }

  /** Draws a whole number, both ends included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.#random.fraction() * (Math.floor(most) - least + 1));
  }

  chance(share: number): boolean {
    return this.#random.fraction() < share;
  }
}
