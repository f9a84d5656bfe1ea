// The body of an answer, read up to a limit: nothing of a server may fill our memory.

export type LimitedAnswer =
  /** `long`: there is more, which is not waited for. */
  { readonly kind: 'whole' | 'long'; readonly bytes: Uint8Array };

/** Collects the pieces of an answer. */
export class LimitedBytes {
  readonly #maxBytes: number;
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** False when the answer is longer than its limit: nothing more is to be read. */
  add(piece: Uint8Array): boolean {
    this.#parts.push(piece);
    this.#length += piece.length;
    return this.#length <= this.#maxBytes;
  }

  /** Of all that came. */
  get length(): number {
    return this.#length;
  }

  /** What came, as far as the limit. */
  get bytes(): Uint8Array {
    return Buffer.concat(this.#parts).subarray(0, this.#maxBytes);
  }
}

/** `next` gives one piece after the other, undefined at the end. Throws what it throws. */
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
