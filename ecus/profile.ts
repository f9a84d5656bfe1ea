// What makes one ECU different from another: data only. The bootloader and its services are the same for all.

import { uintToBytes } from '../src/core/bytes.ts';

/** A value that changes while the ECU runs, readable in its application only. */
export interface LiveDid {
  readonly did: number;
  /** What the bytes mean, with scale and unit. */
  readonly meaning: string;
  /** Also without an application: the bootloader answers it. */
  readonly always?: boolean;
  /** `upMs`: since the application was started. */
  read(upMs: number): Uint8Array;
}

/** A cyclic frame of normal communication. */
export interface TrafficFrame {
  readonly id: number;
  readonly periodMs: number;
  /** At most 8 bytes; `count` of frames sent so far. */
  data(upMs: number, count: number): Uint8Array;
}

export interface EcuProfile {
  /** F187. */
  readonly partNumber: string;
  /** Trouble codes of a new device: code of three bytes, status mask of ISO 14229-1 annex D.2. */
  readonly dtcs: readonly { readonly code: number; readonly status: number }[];
  readonly live: readonly LiveDid[];
  readonly traffic: readonly TrafficFrame[];
}

/** For ECUs that the vehicle file names and nobody has described here. */
export const genericProfile: EcuProfile = {
  partNumber: 'CO-0000-00',
  dtcs: [],
  live: [],
  traffic: [],
};

/** A slow oscillation around `centre`, so that a watched value moves: `amplitude` up and down in `periodMs`. */
export function wave(upMs: number, centre: number, amplitude: number, periodMs: number): number {
  return centre + amplitude * Math.sin((2 * Math.PI * upMs) / periodMs);
}

/** Unsigned 16 bit, clamped. */
export function u16(value: number): Uint8Array {
  return uintToBytes(Math.min(0xffff, Math.max(0, Math.round(value))), 2);
}

export function u8(value: number): number {
  return Math.min(0xff, Math.max(0, Math.round(value)));
}
