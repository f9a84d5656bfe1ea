// State, load, frames and errors of a bus since the last reading. Only what the bus has counted.

import type { Clock } from '../core/clock.ts';
import { defined } from '../core/optional.ts';
import type { BusState, BusStatistics, CanBus, WireFacts } from './can-bus.ts';

export interface BusReading {
  readonly name: string;
  readonly state: BusState;
  /** Missing: the bus cannot tell, or this is the first reading. */
  readonly load?: {
    /** Share of the time in which the wire was in use, 0 to 1000. */
    readonly permille: number;
    /** The time that the share refers to: since the reading before. */
    readonly overS: number;
    /** True: the real load was at least this. */
    readonly isLeast: boolean;
  };
  /** Frames of this process since it opened the bus. */
  readonly frames: BusStatistics;
  readonly errors?: number;
  readonly dropped?: number;
  readonly errorCounters?: { readonly transmit: number; readonly receive: number };
}

interface Sample {
  readonly atMs: number;
  readonly facts: WireFacts | undefined;
}

/** Shortest time for a share; below it the share depends on single frames. */
const LEAST_TIME_MS = 100;

export class BusMeter {
  readonly #bus: CanBus;
  readonly #clock: Clock;
  #last: Promise<Sample>;

  /** The first reading covers the time from now on. */
  constructor(bus: CanBus, clock: Clock) {
    this.#bus = bus;
    this.#clock = clock;
    this.#last = this.#sample();
  }

  async read(): Promise<BusReading> {
    const before = await this.#last;
    const now = await this.#sample();
    this.#last = Promise.resolve(now);
    const { name, state } = this.#bus;
    const load = loadBetween(before, now);
    const { errors, dropped, errorCounters } = now.facts ?? {};
    return {
      name,
      state,
      ...defined({ load }),
      frames: this.#bus.statistics(),
      ...defined({ errors, dropped, errorCounters }),
    };
  }

  async #sample(): Promise<Sample> {
    const facts = await this.#bus.wireFacts();
    return { atMs: this.#clock.nowMs(), facts };
  }
}

function loadBetween(before: Sample, now: Sample): BusReading['load'] {
  const from = before.facts;
  const to = now.facts;
  if (from?.busyMs === undefined || to?.busyMs === undefined || from.era !== to.era) {
    return undefined;
  }
  const overMs = now.atMs - before.atMs;
  const busyMs = to.busyMs - from.busyMs;
  if (overMs < LEAST_TIME_MS || busyMs < 0) return undefined;
  return {
    permille: Math.min(1000, Math.round((1000 * busyMs) / overMs)),
    overS: Math.round(overMs / 100) / 10,
    isLeast: to.isLeast === true,
  };
}
