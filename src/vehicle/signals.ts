// A signal of the vehicle as bytes of a data identifier: decoded for conditions, encoded by simulated ECUs.

import { bytesToUint, hexNumber, uintToBytes } from '../core/bytes.ts';
import type { VehicleSignal } from './condition-schema.ts';

/** Name of the signal of the supply voltage. */
export const SUPPLY_SIGNAL = 'battery';

/** Position and meaning of a value; signals, data and arguments of an ECU have it. */
export type ValueLayout = Pick<
  VehicleSignal,
  'offset' | 'length' | 'signed' | 'scale' | 'add' | 'values' | 'notAvailable'
>;

export type SignalReading =
  /** `value`: a number in the unit of the signal, or the name of the value. */
  | { readonly ok: true; readonly value: number | string }
  | { readonly ok: false; readonly reason: string };

/** `data` is the record of the DID, without the identifier. */
export function decodeSignal(
  signal: ValueLayout & { readonly did: number },
  data: Uint8Array,
): SignalReading {
  const { offset, length, values } = signal;
  if (data.length < offset + length) {
    return {
      ok: false,
      reason: `DID ${hexNumber(signal.did, 4)} has ${data.length} bytes, the vehicle file says that it needs ${offset + length}`,
    };
  }
  const raw = rawOf(signal, data.subarray(offset, offset + length));
  if (raw === signal.notAvailable) return { ok: false, reason: 'the ECU says: not available' };
  if (values === undefined) {
    // 12 digits: further ones come from the scale, not from the measurement.
    return { ok: true, value: Number((raw * signal.scale + signal.add).toPrecision(12)) };
  }
  const name = values[String(raw)];
  return name === undefined
    ? { ok: false, reason: `${raw} is none of the values in the vehicle file` }
    : { ok: true, value: name };
}

/**
 * Writes the value into `data` at its position; undefined writes "not available", which the signal must define. Throws
 * RangeError for a value that the signal cannot have.
 */
export function encodeSignal(
  signal: ValueLayout,
  value: number | string | undefined,
  data: Uint8Array,
): void {
  const { length } = signal;
  const raw = rawValue(signal, value);
  const { least, most } = rawRange(signal);
  if (raw < least || raw > most) {
    throw new RangeError(`${value} does not fit into ${length} bytes with this scale`);
  }
  data.set(uintToBytes(raw < 0 ? raw + 256 ** length : raw, length), signal.offset);
}

/** The range of raw values that fit. */
export function rawRange({ length, signed }: Pick<ValueLayout, 'length' | 'signed'>): {
  readonly least: number;
  readonly most: number;
} {
  const all = 256 ** length;
  return signed ? { least: -all / 2, most: all / 2 - 1 } : { least: 0, most: all - 1 };
}

/** `12.6 V`, `park` */
export function signalText(
  signal: { readonly unit?: string | undefined },
  value: number | string,
): string {
  return signal.unit === undefined ? String(value) : `${value} ${signal.unit}`;
}

function rawOf({ signed, length }: ValueLayout, bytes: Uint8Array): number {
  const raw = bytesToUint(bytes);
  return signed && raw >= 256 ** length / 2 ? raw - 256 ** length : raw;
}

function rawValue(signal: ValueLayout, value: number | string | undefined): number {
  const { values, notAvailable, scale, add } = signal;
  if (value === undefined) {
    if (notAvailable === undefined) throw new RangeError('the signal has no "not available" value');
    return notAvailable;
  }
  if (values !== undefined) {
    const entry = Object.entries(values).find(([, name]) => name === value);
    if (entry === undefined) {
      throw new RangeError(`${value} is none of ${Object.values(values).join(', ')}`);
    }
    return Number(entry[0]);
  }
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new RangeError(`${value} is no number`);
  }
  return Math.round((value - add) / scale);
}
