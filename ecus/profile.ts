// The profile of an ECU: the data in which ECUs differ. The bootloader and its services are the same for all.

import { uintToBytes } from '../src/core/bytes.ts';
import type { Nrc } from '../src/uds/nrc.ts';

/** The inputs for the values of a running application. */
export interface ApplicationState {
  /** Time since the application was started. */
  readonly upMs: number;
  /** Whether the fault `hot` is active. */
  readonly hot: boolean;
  /** The value in force of a writable or controllable DID, as an unsigned number; 0 for any other. */
  value(did: number): number;
}

/** A value that changes while the ECU runs, readable in its application only. */
export interface LiveDid {
  readonly did: number;
  /** What the bytes mean, with scale and unit. */
  readonly meaning: string;
  /** Whether the bootloader answers it, too, without an application. */
  readonly always?: boolean;
  /** Reads the value; `upMs`: time since the application was started. */
  read(upMs: number, state: ApplicationState): Uint8Array;
}

/** A cyclic frame of normal communication. */
export interface TrafficFrame {
  readonly id: number;
  readonly periodMs: number;
  /** Data of at most 8 bytes; `count`: frames sent so far. */
  data(upMs: number, count: number, state: ApplicationState): Uint8Array;
}

/** A value that a tester sets (2E) in the extended session; it survives resets. At most 4 bytes, unsigned. */
export interface WritableDid {
  readonly did: number;
  /** What the bytes mean, with scale and unit. */
  readonly meaning: string;
  readonly bytes: number;
  /** Value before the first write. */
  readonly initial: number;
  /** The NRC that refuses this value now; undefined: it is accepted. */
  refuses(value: number, state: ApplicationState): Nrc | undefined;
}

/**
 * An output that a tester may take over (2F) in the extended session, until the tester returns it or the session ends.
 * At most 4 bytes, unsigned.
 */
export interface ControllableDid {
  readonly did: number;
  readonly meaning: string;
  readonly bytes: number;
  /** Value that resetToDefault sets. */
  readonly usual: number;
  /** Value that the ECU sets without a tester. */
  own(state: ApplicationState): number;
  /**
   * The NRC that refuses this value now, and then also drops one that was accepted earlier; undefined: it is accepted.
   */
  refuses(value: number, state: ApplicationState): Nrc | undefined;
}

/** A routine (31) of the application in the extended session. Its runs are counted, also across resets. */
export interface ApplicationRoutine {
  readonly routine: number;
  readonly meaning: string;
  /** Duration of a run, after which its start is answered. */
  readonly takesMs: number;
  /** The NRC that refuses a run now; undefined: it is allowed. */
  refuses(state: ApplicationState): Nrc | undefined;
  /** The findings, which follow status and run counter; `run` counts from 1. */
  findings(run: number, state: ApplicationState): Uint8Array;
}

export interface EcuProfile {
  /** Part number (F187). */
  readonly partNumber: string;
  /** Trouble codes of a new device: code of three bytes, status mask of ISO 14229-1 annex D.2. */
  readonly dtcs: readonly { readonly code: number; readonly status: number }[];
  readonly live: readonly LiveDid[];
  readonly traffic: readonly TrafficFrame[];
  /** Writable values; none when missing. */
  readonly writable?: readonly WritableDid[];
  readonly controllable?: readonly ControllableDid[];
  readonly routines?: readonly ApplicationRoutine[];
}

/** Profile for ECUs of the vehicle file that have no other. */
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

/** Encodes an unsigned 16 bit value, clamped. */
export function u16(value: number): Uint8Array {
  return uintToBytes(Math.min(0xffff, Math.max(0, Math.round(value))), 2);
}

export function u8(value: number): number {
  return Math.min(0xff, Math.max(0, Math.round(value)));
}
