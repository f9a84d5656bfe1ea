// Reads the body of an answer up to a limit, so that no server can fill the memory.

export type LimitedAnswer =
  /** `long`: the answer is longer than the limit, and the rest was not read. */
  { readonly kind: 'whole' | 'long'; readonly bytes: Uint8Array };

/** Collects the pieces of an answer. */
export class LimitedBytes {
  readonly #maxBytes: number;
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Adds a piece; false when the answer is longer than the limit and must not be read further. */
  add(piece: Uint8Array): boolean {
    this.#parts.push(piece);
    this.#length += piece.length;
    return this.#length <= this.#maxBytes;
  }

  /** Number of received bytes. */
  get length(): number {
    return this.#length;
  }

  /** The received bytes up to the limit. */
  get bytes(): Uint8Array {
    return Buffer.concat(this.#parts).subarray(0, this.#maxBytes);
  }
}

/** Reads with `next`, which gives piece after piece and undefined at the end. Throws its errors. */
export async function readUpTo(
  maxBytes: number,
  next: () => Promise<Uint8Array | undefined>,
  into = new LimitedBytes(maxBytes),
): Promise<LimitedAnswer> {
  for (let piece = await next(); piece !== undefined; piece = await next()) {
    if (!into.add(piece)) return { kind: 'long', bytes: into.bytes };
  }
  return { kind: 'whole', bytes: into.bytes };
}
