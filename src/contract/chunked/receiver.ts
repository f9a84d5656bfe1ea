// Receives the records of an image: an engine without I/O that keeps numbers, and one record in memory that it is given.

import { bytesToUint, constantTimeEqual } from '../../core/bytes.ts';
import {
  type Chunking,
  type ChunkKey,
  chunkCount,
  chunkLength,
  chunkMac,
  MAX_CHUNKS,
  RECORD_HEAD_BYTES,
  RECORD_MAC_BYTES,
  recordBytes,
} from './protocol.ts';

/** How far ahead of the first missing chunk one is still taken. */
export const AHEAD_CHUNKS = 2 * MAX_CHUNKS;

export type ChunkEvent =
  /**
   * One that was missing. It belongs at `offset`; `data` is a view of the receiver's memory, good until the next call.
   * `out-of-order`: another one before it is missing still.
   */
  | {
      readonly kind: 'next' | 'out-of-order';
      readonly number: number;
      readonly offset: number;
      readonly data: Uint8Array;
    }
  /** Authentic, and here already. */
  | { readonly kind: 'repeated'; readonly number: number }
  /** Authentic, and too far ahead to keep its number: it is asked for again when its time has come. */
  | { readonly kind: 'too-far'; readonly number: number }
  /** Its HMAC is not right: damaged, or of another device, session, image or place. */
  | { readonly kind: 'foreign'; readonly number: number }
  /** Says a number or length that this image does not have: nothing behind it in this answer can be read. */
  | { readonly kind: 'unreadable'; readonly reason: string }
  /** The answer ended within a record. */
  | { readonly kind: 'truncated'; readonly bytes: number };

export type ReceiverCounts = Readonly<Record<ChunkEvent['kind'], number>>;

/** What to ask for. */
export type WantedChunks =
  | { readonly from: number; readonly count: number }
  | { readonly numbers: readonly number[] };

export interface ReceiverOptions extends Chunking {
  /** Held durably already, from the first byte on, and confirmed by the server; an unfinished chunk counts as missing. */
  readonly held?: number;
  /** At least `recordBytes(chunkBytes)` bytes. */
  readonly memory: Uint8Array;
}

