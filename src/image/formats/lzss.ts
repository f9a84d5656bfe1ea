// LZSS as VBF files use it (data format 0x10), as the open tools of the field decode it (smartgauges/qvbf, a GUI for VBF files of Ford).

// Taken from there, not from a specification, which is not public:
// * Bits come from each byte with the highest one first. A 1 is followed by 8 bits, a byte as it is. A 0 is followed by
//   10 bits, a position, and 4 bits, a length less 2 (2 to 17 bytes).
// * Position 0 ends the data. Others are, less 1, places in a ring of 1,024 bytes that begins to be written at 0.
// * What was never written is a blank (20 hex). Their encoder never refers to it; other encoders could not be tried.
// * Bits that are left at the end are padding.
// The CRC-16 of each block, over the unpacked bytes, tells where an encoder does otherwise.

const RING = 1024;
const POSITION_BITS = 10;
const LENGTH_BITS = 4;
const SHORTEST = 2;
const NEVER_WRITTEN = 0x20;

/** Undefined where more than `most` bytes would come out. At most 9.1 bytes come out for each one of `packed`. */
export function unpackLzss(packed: Uint8Array, most: number): Uint8Array | undefined {
  let output = new Uint8Array(Math.min(most, packed.length * 2 + 32));
  let length = 0;
  let at = 0;
  let bits = 0;
  let bitCount = 0;

  /** -1 where fewer bits are left. */
  const take = (count: number): number => {
    while (bitCount < count) {
      const next = packed[at];
      if (next === undefined) return -1;
      at++;
      bits = ((bits << 8) | next) & 0xff_ffff;
      bitCount += 8;
    }
    bitCount -= count;
    return (bits >> bitCount) & ((1 << count) - 1);
  };

  for (;;) {
    const isLiteral = take(1);
    if (isLiteral < 0) break;
    let count = 1;
    let distance = 0;
    let literal = 0;
    if (isLiteral === 1) {
      literal = take(8);
      if (literal < 0) break;
    } else {
      const position = take(POSITION_BITS);
      const code = take(LENGTH_BITS);
      if (position <= 0 || code < 0) break;
      count = code + SHORTEST;
      // The ring holds the last 1,024 bytes: a place in it is a distance back, 1 to 1,024.
      distance = ((length - position) & (RING - 1)) + 1;
    }
    if (length + count > most) return undefined;
    if (length + count > output.length) {
      const larger = new Uint8Array(Math.min(most, output.length * 2));
      larger.set(output);
      output = larger;
    }
    if (distance === 0) output[length++] = literal;
    else {
      for (const end = length + count; length < end; length++) {
        output[length] = length < distance ? NEVER_WRITTEN : (output[length - distance] ?? 0);
      }
    }
  }
  return output.subarray(0, length);
}
