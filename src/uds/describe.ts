// One line of text about any UDS message, for monitors and traces. Throws for no bytes.

import { hex2, hex4, Reader, splitSubFunction } from './codec.ts';
import { Nrc, nrcName } from './nrc.ts';
import { suppressesPositive } from './request-form.ts';
import type { ServiceRow } from './service-row.ts';
import { serviceOf } from './services/all.ts';
import { NEGATIVE_RESPONSE, POSITIVE_RESPONSE_OFFSET } from './sid.ts';
import { bytesText, spaced } from './words.ts';

/** Whether the bytes are a request, a positive or a negative response. */
export function messageKind(bytes: Uint8Array): 'request' | 'positive' | 'negative' | 'empty' {
  const first = bytes[0];
  if (first === undefined) return 'empty';
  if (first === NEGATIVE_RESPONSE) return 'negative';
  return (first & 0x40) !== 0 ? 'positive' : 'request';
}

/** `22 F195 readDataByIdentifier systemSupplierECUSoftwareVersionNumber` */
export function describeMessage(bytes: Uint8Array): string {
  const [first, second = 0] = bytes;
  const kind = messageKind(bytes);
  if (first === undefined) return 'empty message';
  if (kind === 'negative') return describeNegative(bytes);
  const isRequest = kind === 'request';
  const row = serviceOf(isRequest ? first : first - POSITIVE_RESPONSE_OFFSET);
  const head = [codes(first, bytes, row), row?.name ?? 'unknown service'];
  if (!isRequest) head.push('ok');
  const { subFunction } = splitSubFunction(second);
  const body = isRequest
    ? row?.request?.(bytes, subFunction, describeMessage)
    : row?.response?.(bytes, subFunction, describeMessage);
  const words = body ?? bytesText(bytes, 1);
  if (words !== '') head.push(words);
  if (isRequest && suppressesPositive(bytes)) head.push('(no positive response)');
  return head.join(' ');
}

/** `7F 36 73 transferData refused: wrongBlockSequenceCounter` */
function describeNegative(bytes: Uint8Array): string {
  const [, sid, nrc] = bytes;
  if (sid === undefined || nrc === undefined)
    return `${spaced(bytes)} negative response, too short`;
  const service = serviceOf(sid)?.name ?? `service 0x${hex2(sid)}`;
  const code = spaced(bytes.subarray(0, 3));
  if (nrc === Nrc.requestCorrectlyReceivedResponsePending) {
    return `${code} ${service} response pending`;
  }
  return `${code} ${service} refused: ${nrcName(nrc) ?? `NRC 0x${hex2(nrc)}`}`;
}

/** The bytes that name the request: SID, sub-function, identifier. */
function codes(first: number, bytes: Uint8Array, row: ServiceRow | undefined): string {
  const fields = [hex2(first)];
  const reader = new Reader(bytes, 1);
  for (const width of row?.named ?? (row?.subFunctions === undefined ? [] : [1])) {
    if (reader.left < width) break;
    fields.push(width === 1 ? hex2(reader.uint(1)) : hex4(reader.uint(2)));
  }
  return fields.join(' ');
}
