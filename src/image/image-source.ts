// An image as the rest of the system reads it.

import type { SegmentRange } from './memory-image.ts';

/** An image that is read piece by piece; it is never whole in memory. */
export interface ImageSource {
  /** bytes; of an image with segments the sum of their lengths */
  readonly length: number;
  /** Lower-case hexadecimal: the digest that is signed, SHA-256 of the canonical form (`canonical.ts`). */
  readonly sha256: string;
  /**
   * Where the bytes are to stand, in rising order: offsets of `read` run over the data of all segments one behind the
   * other. Left out where the image has no addresses of its own: it is one segment, and the vehicle file says where.
   */
  readonly segments?: readonly SegmentRange[];
  /** Exactly `length` bytes from `offset`, fewer only at the end. */
  read(offset: number, length: number): Promise<Uint8Array>;
}
