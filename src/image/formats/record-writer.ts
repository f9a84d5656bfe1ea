// What the writers of Intel HEX and S-records have in common: data cut into records, lines put together.

import { endOf, type MemoryImage, type MemorySegment } from '../memory-image.ts';

const PER_RECORD = 32;
const PER_PIECE = 1 << 16;

/** At most 32 bytes each. All but the first of a segment begin at a multiple of 32, so that none crosses 64 KiB. */
export function* recordsOf(image: MemoryImage): Generator<MemorySegment, void> {
  for (const segment of image.segments) {
    const end = endOf(segment);
    for (let address = segment.address; address < end; ) {
      const length = Math.min(PER_RECORD - (address % PER_RECORD), end - address);
      const from = address - segment.address;
      yield { address, bytes: segment.bytes.subarray(from, from + length) };
      address += length;
    }
  }
}

/** Lines of ASCII with `\n` behind each, in pieces. */
export function* textPieces(lines: Iterable<string>): Generator<Uint8Array, void> {
  let piece = '';
  for (const line of lines) {
    piece += `${line}\n`;
    if (piece.length >= PER_PIECE) {
      yield Buffer.from(piece, 'latin1');
      piece = '';
    }
  }
  yield Buffer.from(piece, 'latin1');
}
