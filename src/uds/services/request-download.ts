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
import { serviceRow } from '../service-row.ts';
import { blockLengthText, memoryText } from '../words.ts';

const SID = 0x34;

export type Request = MemoryRequest;
export type Response = MemoryResponse;

/** `34 <dataFormat> <addressAndLengthFormat> <address> <size>`, 4 bytes each by default. */
export function encodeRequest(input: MemoryRequestInput): Uint8Array {
  return encodeMemoryRequest(SID, input);
}

export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  return decodeMemoryRequest(SID, bytes);
}

/** `74 <width of the length, upper nibble> <maxNumberOfBlockLength>` */
export function encodeResponse(maxBlockLength: number, width?: number): Uint8Array {
  return encodeMemoryResponse(SID, maxBlockLength, width);
}

export function decodeResponse(bytes: Uint8Array): Response | Malformed {
  return decodeMemoryResponse(SID, bytes);
}

export const row = serviceRow({
  name: 'requestDownload',
  sid: SID,
  echoed: 0,
  request: (message) => memoryText(decodeRequest(message)),
  response: (message) => blockLengthText(decodeResponse(message)),
});