export class ChunkReceiver {
  readonly #chunking: Chunking;
  readonly #count: number;
  readonly #memory: Uint8Array;
  /** Every chunk below is here. */
  #next: number;
  /** Here, and above `#next`. */
  readonly #ahead = new Set<number>();
  #key: ChunkKey | undefined;
  /** Bytes of the record that is coming in. */
  #filled = 0;
  /** The rest of this answer cannot be read. */
  #lost = false;
  #progress = false;
  #barren = 0;
  readonly #counts: Record<ChunkEvent['kind'], number> = {
    next: 0,
    'out-of-order': 0,
    repeated: 0,
    'too-far': 0,
    foreign: 0,
    unreadable: 0,
    truncated: 0,
  };

  /** Throws RangeError for too little memory, and for more held than there is. */
  constructor({ length, chunkBytes, held = 0, memory }: ReceiverOptions) {
    if (memory.length < recordBytes(chunkBytes)) {
      throw new RangeError(
        `a record of ${chunkBytes} bytes needs ${recordBytes(chunkBytes)} bytes of memory, here are ${memory.length}`,
      );
    }
    if (held < 0 || held > length) throw new RangeError(`holds ${held} of ${length} bytes`);
    this.#chunking = { length, chunkBytes };
    this.#count = chunkCount(this.#chunking);
    this.#memory = memory;
    this.#next = held === length ? this.#count : Math.floor(held / chunkBytes);
  }

  get chunkBytes(): number {
    return this.#chunking.chunkBytes;
  }

  /** Chunks from the first one on without a gap. */
  get prefix(): number {
    return this.#next;
  }

  /** bytes of the image from its first one on without a gap */
  get prefixBytes(): number {
    return Math.min(this.#next * this.#chunking.chunkBytes, this.#chunking.length);
  }

  get complete(): boolean {
    return this.#next === this.#count;
  }

  get counts(): ReceiverCounts {
    return { ...this.#counts };
  }

  /** Answers in a row that brought nothing that was missing. */
  get barrenAnswers(): number {
    return this.#barren;
  }

  /** What to ask for next; undefined when all is here. What was lost is asked for by its numbers. */
  wanted(most: number = MAX_CHUNKS): WantedChunks | undefined {
    if (this.complete) return undefined;
    const limit = Math.max(1, Math.min(most, MAX_CHUNKS));
    if (this.#ahead.size === 0) {
      return { from: this.#next, count: Math.min(limit, this.#count - this.#next) };
    }
    return { numbers: this.missing(limit) };
  }

  /** Numbers below the highest one that is here, which are not. */
  missing(most: number = MAX_CHUNKS): readonly number[] {
    const highest = Math.max(this.#next, ...this.#ahead);
    const numbers: number[] = [];
    for (let number = this.#next; number < highest && numbers.length < most; number++) {
      if (!this.#ahead.has(number)) numbers.push(number);
    }
    return numbers;
  }

  /** Before each answer: the key of the session in which it was asked for, which need not be that of the last one. */
  begin(key: ChunkKey): void {
    this.#key = key;
    this.#filled = 0;
    this.#lost = false;
    this.#progress = false;
  }

  /**
   * The next bytes of the answer, in whatever pieces: takes up to one whole record of them. Call again with what it
   * did not take. A chunk that is given out counts as here: where it cannot be stored, this receiver is of no more use.
   */
  take(bytes: Uint8Array): { readonly taken: number; readonly event?: ChunkEvent } {
    if (this.#key === undefined) throw new Error('take without begin');
    if (this.#lost) return { taken: bytes.length };
    const headTaken = this.#fill(bytes, RECORD_HEAD_BYTES);
    if (this.#filled < RECORD_HEAD_BYTES) return { taken: headTaken };
    const number = bytesToUint(this.#memory.subarray(0, 4));
    const length = bytesToUint(this.#memory.subarray(4, RECORD_HEAD_BYTES));
    const expected = chunkLength(this.#chunking, number);
    if (length !== expected || expected === 0) {
      this.#lost = true;
      this.#filled = 0;
      const reason = `chunk ${number} says ${length} bytes, this image has ${expected} there`;
      return { taken: bytes.length, event: this.#seen({ kind: 'unreadable', reason }) };
    }
    const whole = RECORD_HEAD_BYTES + length + RECORD_MAC_BYTES;
    const taken = headTaken + this.#fill(bytes.subarray(headTaken), whole);
    if (this.#filled < whole) return { taken };
    this.#filled = 0;
    return { taken, event: this.#seen(this.#record(number, length, this.#key)) };
  }

  /** After the last bytes of an answer, also of one that broke off. */
  end(): ChunkEvent | undefined {
    const bytes = this.#filled;
    this.#filled = 0;
    this.#key = undefined;
    this.#barren = this.#progress ? 0 : this.#barren + 1;
    return bytes === 0 ? undefined : this.#seen({ kind: 'truncated', bytes });
  }

  #fill(bytes: Uint8Array, upTo: number): number {
    const count = Math.max(0, Math.min(upTo - this.#filled, bytes.length));
    this.#memory.set(bytes.subarray(0, count), this.#filled);
    this.#filled += count;
    return count;
  }

  #record(number: number, length: number, key: ChunkKey): ChunkEvent {
    const end = RECORD_HEAD_BYTES + length;
    const data = this.#memory.subarray(RECORD_HEAD_BYTES, end);
    const mac = this.#memory.subarray(end, end + RECORD_MAC_BYTES);
    // Before anything else: what is not authentic says nothing.
    const { chunkBytes } = this.#chunking;
    const expected = chunkMac(key, chunkBytes, number, data);
    if (!constantTimeEqual(expected, mac)) return { kind: 'foreign', number };
    if (number < this.#next || this.#ahead.has(number)) return { kind: 'repeated', number };
    if (number >= this.#next + AHEAD_CHUNKS) return { kind: 'too-far', number };
    const kind = number === this.#next ? 'next' : 'out-of-order';
    this.#progress = true;
    this.#ahead.add(number);
    while (this.#ahead.delete(this.#next)) this.#next++;
    return { kind, number, offset: number * chunkBytes, data };
  }

  #seen<T extends ChunkEvent>(event: T): T {
    this.#counts[event.kind]++;
    return event;
  }
}
