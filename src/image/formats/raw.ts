// Raw data: bytes without addresses. Written with the gaps filled.

import { singleSegment } from '../image-builder.ts';
import type { LoadedImage } from '../loaded-image.ts';
import { type MemoryImage, spanOf } from '../memory-image.ts';

/** Throws InputError where the bytes end behind the last address. */
export function readRaw(bytes: Uint8Array, name: string, address: number): LoadedImage {
  return { format: 'raw', image: singleSegment(address, bytes, name), start: null, facts: [] };
}

const FILL_PIECE = 1 << 16;

/** The bytes from the first address to the last one, in pieces, gaps as `fill`. A gap of any size takes 64 KiB. */
export function* writeRaw(image: MemoryImage, fill: number): Generator<Uint8Array, void> {
  const filling = new Uint8Array(FILL_PIECE).fill(fill);
  let at = spanOf(image).address;
  for (const { address, bytes } of image.segments) {
    for (; at < address; at += Math.min(FILL_PIECE, address - at)) {
      yield filling.subarray(0, Math.min(FILL_PIECE, address - at));
    }
    yield bytes;
    at = address + bytes.length;
  }
}
