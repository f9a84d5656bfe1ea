// Puts a memory image together from pieces in any order: sorts, merges what is adjacent, refuses what overlaps.

import { hexNumber } from '../core/bytes.ts';
import { InputError } from '../core/errors.ts';
import { LARGEST_IMAGE_BYTES, LARGEST_IMAGE_TEXT } from '../core/image-limit.ts';
import { itemAt } from '../core/present.ts';
import { formatBytes } from '../core/units.ts';
import { ADDRESS_END, type MemoryImage, type MemorySegment } from './memory-image.ts';

/** Bound of what tables of segments may take, here and in ECUs. */
export const MOST_SEGMENTS = 65_536;

/** Takes what a reader finds in a file. */
export interface PieceSink {
  /** `length` bytes of `source` from `offset` are to stand at `address`; `place` is the line, record or block. */
  add(address: number, source: Uint8Array, offset: number, length: number, place: number): void;
}

/** One or more pieces that follow each other in the file and in memory. */
interface Run {
  readonly address: number;
  readonly source: Uint8Array;
  readonly offset: number;
  length: number;
}

/**
 * The image of what `read` finds; it is called again, for the places, where two pieces hold one address. `placeText`
 * names a place for a person: `line 12`. Throws InputError with the name of the file: without data, with too much of
 * it, or where pieces overlap.
 */
export function buildImage(
  name: string,
  placeText: (place: number) => string,
  read: (sink: PieceSink) => void,
): MemoryImage {
  const builder = new ImageBuilder(name, placeText);
  read(builder);
  return builder.build((address) => {
    const places: number[] = [];
    read({
      add: (from, _source, _offset, length, place) => {
        if (from <= address && address < from + length) places.push(place);
      },
    });
    return places;
  });
}

class ImageBuilder implements PieceSink {
  readonly #name: string;
  readonly #placeText: (place: number) => string;
  readonly #runs: Run[] = [];
  /** The last run, and where a piece must begin to go on with it. */
  #run: Run | undefined;
  #nextAddress = -1;
  #nextOffset = 0;
  #isSorted = true;
  #total = 0;

  constructor(name: string, placeText: (place: number) => string) {
    this.#name = name;
    this.#placeText = placeText;
  }

  add(address: number, source: Uint8Array, offset: number, length: number, place: number): void {
    if (length === 0) return;
    const end = address + length;
    if (end > ADDRESS_END) {
      throw this.#fault(
        `${this.#placeText(place)}: ${length} bytes at ${hexNumber(address, 8)} end behind the last address, 0xFFFFFFFF`,
      );
    }
    this.#total += length;
    const run = this.#run;
    if (
      run !== undefined &&
      address === this.#nextAddress &&
      offset === this.#nextOffset &&
      source === run.source
    ) {
      run.length += length;
    } else {
      if (address < this.#nextAddress) this.#isSorted = false;
      this.#run = { address, source, offset, length };
      this.#runs.push(this.#run);
    }
    this.#nextAddress = end;
    this.#nextOffset = offset + length;
  }

  build(placesOf: (address: number) => readonly number[]): MemoryImage {
    const runs = this.#runs;
    if (runs.length === 0) throw this.#fault('holds no data: an image has at least one byte');
    if (!this.#isSorted) runs.sort((a, b) => a.address - b.address);
    const segments: MemorySegment[] = [];
    let begin = 0;
    for (let at = 1; at <= runs.length; at++) {
      const before = itemAt(runs, at - 1);
      const end = before.address + before.length;
      const run = runs[at];
      if (run !== undefined && run.address < end) throw this.#overlap(run.address, placesOf);
      if (run !== undefined && run.address === end) continue;
      if (segments.length === MOST_SEGMENTS) throw this.#tooMany();
      segments.push(merged(runs.slice(begin, at)));
      begin = at;
    }
    // Pieces do not overlap, so that only a full address space is one byte too long.
    if (this.#total > LARGEST_IMAGE_BYTES) {
      throw this.#fault(`holds ${this.#total} bytes: an image has at most ${LARGEST_IMAGE_TEXT}`);
    }
    return { segments };
  }

  #overlap(address: number, placesOf: (address: number) => readonly number[]): InputError {
    const [one, other] = placesOf(address).map(this.#placeText);
    return this.#fault(`${one} and ${other} both hold the byte at ${hexNumber(address, 8)}`);
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

/** A view of the source where there is one run, as in most files. */
function merged(runs: readonly Run[]): MemorySegment {
  const first = itemAt(runs, 0);
  const { address, source, offset } = first;
  if (runs.length === 1) return { address, bytes: source.subarray(offset, offset + first.length) };
  const bytes = new Uint8Array(runs.reduce((sum, { length }) => sum + length, 0));
  for (const run of runs) {
    bytes.set(run.source.subarray(run.offset, run.offset + run.length), run.address - address);
  }
  return { address, bytes };
}

/** One segment. Throws InputError with the name of the file where it is empty or ends behind the last address. */
export function singleSegment(address: number, bytes: Uint8Array, name: string): MemoryImage {
  return buildImage(
    name,
    () => 'raw data',
    (sink) => sink.add(address, bytes, 0, bytes.length, 0),
  );
}
