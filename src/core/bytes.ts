// Bytes: hex, concatenation, comparison, big-endian numbers of 1 to 8 bytes.

/** Lower-case hex without separators. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** Parses hex; spaces are allowed between bytes. Throws RangeError with the offending text. */
export function fromHex(text: string): Uint8Array {
  const digits = text.replaceAll(' ', '');
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) {
    throw new RangeError(`not hexadecimal bytes: ${JSON.stringify(text)}`);
  }
  return Uint8Array.from(Buffer.from(digits, 'hex'));
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The byte at `index`; throws RangeError where the array ends before it. */
export function byteAt(bytes: Uint8Array, index: number): number {
  const byte = bytes[index];
  if (byte === undefined) throw noByte(index, bytes.length);
  return byte;
}

/** Separate from `byteAt`, which stays small enough to be inlined by the engine. */
function noByte(index: number, length: number): RangeError {
  return new RangeError(`no byte ${index} in ${length} bytes`);
}

/** The length from which `set` with a subarray is faster than a loop, as measured. */
const LOOP_BELOW = 24;

/** Copies `count` bytes; throws RangeError where `from` ends before them. */
export function copyBytes(
  from: Uint8Array,
  fromAt: number,
  into: Uint8Array,
  intoAt: number,
  count: number,
): void {
  if (fromAt + count > from.length) throw noByte(from.length, from.length);
  if (count >= LOOP_BELOW) into.set(from.subarray(fromAt, fromAt + count), intoAt);
  else {
    for (let index = 0; index < count; index++) into[intoAt + index] = byteAt(from, fromAt + index);
  }
}

/** Flips the bits of `mask` in the byte at `index`; throws RangeError where the array ends before it. */
export function flipBits(bytes: Uint8Array, index: number, mask: number): void {
  bytes[index] = byteAt(bytes, index) ^ mask;
}

/** Not constant in time: for frames and digests that are public. Secrets use `constantTimeEqual`. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Compares secrets; for equal lengths the duration does not depend on where they differ. */
export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index++) difference |= byteAt(a, index) ^ byteAt(b, index);
  return difference === 0;
}

/** Big-endian unsigned number over `length` bytes; throws RangeError when it does not fit. */
export function uintToBytes(value: number, length: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0 || value >= 2 ** (8 * length)) {
    throw new RangeError(`${value} does not fit into ${length} bytes`);
  }
  const bytes = new Uint8Array(length);
  for (let index = length - 1, rest = value; index >= 0; index--) {
    bytes[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return bytes;
}

/** Big-endian unsigned number of the whole array (at most 6 bytes stay exact). */
export function bytesToUint(bytes: Uint8Array): number {
  let value = 0;
  for (const byte of bytes) value = value * 256 + byte;
  if (!Number.isSafeInteger(value))
    throw new RangeError(`number of ${bytes.length} bytes is too large`);
  return value;
}

/** `0x7e8`-style text of an identifier or address. */
export function hexNumber(value: number, digits = 0): string {
  return `0x${value.toString(16).toUpperCase().padStart(digits, '0')}`;
}

const ascii = new TextDecoder('latin1');

export function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}

export function asciiText(bytes: Uint8Array): string {
  return ascii.decode(bytes);
}
