// The form of a request by the row of its service: sub-function byte and echoed bytes.

import { serviceOf } from './services/all.ts';
import { SUPPRESS_POSITIVE_RESPONSE } from './sid.ts';

/** ISO 14229-1 clause 9 to 15: the second byte is a sub-function. */
export function hasSubFunction(sid: number): boolean {
  return serviceOf(sid)?.subFunctions !== undefined;
}

/** The sub-function byte, bit 7 included; undefined where there is none. */
function subFunctionByte([sid, second]: Uint8Array): number | undefined {
  return sid !== undefined && hasSubFunction(sid) ? second : undefined;
}

/** Bit 7 of the sub-function is set: a positive response is not wanted. */
export function suppressesPositive(request: Uint8Array): boolean {
  return ((subFunctionByte(request) ?? 0) & SUPPRESS_POSITIVE_RESPONSE) !== 0;
}

/** The request with bit 7 of its sub-function set; services without sub-function stay as they are. */
export function withSuppressedPositive(request: Uint8Array): Uint8Array {
  const byte = subFunctionByte(request);
  return byte === undefined ? request : withSecondByte(request, byte | SUPPRESS_POSITIVE_RESPONSE);
}

/** The request in the form for handlers: without bit 7 of a sub-function, which concerns the session layer only. */
export function withoutSuppressBit(request: Uint8Array): Uint8Array {
  const byte = subFunctionByte(request);
  return byte === undefined || (byte & SUPPRESS_POSITIVE_RESPONSE) === 0
    ? request
    : withSecondByte(request, byte & ~SUPPRESS_POSITIVE_RESPONSE);
}

/** The bytes that a positive response must carry after its SID. */
export function expectedEcho(request: Uint8Array): Uint8Array {
  const row = serviceOf(request[0] ?? 0);
  return withoutSuppressBit(request).slice(1, 1 + (row?.echoed ?? 0));
}

function withSecondByte(request: Uint8Array, byte: number): Uint8Array {
  const copy = Uint8Array.from(request);
  copy[1] = byte;
  return copy;
}
