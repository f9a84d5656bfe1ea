// Shared parts of RequestDownload (34) and RequestUpload (35), ISO 14229-1 15.2 and 15.3: memory and block length.

import { byteAt, concatBytes, uintToBytes } from '../core/bytes.ts';
import {
  checkedByte,
  type Malformed,
  malformed,
  Reader,
  requestProblem,
  responseProblem,
} from './codec.ts';
import { Nrc } from './nrc.ts';
import { POSITIVE_RESPONSE_OFFSET } from './sid.ts';

export interface MemoryRequest {
  /** dataFormatIdentifier: compression in the upper nibble, encryption in the lower; 00 is plain. */
  readonly dataFormat: number;
  readonly address: number;
  readonly size: number;
  /** Widths on the wire in bytes, 1 to 15, of the addressAndLengthFormatIdentifier. */
  readonly addressBytes: number;
  readonly sizeBytes: number;
}

export interface MemoryResponse {
  /** Longest TransferData message in bytes, service identifier and block counter included. */
  readonly maxBlockLength: number;
}

/** Input of a caller: plain data, and 4 bytes for address and size by default. */
export type MemoryRequestInput = Pick<MemoryRequest, 'address' | 'size'> & Partial<MemoryRequest>;

/** Annex H.1: addressAndLengthFormatIdentifier, address and size; also the argument of eraseMemory (31 FF00). */
export function encodeAddressAndLength(input: MemoryRequestInput): Uint8Array {
  const addressBytes = nibble(input.addressBytes ?? 4, 'memoryAddress');
  const sizeBytes = nibble(input.sizeBytes ?? 4, 'memorySize');
  return concatBytes(
    Uint8Array.of((sizeBytes << 4) | addressBytes),
    uintToBytes(input.address, addressBytes),
    uintToBytes(input.size, sizeBytes),
  );
}

/**
 * Reads the output of `encodeAddressAndLength` from `at` to the end of `bytes`. Returns requestOutOfRange for a width of 0
 * and for a number of 2^53 or more; 0x13 for a length that does not fit the widths.
 */
export function decodeAddressAndLength(
  bytes: Uint8Array,
  at: number,
): Omit<MemoryRequest, 'dataFormat'> | Nrc {
  const format = bytes[at];
  if (format === undefined) return Nrc.incorrectMessageLengthOrInvalidFormat;
  const addressBytes = format & 0x0f;
  const sizeBytes = format >> 4;
  if (addressBytes === 0 || sizeBytes === 0) return Nrc.requestOutOfRange;
  const reader = new Reader(bytes, at + 1);
  const address = reader.uint(addressBytes);
  const size = reader.uint(sizeBytes);
  if (!reader.exact) return Nrc.incorrectMessageLengthOrInvalidFormat;
  if (!Number.isSafeInteger(address) || !Number.isSafeInteger(size)) return Nrc.requestOutOfRange;
  return { address, size, addressBytes, sizeBytes };
}

export function encodeMemoryRequest(sid: number, input: MemoryRequestInput): Uint8Array {
  return concatBytes(
    Uint8Array.of(sid, checkedByte(input.dataFormat ?? 0, 'dataFormatIdentifier')),
    encodeAddressAndLength(input),
  );
}

export function decodeMemoryRequest(sid: number, bytes: Uint8Array): MemoryRequest | Nrc {
  const problem = requestProblem(bytes, sid, 5);
  if (problem !== undefined) return problem;
  const memory = decodeAddressAndLength(bytes, 2);
  return typeof memory === 'number' ? memory : { dataFormat: byteAt(bytes, 1), ...memory };
}

/** The width of maxNumberOfBlockLength is the smallest that is enough, at least 2 bytes. */
export function encodeMemoryResponse(
  sid: number,
  maxBlockLength: number,
  width = Math.max(2, bytesNeeded(maxBlockLength)),
): Uint8Array {
  return concatBytes(
    Uint8Array.of(sid + POSITIVE_RESPONSE_OFFSET, nibble(width, 'maxNumberOfBlockLength') << 4),
    uintToBytes(maxBlockLength, width),
  );
}

export function decodeMemoryResponse(sid: number, bytes: Uint8Array): MemoryResponse | Malformed {
  const problem = responseProblem(bytes, sid, 3);
  if (problem !== undefined) return problem;
  // Table 444: the lower nibble of lengthFormatIdentifier is reserved and is not checked.
  const width = byteAt(bytes, 1) >> 4;
  if (width === 0) return malformed('lengthFormatIdentifier announces no maxNumberOfBlockLength');
  if (bytes.length !== 2 + width) {
    return malformed(`expected ${width} bytes of maxNumberOfBlockLength, got ${bytes.length - 2}`);
  }
  const maxBlockLength = new Reader(bytes, 2).uint(width);
  // Below 3 there is no space for data after the identifier and the counter.
  if (maxBlockLength < 3) return malformed(`maxNumberOfBlockLength ${maxBlockLength} is below 3`);
  return { maxBlockLength: Math.min(maxBlockLength, Number.MAX_SAFE_INTEGER) };
}

/** Number of bytes of an unsigned number, at least one. */
export function bytesNeeded(value: number): number {
  let bytes = 1;
  while (value >= 2 ** (8 * bytes)) bytes++;
  return bytes;
}

function nibble(width: number, what: string): number {
  if (!Number.isInteger(width) || width < 1 || width > 15) {
    throw new RangeError(`${what}: a width of ${width} bytes, expected 1 to 15`);
  }
  return width;
}
