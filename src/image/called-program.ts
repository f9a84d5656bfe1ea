// A program that an ECU runs from its RAM.

import type { ImageSource, SegmentMap } from './image-source.ts';

export interface CalledProgram {
  readonly image: ImageSource & { readonly map: SegmentMap };
  /** Address where it begins. */
  readonly call: number;
}

/** Loads the program from its file; `call` replaces the start address of the file. Throws InputError. */
export type LoadProgram = (file: string, call: number | undefined) => Promise<CalledProgram>;
