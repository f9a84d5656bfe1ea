// Receives the records of an image: an engine without I/O that stores chunk numbers and one record in given memory.

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

/** Distance from the first missing chunk within which a chunk is taken. */
export const AHEAD_CHUNKS = 2 * MAX_CHUNKS;

export type ChunkEvent =
  /**
   * A missing chunk has come. It belongs at `offset`; `data` is a view of the receiver's memory, valid until the next
   * call. `out-of-order`: an earlier chunk is still missing.
   */
  | {
      readonly kind: 'next' | 'out-of-order';
      readonly number: number;
      readonly offset: number;
      readonly data: Uint8Array;
    }
  /** The chunk is authentic and was received before. */
  | { readonly kind: 'repeated'; readonly number: number }
  /** The chunk is authentic but too far ahead; it will be requested again later. */
  | { readonly kind: 'too-far'; readonly number: number }
  /** The HMAC is wrong: the record is damaged, or for another device, session, image or place. */
  | { readonly kind: 'foreign'; readonly number: number }
  /** The record has a number or length that this image does not have; the rest of the answer cannot be read. */
  | { readonly kind: 'unreadable'; readonly reason: string }
  /** The answer ended within a record. */
  | { readonly kind: 'truncated'; readonly bytes: number };

export type ReceiverCounts = Readonly<Record<ChunkEvent['kind'], number>>;

/** The chunks to request. */
export type WantedChunks =
  | { readonly from: number; readonly count: number }
  | { readonly numbers: readonly number[] };

export interface ReceiverOptions extends Chunking {
  /** Bytes held durably from the first byte on and confirmed by the server; an unfinished chunk counts as missing. */
  readonly held?: number;
  /** Working memory of at least `recordBytes(chunkBytes)` bytes. */
  readonly memory: Uint8Array;
}

export class ChunkReceiver {
  readonly #chunking: Chunking;
  readonly #count: number;
  readonly #memory: Uint8Array;
  /** The first missing chunk: all chunks below it were received. */
  #next: number;
  /** Received chunks above `#next`. */
  readonly #ahead = new Set<number>();
  #key: ChunkKey | undefined;
  /** Received bytes of the current record. */
  #filled = 0;
  /** Whether the rest of this answer cannot be read. */
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

  /** Throws RangeError for too little memory, and for `held` above the length of the image. */
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

  /** Number of received chunks from the first one on without a gap. */
  get prefix(): number {
    return this.#next;
  }

  /** Received bytes of the image from the first one on without a gap. */
  get prefixBytes(): number {
    return Math.min(this.#next * this.#chunking.chunkBytes, this.#chunking.length);
  }

  get complete(): boolean {
    return this.#next === this.#count;
  }

  get counts(): ReceiverCounts {
    return { ...this.#counts };
  }

  /** Answers in a row without a missing chunk. */
  get barrenAnswers(): number {
    return this.#barren;
  }

  /** The chunks to request next; undefined when all were received. Lost chunks are requested by their numbers. */
  wanted(most: number = MAX_CHUNKS): WantedChunks | undefined {
    if (this.complete) return undefined;
    const limit = Math.max(1, Math.min(most, MAX_CHUNKS));
    if (this.#ahead.size === 0) {
      return { from: this.#next, count: Math.min(limit, this.#count - this.#next) };
    }
    return { numbers: this.missing(limit) };
  }

  /** Missing numbers below the highest received one. */
  missing(most: number = MAX_CHUNKS): readonly number[] {
    const highest = Math.max(this.#next, ...this.#ahead);
    const numbers: number[] = [];
    for (let number = this.#next; number < highest && numbers.length < most; number++) {
      if (!this.#ahead.has(number)) numbers.push(number);
    }
    return numbers;
  }

  /** Called before each answer with the key of its session, which can differ from the last one. */
  begin(key: ChunkKey): void {
    this.#key = key;
    this.#filled = 0;
    this.#lost = false;
    this.#progress = false;
  }

  /**
   * Takes up to one whole record of the next bytes, in pieces of any size; call it again with the bytes that it did not
   * take. A returned chunk counts as received, so a receiver whose chunk could not be stored must not be used any more.
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

  /** Called after the last bytes of an answer, also of one that broke off. */
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
    // Check the HMAC first, because other fields of a foreign record mean nothing.
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
