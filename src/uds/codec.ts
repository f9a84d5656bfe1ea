// Shared parts of the services' codecs: results as values, sub-function byte, length-prefixed fields.

import { concatBytes, uintToBytes } from '../core/bytes.ts';
import { Nrc } from './nrc.ts';
import { POSITIVE_RESPONSE_OFFSET, SUPPRESS_POSITIVE_RESPONSE } from './sid.ts';

/** A positive response with a wrong format. The reason is a text for people. */
export interface Malformed {
  readonly malformed: string;
}

export function malformed(reason: string): Malformed {
  return { malformed: reason };
}

/** True for the result of a `decodeResponse` that could not be decoded. */
export function isMalformed(value: object): value is Malformed {
  return 'malformed' in value;
}

/** ISO 14229-1 8.2.2: bits 0 to 6 are the sub-function, bit 7 suppresses the positive response. */
export interface SubFunction {
  readonly subFunction: number;
  readonly suppress: boolean;
}

export function splitSubFunction(byte: number): SubFunction {
  return {
    subFunction: byte & ~SUPPRESS_POSITIVE_RESPONSE & 0xff,
    suppress: (byte & SUPPRESS_POSITIVE_RESPONSE) !== 0,
  };
}

/** Throws RangeError when the sub-function does not fit into its 7 bits. */
export function joinSubFunction(subFunction: number, suppress = false): number {
  if (!Number.isInteger(subFunction) || subFunction < 0 || subFunction > 0x7f) {
    throw new RangeError(`sub-function ${subFunction} does not fit into 7 bits`);
  }
  return subFunction | (suppress ? SUPPRESS_POSITIVE_RESPONSE : 0);
}

/** Throws RangeError for a value that is not a byte: a typed array would cut it silently. */
export function checkedByte(value: number, what: string): number {
  if (!Number.isInteger(value) || value < 0 || value > 0xff) {
    throw new RangeError(`${what} ${value} does not fit into a byte`);
  }
  return value;
}

/** NRC for a request that is not of this service or has the wrong length; undefined when both are right. */
export function requestProblem(
  bytes: Uint8Array,
  sid: number,
  minLength: number,
  maxLength = Number.POSITIVE_INFINITY,
): Nrc | undefined {
  if (bytes[0] !== sid) return Nrc.serviceNotSupported;
  if (bytes.length < minLength || bytes.length > maxLength) {
    return Nrc.incorrectMessageLengthOrInvalidFormat;
  }
  return undefined;
}

/** Undefined when `bytes` is a positive response to `sid` of an allowed length. */
export function responseProblem(
  bytes: Uint8Array,
  sid: number,
  minLength: number,
  maxLength = Number.POSITIVE_INFINITY,
): Malformed | undefined {
  const expected = sid + POSITIVE_RESPONSE_OFFSET;
  const first = bytes[0];
  if (first !== expected) {
    return malformed(
      `expected response SID 0x${hex2(expected)}, got ${first === undefined ? 'no byte' : `0x${hex2(first)}`}`,
    );
  }
  if (bytes.length < minLength || bytes.length > maxLength) {
    const wanted =
      maxLength === minLength
        ? `${minLength}`
        : `${minLength}${maxLength === Number.POSITIVE_INFINITY ? ' or more' : ` to ${maxLength}`}`;
    return malformed(`expected ${wanted} bytes, got ${bytes.length}`);
  }
  return undefined;
}

/** Formats two hexadecimal digits, upper case. */
export function hex2(value: number): string {
  return value.toString(16).toUpperCase().padStart(2, '0');
}

/** Formats four hexadecimal digits, upper case. */
export function hex4(value: number): string {
  return value.toString(16).toUpperCase().padStart(4, '0');
}

/** Encodes a 16-bit length and the bytes. */
export function field16(bytes: Uint8Array): Uint8Array {
  return concatBytes(uintToBytes(bytes.length, 2), bytes);
}

/** Reads big-endian fields from left to right. After a read beyond the end all reads give 0 or no bytes: see `failed`. */
export class Reader {
  readonly #bytes: Uint8Array;
  #at: number;
  #failed = false;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** A read went beyond the end. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Number of bytes that were not read yet. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** True when everything was read and nothing was missing. */
  get exact(): boolean {
    return !this.#failed && this.left === 0;
  }

  /** A view, not a copy. Empty once the reader has failed. */
  take(length: number): Uint8Array {
    if (this.#failed || length > this.left) {
      this.#failed = true;
      return this.#bytes.subarray(0, 0);
    }
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  rest(): Uint8Array {
    return this.take(this.#failed ? 0 : this.left);
  }

  /** 0 once the reader has failed. Above 2^53 the number is inexact; callers check `Number.isSafeInteger`. */
  uint(length: number): number {
    let value = 0;
    for (const byte of this.take(length)) value = value * 256 + byte;
    return value;
  }

  /** Reads a 16-bit length and that many bytes. */
  field16(): Uint8Array {
    return this.take(this.uint(2));
  }
}
