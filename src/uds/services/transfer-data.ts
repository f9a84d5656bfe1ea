// TransferData (36), ISO 14229-1 15.4.

import { byteAt } from '../../core/bytes.ts';
import { checkedByte, type Malformed, requestProblem, responseProblem } from '../codec.ts';
import type { Nrc } from '../nrc.ts';
import { serviceRow } from '../service-row.ts';
import { POSITIVE_RESPONSE_OFFSET } from '../sid.ts';

const SID = 0x36;

/** Bytes of service identifier and block counter, which maxNumberOfBlockLength includes. */
export const HEADER_LENGTH = 2;

export interface Request {
  /** Starts with 1 after the request of the transfer; 255 is followed by 0. */
  readonly counter: number;
  /** A view of the message. Empty when uploading. */
  readonly data: Uint8Array;
}

export type Response = Request;

/** The counter of the block after this one: 255 is followed by 0. */
export function nextCounter(counter: number): number {
  return (counter + 1) & 0xff;
}

/** `36 <counter> <data>` */
export function encodeRequest(counter: number, data: Uint8Array = new Uint8Array()): Uint8Array {
  return block(SID, counter, data);
}

export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  return requestProblem(bytes, SID, 2) ?? { counter: byteAt(bytes, 1), data: bytes.subarray(2) };
}

/** `76 <counter> [data]` */
export function encodeResponse(counter: number, data: Uint8Array = new Uint8Array()): Uint8Array {
  return block(SID + POSITIVE_RESPONSE_OFFSET, counter, data);
}

export function decodeResponse(bytes: Uint8Array): Response | Malformed {
  return responseProblem(bytes, SID, 2) ?? { counter: byteAt(bytes, 1), data: bytes.subarray(2) };
}

function block(sid: number, counter: number, data: Uint8Array): Uint8Array {
  const message = new Uint8Array(HEADER_LENGTH + data.length);
  message[0] = sid;
  message[1] = checkedByte(counter, 'blockSequenceCounter');
  message.set(data, HEADER_LENGTH);
  return message;
}

export const row = serviceRow({
  name: 'transferData',
  sid: SID,
  echoed: 1,
  named: [1],
  programs: true,
  request: blockText,
  response: blockText,
});

function blockText(message: Uint8Array): string {
  if (message.length < HEADER_LENGTH) return '(too short)';
  const length = message.length - HEADER_LENGTH;
  return `block ${message[1]}${length === 0 ? '' : ` ${length} bytes`}`;
}
