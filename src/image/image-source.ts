// An image as the rest of the system reads it.

/** An image that is read piece by piece; it is never whole in memory. */
export interface ImageSource {
  /** bytes */
  readonly length: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  /** Exactly `length` bytes from `offset`, fewer only at the end. */
  read(offset: number, length: number): Promise<Uint8Array>;
}
