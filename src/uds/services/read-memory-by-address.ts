// ReadMemoryByAddress (23), ISO 14229-1 11.3: bytes of the memory.

import { concatBytes } from '../../core/bytes.ts';
import { type Malformed, requestProblem, responseProblem } from '../codec.ts';
import {
  decodeAddressAndLength,
  encodeAddressAndLength,
  type MemoryRequest,
  type MemoryRequestInput,
} from '../memory-transfer.ts';
import type { Nrc } from '../nrc.ts';
import { serviceRow } from '../service-row.ts';
import { POSITIVE_RESPONSE_OFFSET } from '../sid.ts';
import { memoryText } from '../words.ts';

const SID = 0x23;

export type Request = Omit<MemoryRequest, 'dataFormat'>;

export interface Response {
  /** A view of the message, at least one byte. */
  readonly data: Uint8Array;
}

/** `23 <addressAndLengthFormat> <address> <size>`, 4 bytes each by default. */
export function encodeRequest(input: Omit<MemoryRequestInput, 'dataFormat'>): Uint8Array {
  return concatBytes(Uint8Array.of(SID), encodeAddressAndLength(input));
}

export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  return requestProblem(bytes, SID, 4) ?? decodeAddressAndLength(bytes, 1);
}

/** `63 <data>` */
export function encodeResponse(data: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(SID + POSITIVE_RESPONSE_OFFSET), data);
}

/** The response repeats neither address nor size: the caller compares its length with the request. */
export function decodeResponse(bytes: Uint8Array): Response | Malformed {
  return responseProblem(bytes, SID, 2) ?? { data: bytes.subarray(1) };
}

export const row = serviceRow({
  name: 'readMemoryByAddress',
  sid: SID,
  echoed: 0,
  request: (message) => memoryText(decodeRequest(message)),
});
