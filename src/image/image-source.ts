// An image as the rest of the system reads it.

import type { SegmentRange } from './memory-image.ts';

/** The memory ranges of an image. */
export interface SegmentMap {
  /** By rising address, not overlapping. */
  readonly segments: readonly SegmentRange[];
  /** Offset of the data in the image. The bytes before it are the map in its canonical form (`canonical.ts`). */
  readonly dataOffset: number;
}

/** An image that is read in pieces, so that it is never in memory as a whole. */
export interface ImageSource {
  /** bytes */
  readonly length: number;
  /** Lower-case hexadecimal: the digest that is signed, SHA-256 of the canonical form. */
  readonly sha256: string;
  /** Exactly `length` bytes from `offset`, fewer only at the end. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Missing: all bytes go to the address of the vehicle file. */
  readonly map?: SegmentMap | undefined;
  /** Why its segment map cannot be read; such an image goes into no ECU. */
  readonly mapFault?: string | undefined;
}
