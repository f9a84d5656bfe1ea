// A memory image: which bytes are to stand at which addresses of an ECU.

import { InputError } from '../core/errors.ts';
import { LARGEST_IMAGE_BYTES } from '../core/image-limit.ts';
import { formatBytes } from '../core/units.ts';

/** Addresses have 32 bits: the first one that does not exist. */
export const ADDRESS_END = 2 ** 32;

/** Where a segment stands. */
export interface SegmentRange {
  /** 0 to 2^32 - 1 */
  readonly address: number;
  /** bytes, at least 1; `address + length` is at most 2^32 */
  readonly length: number;
}

export interface MemorySegment {
  /** 0 to 2^32 - 1 */
  readonly address: number;
  /** At least one. They may be a view of a larger array: copy before you change them. */
  readonly bytes: Uint8Array;
}

/**
 * At least one segment, in rising order of addresses. Segments neither overlap nor touch each other: what is adjacent
 * is one segment. `buildImage` makes images that hold this.
 */
export interface MemoryImage {
  readonly segments: readonly MemorySegment[];
}

/** What becomes of the addresses between two segments. */
export type GapPolicy =
  /** They stay out of the image. */
  | { readonly kind: 'keep' }
  /** All are filled with `value`: one segment is left. */
  | { readonly kind: 'fill'; readonly value: number }
  /** Gaps of at most `atMost` bytes are filled with `value`. */
  | { readonly kind: 'bridge'; readonly atMost: number; readonly value: number };

/** bytes of all segments */
export function totalBytes({ segments }: MemoryImage): number {
  return segments.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

/** From the first byte to the last one, with the gaps. */
export function spanOf({ segments }: MemoryImage): SegmentRange {
  const first = segments[0];
  const last = segments.at(-1);
  if (first === undefined || last === undefined) throw new RangeError('an image without segments');
  return { address: first.address, length: endOf(last) - first.address };
}

export function rangesOf({ segments }: MemoryImage): readonly SegmentRange[] {
  return segments.map(({ address, bytes }) => ({ address, length: bytes.length }));
}

/** The address behind the last byte. */
export function endOf({ address, bytes }: MemorySegment): number {
  return address + bytes.length;
}

/**
 * The image with gaps treated as the policy says. Throws InputError, before anything is allocated, when more than
 * `largest` bytes would come out.
 */
export function fillGaps(
  image: MemoryImage,
  policy: GapPolicy,
  largest: number = LARGEST_IMAGE_BYTES,
): MemoryImage {
  if (policy.kind === 'keep') return image;
  const atMost = policy.kind === 'fill' ? ADDRESS_END : policy.atMost;
  const runs: MemorySegment[][] = [];
  for (const segment of image.segments) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    if (run !== undefined && last !== undefined && segment.address - endOf(last) <= atMost) {
      run.push(segment);
    } else runs.push([segment]);
  }
  const ranges = runs.map((segments) => ({ ...spanOf({ segments }), segments }));
  requireSize(image, ranges, largest, 'filling the gaps');
  return { segments: ranges.map((range) => filled(range, range.segments, policy.value)) };
}

function requireSize(
  image: MemoryImage,
  ranges: readonly SegmentRange[],
  largest: number,
  by: string,
): void {
  const length = ranges.reduce((sum, range) => sum + range.length, 0);
  if (length <= largest) return;
  throw new InputError(
    'memory image',
    `${by} makes ${length} bytes (${formatBytes(length)}) of ${totalBytes(image)}, at most ${largest} are possible`,
  );
}

/** As it is where nothing is added, so that a large segment is not copied for nothing. */
function filled(
  { address, length }: SegmentRange,
  segments: readonly MemorySegment[],
  value: number,
): MemorySegment {
  const [only] = segments;
  if (only !== undefined && only.address === address && only.bytes.length === length) return only;
  const bytes = new Uint8Array(length).fill(value);
  for (const segment of segments) bytes.set(segment.bytes, segment.address - address);
  return { address, bytes };
}
