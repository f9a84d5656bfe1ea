// What the TMU reports about itself with a check-in. A part that cannot be measured is left out and does not delay the
// check-in.

import {
  type BusTelemetry,
  type CheckinTelemetry,
  checkinTelemetry,
  MAX_BUSES,
} from '../contract/checkin-telemetry.ts';
import type { Clock } from '../core/clock.ts';
import { describeError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { defined } from '../core/optional.ts';
import { firstIssue } from '../core/schema-issue.ts';
import type { Storage } from '../core/storage.ts';

/** Facts that only the machine knows. */
export interface MachineFacts {
  /** Milliseconds since the machine started. */
  readonly uptimeMs: () => number;
  readonly buses: () => Promise<readonly BusTelemetry[]>;
}

export interface CheckinTelemetryOptions {
  /** Missing: the check-in carries no machine uptime and no bus facts. */
  readonly machine: MachineFacts | undefined;
  readonly storage: Storage;
  /** Volts; undefined where the voltage is unknown or must not be asked for now. */
  readonly supplyV: (signal: AbortSignal) => Promise<number | undefined>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class TelemetryReader {
  readonly #options: CheckinTelemetryOptions;
  readonly #startedMs: number;

  /** Created when the daemon starts. */
  constructor(options: CheckinTelemetryOptions) {
    this.#options = options;
    this.#startedMs = options.clock.nowMs();
  }

  /** Undefined: there is nothing to send that the backend accepts. */
  async read(signal: AbortSignal): Promise<CheckinTelemetry | undefined> {
    const { machine, storage, supplyV, clock, logger } = this.#options;
    const space = await this.#part('storage', () => storage.space());
    const supply = await this.#part('supply', () => supplyV(signal));
    const buses = await this.#part('buses', async () => machine?.buses());
    const told = {
      daemonUptimeS: wholeSeconds(clock.nowMs() - this.#startedMs),
      ...defined({
        systemUptimeS: machine === undefined ? undefined : wholeSeconds(machine.uptimeMs()),
        storage: space,
      }),
      // Rounded to thousandths: further digits come from the scale factor, not from the measurement.
      ...defined({ supplyV: supply === undefined ? undefined : Math.round(supply * 1000) / 1000 }),
      buses: (buses ?? []).slice(0, MAX_BUSES),
    };
    const checked = checkinTelemetry.safeParse(told);
    if (checked.success) return checked.data;
    const { path, message } = firstIssue(checked.error);
    logger.warn({ problem: [...path, message].join(' ') }, 'the check-in goes without telemetry');
    return undefined;
  }

  async #part<T>(name: string, measure: () => Promise<T | undefined>): Promise<T | undefined> {
    try {
      return await measure();
    } catch (error) {
      const reason = describeError(error);
      this.#options.logger.warn({ part: name, reason }, 'a part of the telemetry is not known');
      return undefined;
    }
  }
}

function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000);
}
