// The interface to the ECUs that the remote features need; the drivers implement it over UDS.

import type { Catalogue, CommandOrder } from './command.ts';

/** The reading of one DID. */
export interface Reading {
  /** Name such as `INV.FD40`. */
  readonly did: string;
  readonly raw: Uint8Array;
  /** Decoded value, where the vehicle file describes the data. */
  readonly value?: number;
  readonly unit?: string;
}

export type ReadResult =
  | { readonly ok: true; readonly readings: readonly Reading[] }
  | { readonly ok: false; readonly code: string; readonly reason: string };

/** A mark of an ECU's state that changes when the command runs; opaque, stored in the vehicle's journal. */
export type ProbeResult =
  | { readonly kind: 'mark'; readonly mark: string }
  /** The ECU cannot show whether this command has run. */
  | { readonly kind: 'blind' }
  | { readonly kind: 'failed'; readonly code: string; readonly reason: string };

export type RunResult =
  | { readonly kind: 'done'; readonly result?: string }
  /** The ECU refused the command and has not run it. */
  | { readonly kind: 'refused'; readonly nrc: number; readonly reason: string }
  /** The command was not sent, because an earlier request failed. Trying again is safe. */
  | { readonly kind: 'not-begun'; readonly code: string; readonly reason: string }
  /** The command was sent without an answer, so it may have run. */
  | { readonly kind: 'in-doubt'; readonly reason: string };

export interface EcuServices {
  readonly catalogue: Catalogue;
  /** Whether the vehicle file has the ECU and DID of a name such as `INV.FD40`. */
  knows(did: string): 'known' | 'unknown-ecu' | 'unknown-did';
  /** Reads DIDs of one ECU, in one request where the ECU can. */
  read(ecu: string, dids: readonly number[], signal: AbortSignal): Promise<ReadResult>;
  probe(order: CommandOrder, signal: AbortSignal): Promise<ProbeResult>;
  run(order: CommandOrder, signal: AbortSignal): Promise<RunResult>;
  /**
   * Checks a command in doubt: whether it has run since `mark` was taken. `unknown` when the ECU does not answer now.
   */
  hasRun(order: CommandOrder, mark: string, signal: AbortSignal): Promise<'yes' | 'no' | 'unknown'>;
}
