// Simulated sensors: values that a bench or a simulation sets, encoded as the vehicle file describes.

import { describeError, InputError } from '../../src/core/errors.ts';
import type { VehicleSignal } from '../../src/vehicle/condition-schema.ts';
import { conversion, sameDimension, type UnitName, unitOf } from '../../src/vehicle/quantity.ts';
import type { Vehicle } from '../../src/vehicle/schema.ts';
import { encodeSignal, signalText } from '../../src/vehicle/signals.ts';
import type { LiveDid } from '../profile.ts';

/** A value in the unit of the signal, or one of its named values. Undefined: the sensor has no value. */
export type SignalValue = number | string | undefined;

/**
 * Usual values: a parked vehicle with the ignition on. Signals with other names are zero or their first named value.
 */
const USUAL: Readonly<
  Record<
    string,
    { readonly value: number; readonly unit: UnitName } | { readonly words: readonly string[] }
  >
> = {
  speed: { value: 0, unit: 'km/h' },
  battery: { value: 12.6, unit: 'V' },
  temperature: { value: 20, unit: 'degC' },
  charge: { value: 80, unit: '%' },
  ignition: { words: ['on', 'run'] },
  gear: { words: ['park', 'P', 'neutral', 'N'] },
};

/** Text for a value that is not available. */
const NOTHING = 'none';

export class SignalBoard {
  readonly #signals: ReadonlyMap<string, VehicleSignal>;
  readonly #values = new Map<string, SignalValue>();
  readonly #ecu: string;

  /** The signals of the vehicle file that this ECU answers. Throws InputError for an invalid value. */
  constructor(vehicle: Vehicle, ecu: string, values: Readonly<Record<string, SignalValue>> = {}) {
    this.#ecu = ecu;
    this.#signals = new Map(
      Object.entries(vehicle.signals).filter(([, signal]) => signal.ecu === ecu),
    );
    for (const [name, signal] of this.#signals) this.#values.set(name, usualValue(name, signal));
    for (const [name, value] of Object.entries(values)) this.set(name, value);
  }

  /** Sets a value. Throws InputError when there is no such signal or it cannot have this value. */
  set(name: string, value: SignalValue): void {
    const signal = this.#signal(name);
    try {
      encodeSignal(signal, value, new Uint8Array(signal.offset + signal.length));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new InputError(`signal ${name}`, describeError(error), { cause: error });
    }
    this.#values.set(name, value);
  }

  /** Sets a value from text: `50`, `park`, `none`. Throws InputError. */
  setText(name: string, text: string): void {
    const { values, notAvailable } = this.#signal(name);
    let value: SignalValue = text;
    if (text === NOTHING && notAvailable !== undefined) value = undefined;
    else if (values === undefined) value = numberOf(name, text);
    this.set(name, value);
  }

  get(name: string): SignalValue {
    this.#signal(name);
    return this.#values.get(name);
  }

  /** Value of the signal `speed`; undefined when it is not available, and in a vehicle without such a signal. */
  speedKmh(): number | undefined {
    const signal = this.#signals.get('speed');
    const value = this.#values.get('speed');
    if (signal === undefined || signal.values !== undefined || typeof value !== 'number') {
      return undefined;
    }
    const [from, to] = [unitOf(signal.unit), unitOf('km/h')];
    return sameDimension(from, to) ? value * conversion(from, to) : undefined;
  }

  /** All values as text: `speed is 0 km/h`. */
  lines(): string[] {
    return [...this.#signals].map(([name, signal]) => {
      const value = this.#values.get(name);
      return `${name} is ${value === undefined ? 'not available' : signalText(signal, value)}`;
    });
  }

  /** The DIDs of the signals. The bootloader also answers them, because the sensors do not depend on the software. */
  dids(): LiveDid[] {
    return [...new Set([...this.#signals.values()].map(({ did }) => did))].map((did) => ({
      did,
      meaning: this.#inDid(did)
        .map(([name]) => name)
        .join(', '),
      always: true,
      read: () => {
        const signals = this.#inDid(did);
        const size = Math.max(...signals.map(([, { offset, length }]) => offset + length));
        const data = new Uint8Array(size);
        for (const [name, signal] of signals) encodeSignal(signal, this.#values.get(name), data);
        return data;
      },
    }));
  }

  #inDid(did: number): [string, VehicleSignal][] {
    return [...this.#signals].filter(([, signal]) => signal.did === did);
  }

  #signal(name: string): VehicleSignal {
    const signal = this.#signals.get(name);
    if (signal !== undefined) return signal;
    const names = [...this.#signals.keys()];
    throw new InputError(
      `signal ${name}`,
      names.length === 0
        ? `the vehicle file has no signals of ${this.#ecu}`
        : `${this.#ecu} has only ${names.join(', ')}`,
    );
  }
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) {
    throw new InputError(`signal ${name}`, `${JSON.stringify(text)} is no number`);
  }
  return value;
}

function usualValue(name: string, signal: VehicleSignal): SignalValue {
  const usual = Object.hasOwn(USUAL, name) ? USUAL[name] : undefined;
  if (signal.values !== undefined) {
    const known = Object.values(signal.values);
    const words = usual !== undefined && 'words' in usual ? usual.words : [];
    return words.find((word) => known.includes(word)) ?? known[0];
  }
  if (usual !== undefined && 'unit' in usual) {
    const [from, to] = [unitOf(usual.unit), unitOf(signal.unit)];
    if (sameDimension(from, to)) return usual.value * conversion(from, to);
  }
  return signal.add;
}
