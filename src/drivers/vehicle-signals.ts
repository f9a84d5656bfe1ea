// The state of the vehicle over UDS: reads and watches the signals that its conditions need.

import type {
  ConditionQuery,
  LostCondition,
  VehicleCondition,
  VehicleState,
} from '../campaign/ports.ts';
import { hexNumber } from '../core/bytes.ts';
import { type Clock, sleep } from '../core/clock.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import { present } from '../core/present.ts';
import { isMalformed } from '../uds/codec.ts';
import type { UdsRequester } from '../uds/reply.ts';
import * as readDataByIdentifier from '../uds/services/read-data-by-identifier.ts';
import type { VehicleSignal } from '../vehicle/condition-schema.ts';
import { type CompiledCondition, conditionsAt } from '../vehicle/conditions.ts';
import { findEcu } from '../vehicle/load.ts';
import type { ConditionGate, Vehicle } from '../vehicle/schema.ts';
import { decodeSignal, type SignalReading, SUPPLY_SIGNAL } from '../vehicle/signals.ts';
import { Exchange, type Exchanged } from './exchange.ts';

export interface UdsVehicleStateOptions {
  readonly vehicle: Vehicle;
  /** The requester of an ECU by name; shared with its driver and the approver, so that requests take turns. */
  readonly requesterFor: (ecu: string) => UdsRequester;
  readonly clock: Clock;
  /** Minutes by which local time is ahead of UTC at a wall time; missing: those of the machine. */
  readonly utcOffsetMinutes?: (wallMs: number) => number;
  readonly logger?: Logger;
}

/** Interval at which `watch` checks the conditions. */
const WATCH_MS = 1000;
/** Time until a lost condition is checked again, so that one wrong value does not undo an update. */
const SECOND_LOOK_MS = 500;
/** Number of tries of one read while the ECU does not answer properly. */
const TRIES = 3;
const RETRY_MS = 100;
/** Limits of one read: an ECU that needs longer counts as having no value. */
const LIMITS = { pendingLimitMs: 3000, patienceMs: 750 } as const;
/** Name of the ignition signal; IGNITION_OFF is its value for off. */
const IGNITION = 'ignition';
const IGNITION_OFF = 'off';
/** Volts per unit of the supply signal. */
const VOLTS: Readonly<Record<string, number>> = { V: 1, mV: 0.001 };

export class UdsVehicleState implements VehicleState {
  readonly #options: UdsVehicleStateOptions;
  readonly #conditions: Readonly<Record<ConditionGate, readonly CompiledCondition[]>>;
  readonly #exchanges = new Map<string, Exchange>();
  readonly #logger: Logger;

