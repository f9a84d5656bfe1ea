// RequestTransferExit (37), ISO 14229-1 15.5.

import { concatBytes } from '../../core/bytes.ts';
import { type Malformed, requestProblem, responseProblem } from '../codec.ts';
import type { Nrc } from '../nrc.ts';
import { serviceRow } from '../service-row.ts';
import { POSITIVE_RESPONSE_OFFSET } from '../sid.ts';

const SID = 0x37;

export interface Request {
  /** transferRequestParameterRecord, defined by the vehicle manufacturer. Often empty. */
  readonly data: Uint8Array;
}

export type Response = Request;

/** `37 [record]` */
export function encodeRequest(data: Uint8Array = new Uint8Array()): Uint8Array {
  return concatBytes(Uint8Array.of(SID), data);
}

export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  return requestProblem(bytes, SID, 1) ?? { data: bytes.subarray(1) };
}

/** `77 [record]` */
export function encodeResponse(data: Uint8Array = new Uint8Array()): Uint8Array {
  return concatBytes(Uint8Array.of(SID + POSITIVE_RESPONSE_OFFSET), data);
}

export function decodeResponse(bytes: Uint8Array): Response | Malformed {
  return responseProblem(bytes, SID, 1) ?? { data: bytes.subarray(1) };
}

export const row = serviceRow({
  name: 'requestTransferExit',
  sid: SID,
  echoed: 0,
  programs: true,
});
