// An image as the rest of the system reads it.

/** Bytes that belong together in the memory of an ECU. */
export interface Segment {
  readonly address: number;
  /** bytes */
  readonly length: number;
}

/** Where the bytes of an image go. */
export interface SegmentMap {
  /** By rising address, not overlapping. */
  readonly segments: readonly Segment[];
  /** First byte of the data; what is before is the map in its canonical form. */
  readonly dataAt: number;
}

/** An image that is read piece by piece; it is never whole in memory. */
export interface ImageSource {
  /** bytes */
  readonly length: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  /** Exactly `length` bytes from `offset`, fewer only at the end. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Missing: all bytes go to the address of the vehicle file, one behind the other. */
  readonly map?: SegmentMap | undefined;
}
