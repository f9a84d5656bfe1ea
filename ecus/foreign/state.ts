// What an ECU of another make knows between two requests: its program, its open download, and what was done in this session.

import type { ForeignFlash } from './flash.ts';

interface OpenDownload {
  readonly address: number;
  readonly size: number;
  /** Bytes that have been written. */
  received: number;
  /** Number of the next block (36). */
  block: number;
  /** Part of a second boot loader. */
  readonly intoRam: boolean;
}

/** The work of one programming session; the next session begins with nothing done. */
export interface ProgrammingWork {
  /** Names of the steps of the vehicle file that were done, in their order. */
  readonly done: Set<string>;
  download: OpenDownload | undefined;
  /** Whole downloads into RAM. */
  readonly loaded: { readonly address: number; readonly size: number }[];
  /** Whole downloads into flash, in their order. */
  readonly written: { readonly address: number; readonly size: number }[];
  /** How often the status of a routine that runs on was asked for. */
  readonly polls: Map<number, number>;
}

export interface ForeignState {
  readonly flash: ForeignFlash;
  /** Version of the running application; undefined: the ECU stays in its bootloader. */
  version: string | undefined;
  work: ProgrammingWork;
}

export function nothingDone(): ProgrammingWork {
  return { done: new Set(), download: undefined, loaded: [], written: [], polls: new Map() };
}
