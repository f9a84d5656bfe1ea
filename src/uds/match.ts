// Checks whether a message answers a request. ISO 14229-1 8.3: SID, echoed parameters, form of a negative response.

import { byteAt, equalBytes, toHex } from '../core/bytes.ts';
import { hex2 } from './codec.ts';
import { Nrc } from './nrc.ts';
import { expectedEcho } from './request-form.ts';
import { sidText } from './services/all.ts';
import { NEGATIVE_RESPONSE, POSITIVE_RESPONSE_OFFSET } from './sid.ts';

export type Match =
  | { readonly kind: 'positive' }
  | { readonly kind: 'negative'; readonly nrc: number }
  /** responsePending */
  | { readonly kind: 'pending' }
  /** An answer to this request with a wrong format. */
  | { readonly kind: 'malformed'; readonly reason: string }
  /** A message that does not answer this request. */
  | { readonly kind: 'foreign'; readonly reason: string };

export function matchResponse(request: Uint8Array, message: Uint8Array): Match {
  const sid = byteAt(request, 0);
  const first = message[0];
  if (first === undefined) return { kind: 'foreign', reason: 'the message is empty' };
  if (first === NEGATIVE_RESPONSE) return matchNegative(sid, message);
  if (first !== sid + POSITIVE_RESPONSE_OFFSET) {
    return {
      kind: 'foreign',
      reason: `expected the answer to ${sidText(sid)}, got first byte 0x${hex2(first)}`,
    };
  }
  const echo = expectedEcho(request);
  const got = message.subarray(1, 1 + echo.length);
  if (got.length < echo.length) {
    return {
      kind: 'malformed',
      reason: `${message.length} bytes are too few: ${echo.length} must follow the SID`,
    };
  }
  if (!equalBytes(got, echo)) {
    return {
      kind: 'foreign',
      reason: `expected ${toHex(echo)} after the SID, got ${toHex(got)}`,
    };
  }
  return { kind: 'positive' };
}

/** Whether a message that begins with `start` may answer `request`: the first frame of a long message is enough. */
export function couldAnswer(request: Uint8Array, start: Uint8Array): boolean {
  const sid = byteAt(request, 0);
  if (start[0] === NEGATIVE_RESPONSE) return start.length < 2 || start[1] === sid;
  if (start[0] !== sid + POSITIVE_RESPONSE_OFFSET) return false;
  const echo = expectedEcho(request).subarray(0, start.length - 1);
  return equalBytes(start.subarray(1, 1 + echo.length), echo);
}

function matchNegative(sid: number, message: Uint8Array): Match {
  const refused = message[1];
  if (refused === undefined) {
    return { kind: 'foreign', reason: 'a negative response without service identifier' };
  }
  if (refused !== sid) {
    return { kind: 'foreign', reason: `a negative response to ${sidText(refused)}` };
  }
  const nrc = message[2];
  if (nrc === undefined || message.length !== 3) {
    return {
      kind: 'malformed',
      reason: `a negative response of ${message.length} bytes, expected 3`,
    };
  }
  if (nrc === 0) return { kind: 'malformed', reason: 'a negative response with code 0' };
  return nrc === Nrc.requestCorrectlyReceivedResponsePending
    ? { kind: 'pending' }
    : { kind: 'negative', nrc };
}
