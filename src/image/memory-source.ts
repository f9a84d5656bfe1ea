// A memory image in memory as an ImageSource.

import { canonicalDigest, canonicalPayload } from './canonical.ts';
import type { ImageSource, SegmentMap } from './image-source.ts';
import { type MemoryImage, rangesOf, totalBytes } from './memory-image.ts';

/** The canonical form of the image. Throws InputError for data that would be taken for a segment map. */
export function memorySource(image: MemoryImage): ImageSource & { readonly map: SegmentMap } {
  const payload = canonicalPayload(image);
  return {
    length: payload.length,
    sha256: canonicalDigest(image),
    map: { segments: rangesOf(image), dataOffset: payload.length - totalBytes(image) },
    read: async (offset, length) => payload.subarray(offset, offset + length),
  };
}
