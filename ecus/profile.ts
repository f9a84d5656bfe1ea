// What makes one ECU different from another: data only. The bootloader and its services are the same for all.

import { uintToBytes } from '../src/core/bytes.ts';
import type { Nrc } from '../src/uds/nrc.ts';

/** What the values of a running application are made of. */
export interface ApplicationState {
  /** Since the application was started. */
  readonly upMs: number;
  /** What can get hot is hot: the fault `hot`. */
  readonly hot: boolean;
  /** Of a writable or controllable DID: what is in force now, as an unsigned number; 0 for any other. */
  value(did: number): number;
}

/** A value that changes while the ECU runs, readable in its application only. */
export interface LiveDid {
  readonly did: number;
  /** What the bytes mean, with scale and unit. */
  readonly meaning: string;
  /** Also without an application: the bootloader answers it. */
  readonly always?: boolean;
  /** `upMs`: since the application was started. */
  read(upMs: number, state: ApplicationState): Uint8Array;
}

/** A cyclic frame of normal communication. */
export interface TrafficFrame {
  readonly id: number;
  readonly periodMs: number;
  /** At most 8 bytes; `count` of frames sent so far. */
  data(upMs: number, count: number, state: ApplicationState): Uint8Array;
}

/** A value that a tester sets (2E) in the extended session; it outlives resets. At most 4 bytes, unsigned. */
export interface WritableDid {
  readonly did: number;
  /** What the bytes mean, with scale and unit. */
  readonly meaning: string;
  readonly bytes: number;
  /** Until it is written for the first time. */
  readonly initial: number;
  /** What stands against this value now; undefined: it is taken. */
  refuses(value: number, state: ApplicationState): Nrc | undefined;
}

/**
 * An output that a tester may take over (2F) in the extended session, until the tester returns it or the session ends. At
 * most 4 bytes, unsigned.
 */
export interface ControllableDid {
  readonly did: number;
  readonly meaning: string;
  readonly bytes: number;
  /** What resetToDefault sets. */
  readonly usual: number;
  /** What the ECU does with it by itself. */
  own(state: ApplicationState): number;
  /** What stands against this value now; one that was taken earlier is dropped then. Undefined: nothing. */
  refuses(value: number, state: ApplicationState): Nrc | undefined;
}

/** A routine (31) of the application in the extended session. Its runs are counted, over resets too. */
export interface ApplicationRoutine {
  readonly routine: number;
  readonly meaning: string;
  /** The answer to its start comes after so long. */
  readonly takesMs: number;
  /** What stands against a run now; undefined: nothing. */
  refuses(state: ApplicationState): Nrc | undefined;
  /** Its findings, behind status and run counter; `run` counts from 1. */
  findings(run: number, state: ApplicationState): Uint8Array;
}

export interface EcuProfile {
  /** F187. */
  readonly partNumber: string;
  /** Trouble codes of a new device: code of three bytes, status mask of ISO 14229-1 annex D.2. */
  readonly dtcs: readonly { readonly code: number; readonly status: number }[];
  readonly live: readonly LiveDid[];
  readonly traffic: readonly TrafficFrame[];
  /** What an application of this kind can be told to do; nothing when missing. */
  readonly writable?: readonly WritableDid[];
  readonly controllable?: readonly ControllableDid[];
  readonly routines?: readonly ApplicationRoutine[];
}

/** For ECUs of the vehicle file without a profile of their own. */
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
