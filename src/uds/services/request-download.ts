// RequestDownload (34), ISO 14229-1 15.2.

import type { Malformed } from '../codec.ts';
import {
  decodeMemoryRequest,
  decodeMemoryResponse,
  encodeMemoryRequest,
  encodeMemoryResponse,
  type MemoryRequest,
  type MemoryRequestInput,
  type MemoryResponse,
} from '../memory-transfer.ts';
import type { Nrc } from '../nrc.ts';
import { Sid } from '../sid.ts';

export type Request = MemoryRequest;
export type Response = MemoryResponse;

/** `34 <dataFormat> <addressAndLengthFormat> <address> <size>`, 4 bytes each unless told otherwise. */
export function encodeRequest(input: MemoryRequestInput): Uint8Array {
  return encodeMemoryRequest(Sid.requestDownload, input);
}

export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  return decodeMemoryRequest(Sid.requestDownload, bytes);
}

/** `74 <width of the length, upper nibble> <maxNumberOfBlockLength>` */
export function encodeResponse(maxBlockLength: number, width?: number): Uint8Array {
  return encodeMemoryResponse(Sid.requestDownload, maxBlockLength, width);
}

export function decodeResponse(bytes: Uint8Array): Response | Malformed {
  return decodeMemoryResponse(Sid.requestDownload, bytes);
}
