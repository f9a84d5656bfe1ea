// A memory image in memory as an ImageSource.

import { canonicalDigest } from './canonical.ts';
import type { ImageSource } from './image-source.ts';
import { type MemoryImage, rangesOf, totalBytes } from './memory-image.ts';

/** Throws InputError for data that would be taken for a segment map. */
export function memorySource(
  image: MemoryImage,
): ImageSource & Required<Pick<ImageSource, 'segments'>> {
  const length = totalBytes(image);
  return {
    length,
    sha256: canonicalDigest(image),
    segments: rangesOf(image),
    read: (offset, count) =>
      Promise.resolve(readAt(image, offset, Math.min(count, length - offset))),
  };
}

/** Offsets run over the data of all segments. A view where one segment holds all of it. */
function readAt({ segments }: MemoryImage, offset: number, count: number): Uint8Array {
  if (count <= 0) return new Uint8Array(0);
  const found = new Uint8Array(count);
  let filled = 0;
  let skip = offset;
  for (const { bytes } of segments) {
    if (skip >= bytes.length) {
      skip -= bytes.length;
      continue;
    }
    const part = bytes.subarray(skip, skip + count - filled);
    if (part.length === count) return part;
    found.set(part, filled);
    filled += part.length;
    if (filled === count) break;
    skip = 0;
  }
  return found;
}