  /** Throws ExpressionError for a condition that `parseVehicle` would have refused. */
  constructor(options: UdsVehicleStateOptions) {
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
    this.#conditions = {
      stage: conditionsAt(options.vehicle, 'stage'),
      activate: conditionsAt(options.vehicle, 'activate'),
    };
  }

  /** Checks the conditions once. When aborted, the result says that nothing can be read. */
  async check(query: ConditionQuery, signal?: AbortSignal): Promise<VehicleCondition> {
    const conditions = this.#conditions[query.gate];
    const readings = await this.#read(
      conditions.flatMap((condition) => condition.signals),
      signal,
    );
    const inputs = {
      updateSeconds: query.updateSeconds,
      rollbackSeconds: query.rollbackSeconds,
      localMinutes: this.#localMinutes(),
      signals: readings,
    };
    for (const condition of conditions) {
      const reason = condition.problem(inputs);
      if (reason !== undefined) return { ok: false, condition: condition.rule.name, reason };
    }
    return { ok: true };
  }

  async watch(query: ConditionQuery, signal: AbortSignal): Promise<LostCondition | undefined> {
    let suspected = false;
    for (;;) {
      const pauseMs = suspected ? SECOND_LOOK_MS : WATCH_MS;
      const end = await sleep(this.#options.clock, 'condition-watch', pauseMs, signal);
      if (end === 'aborted') return undefined;
      const look = await this.check(query, signal);
      if (signal.aborted) return undefined;
      if (!look.ok && suspected) return look;
      if (!look.ok) this.#logger.warn({ condition: look.condition }, look.reason);
      suspected = !look.ok;
    }
  }

  async ignition(signal?: AbortSignal): Promise<'on' | 'off' | 'unknown'> {
    const described = this.#signal(IGNITION);
    const values = Object.values(described?.values ?? {});
    if (!values.includes(IGNITION_OFF)) return 'unknown';
    const reading = (await this.#read([IGNITION], signal)).get(IGNITION);
    if (reading?.ok !== true) return 'unknown';
    return reading.value === IGNITION_OFF ? 'off' : 'on';
  }

  async supplyV(signal?: AbortSignal): Promise<number | undefined> {
    const described = this.#signal(SUPPLY_SIGNAL);
    const volts = VOLTS[described?.unit ?? ''];
    // A signal in another unit, such as percent of charge, does not give the voltage.
    if (described === undefined || volts === undefined) return undefined;
    const reading = (await this.#read([SUPPLY_SIGNAL], signal)).get(SUPPLY_SIGNAL);
    return reading?.ok === true && typeof reading.value === 'number'
      ? reading.value * volts
      : undefined;
  }

  /** Reads every DID once, even with several signals in it, one after the other. */
  async #read(
    names: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<Map<string, SignalReading>> {
    const records = new Map<string, Exchanged<Uint8Array>>();
    const readings = new Map<string, SignalReading>();
    for (const name of new Set(names)) {
      const described = present(this.#signal(name), `signal ${name}`);
      const key = `${described.ecu} ${described.did}`;
      let record = records.get(key);
      if (record === undefined) {
        record = await this.#record(described, signal);
        records.set(key, record);
      }
      readings.set(
        name,
        record.ok ? decodeSignal(described, record.value) : { ok: false, reason: record.reason },
      );
    }
    return readings;
  }

  /** Reads the data of one DID. */
  async #record(
    { ecu, did }: VehicleSignal,
    signal: AbortSignal | undefined,
  ): Promise<Exchanged<Uint8Array>> {
    const exchange = this.#exchange(ecu);
    const request = readDataByIdentifier.encodeRequest(did);
    const doing = `reading DID ${hexNumber(did, 4)}`;
    for (let tries = 1; ; tries++) {
      const reply = await exchange.reply(request, signal, LIMITS);
      const answer = exchange.interpret(request, doing, reply);
      if (answer.ok) {
        const response = readDataByIdentifier.decodeResponse(answer.value);
        if (isMalformed(response)) {
          return exchange.malformed(request, doing, response.malformed);
        }
        const [record] = response.records;
        if (record?.did === did) return { ok: true, value: record.data };
        return exchange.malformed(request, doing, 'it holds another DID');
      }
      if (!answer.transient || answer.code === 'INTERRUPTED' || tries >= TRIES) return answer;
      await sleep(this.#options.clock, 'signal-retry', RETRY_MS, signal);
    }
  }

  #exchange(name: string): Exchange {
    let exchange = this.#exchanges.get(name);
    if (exchange === undefined) {
      const { vehicle, requesterFor, clock } = this.#options;
      exchange = new Exchange({
        ecu: findEcu(vehicle, name),
        requester: requesterFor(name),
        clock,
      });
      this.#exchanges.set(name, exchange);
    }
    return exchange;
  }

  #signal(name: string): VehicleSignal | undefined {
    const { signals } = this.#options.vehicle;
    return Object.hasOwn(signals, name) ? signals[name] : undefined;
  }

  #localMinutes(): number {
    const wallMs = this.#options.clock.wallMs();
    const offset = this.#options.utcOffsetMinutes ?? machineOffsetMinutes;
    const minutes = Math.floor(wallMs / 60_000) + offset(wallMs);
    return ((minutes % 1440) + 1440) % 1440;
  }
}

function machineOffsetMinutes(wallMs: number): number {
  return -new Date(wallMs).getTimezoneOffset();
}
