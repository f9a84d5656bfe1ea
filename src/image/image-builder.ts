// Puts a memory image together from pieces in any order: sorts, merges what is adjacent, refuses what overlaps.

import { hexNumber } from '../core/bytes.ts';
import { InputError } from '../core/errors.ts';
import { LARGEST_IMAGE_BYTES, LARGEST_IMAGE_TEXT } from '../core/image-limit.ts';
import { formatBytes } from '../core/units.ts';
import { ADDRESS_END, type MemoryImage, type MemorySegment } from './memory-image.ts';

/** Bound of what tables of segments may take, here and in ECUs. */
export const MOST_SEGMENTS = 65_536;

/** Throws InputError with the name of the file. Nothing of a piece is copied before `build`. */
export class ImageBuilder {
  readonly #name: string;
  readonly #placeText: (place: number) => string;
  // Columns, because a file of 4 MiB has 262,144 records.
  readonly #addresses: number[] = [];
  readonly #sources: Uint8Array[] = [];
  readonly #offsets: number[] = [];
  readonly #lengths: number[] = [];
  readonly #places: number[] = [];
  #isSorted = true;
  #total = 0;

  /** `placeText` names a place of the file for a person: `line 12`. */
  constructor(name: string, placeText: (place: number) => string) {
    this.#name = name;
    this.#placeText = placeText;
  }

  /** `length` bytes of `source` from `offset` are to stand at `address`. Pieces without bytes are left out. */
  add(address: number, source: Uint8Array, offset: number, length: number, place: number): void {
    if (length === 0) return;
    if (address + length > ADDRESS_END) {
      throw this.#fault(
        `${this.#placeText(place)}: ${length} bytes at ${hexNumber(address, 8)} end behind the last address, 0xFFFFFFFF`,
      );
    }
    const last = this.#addresses.length - 1;
    if (last >= 0 && address < (this.#addresses[last] ?? 0)) this.#isSorted = false;
    this.#addresses.push(address);
    this.#sources.push(source);
    this.#offsets.push(offset);
    this.#lengths.push(length);
    this.#places.push(place);
    this.#total += length;
  }

  /** Throws InputError where there is no data, or where two pieces hold the same address. */
  build(): MemoryImage {
    const count = this.#addresses.length;
    if (count === 0) throw this.#fault('holds no data: an image has at least one byte');
    const order = this.#order(count);
    const segments: MemorySegment[] = [];
    let begin = 0;
    let end = this.#addressOf(order, 0);
    for (let at = 0; at < count; at++) {
      const address = this.#addressOf(order, at);
      if (address < end) throw this.#overlap(order, at);
      if (address > end) {
        if (segments.length === MOST_SEGMENTS - 1) throw this.#tooMany();
        segments.push(this.#segment(order, begin, at));
        begin = at;
      }
      end = address + (this.#lengths[order[at] ?? at] ?? 0);
    }
    segments.push(this.#segment(order, begin, count));
    // Pieces do not overlap, so that only a full address space is one byte too long.
    if (this.#total > LARGEST_IMAGE_BYTES) {
      throw this.#fault(`holds ${this.#total} bytes: an image has at most ${LARGEST_IMAGE_TEXT}`);
    }
    return { segments };
  }

  #order(count: number): Uint32Array {
    const order = Uint32Array.from({ length: count }, (_, index) => index);
    if (this.#isSorted) return order;
    const addresses = this.#addresses;
    // What was first in the file stays first, so that a message names the places in their order.
    return order.sort((a, b) => (addresses[a] ?? 0) - (addresses[b] ?? 0) || a - b);
  }

  #addressOf(order: Uint32Array, at: number): number {
    return this.#addresses[order[at] ?? at] ?? 0;
  }

  /** A view where the pieces lie one behind the other in one array, as they do in most files. */
  #segment(order: Uint32Array, begin: number, end: number): MemorySegment {
    const address = this.#addressOf(order, begin);
    const first = order[begin] ?? begin;
    const source = this.#sources[first] ?? new Uint8Array(0);
    const offset = this.#offsets[first] ?? 0;
    let length = 0;
    let isView = true;
    for (let at = begin; at < end; at++) {
      const piece = order[at] ?? at;
      isView &&= this.#sources[piece] === source && this.#offsets[piece] === offset + length;
      length += this.#lengths[piece] ?? 0;
    }
    if (isView) return { address, bytes: source.subarray(offset, offset + length) };
    const bytes = new Uint8Array(length);
    let filled = 0;
    for (let at = begin; at < end; at++) {
      const piece = order[at] ?? at;
      const from = this.#offsets[piece] ?? 0;
      const count = this.#lengths[piece] ?? 0;
      bytes.set(this.#sources[piece]?.subarray(from, from + count) ?? [], filled);
      filled += count;
    }
    return { address, bytes };
  }

  #overlap(order: Uint32Array, at: number): InputError {
    const one = this.#placeText(this.#places[order[at - 1] ?? 0] ?? 0);
    const other = this.#placeText(this.#places[order[at] ?? 0] ?? 0);
    const address = hexNumber(this.#addressOf(order, at), 8);
    return this.#fault(`${one} and ${other} both hold the byte at ${address}`);
  }

  #tooMany(): InputError {
    return this.#fault(
      `has more than ${MOST_SEGMENTS} segments in ${formatBytes(this.#total)}: fill the gaps when you make it`,
    );
  }

  #fault(message: string): InputError {
    return new InputError(this.#name, message);
  }
}

/** One segment. `name` is the file's, for the message when it ends behind the last address. */
export function singleSegment(address: number, bytes: Uint8Array, name: string): MemoryImage {
  const builder = new ImageBuilder(name, () => 'the file');
  builder.add(address, bytes, 0, bytes.length, 0);
  return builder.build();
}
