// What the services need of the ECUs; the drivers do it over UDS.

import type { Catalogue, CommandOrder } from './command.ts';

/** One DID as it was read. */
export interface Reading {
  /** `INV.FD40` */
  readonly did: string;
  readonly raw: Uint8Array;
  /** Where the vehicle file says how to read it. */
  readonly value?: number;
  readonly unit?: string;
}

export type ReadResult =
  | { readonly ok: true; readonly readings: readonly Reading[] }
  | { readonly ok: false; readonly code: string; readonly reason: string };

/** A mark of an ECU's state that is another one after the command has run; opaque, kept in the vehicle's journal. */
export type ProbeResult =
  | { readonly kind: 'mark'; readonly mark: string }
  /** Nothing tells whether this command ran. */
  | { readonly kind: 'blind' }
  | { readonly kind: 'failed'; readonly code: string; readonly reason: string };

export type RunResult =
  | { readonly kind: 'done'; readonly result?: string }
  /** The ECU said no: it has not done it. */
  | { readonly kind: 'refused'; readonly nrc: number; readonly reason: string }
  /** It was not begun: the ECU does not answer, or not to what comes before. Trying again is safe. */
  | { readonly kind: 'not-begun'; readonly code: string; readonly reason: string }
  /** It was asked, and no answer came: it may have been done. */
  | { readonly kind: 'in-doubt'; readonly reason: string };

export interface EcuServices {
  readonly catalogue: Catalogue;
  /** `INV.FD40`: there is such an ECU, and its file does not say that this DID is unknown. */
  knows(did: string): 'known' | 'unknown-ecu' | 'unknown-did';
  /** DIDs of one ECU, together where it can. */
  read(ecu: string, dids: readonly number[], signal: AbortSignal): Promise<ReadResult>;
  probe(order: CommandOrder, signal: AbortSignal): Promise<ProbeResult>;
  run(order: CommandOrder, signal: AbortSignal): Promise<RunResult>;
  /**
   * After a doubt: has the command run since `mark` was taken? `unknown` when the ECU does not answer now.
   */
  hasRun(order: CommandOrder, mark: string, signal: AbortSignal): Promise<'yes' | 'no' | 'unknown'>;
}
