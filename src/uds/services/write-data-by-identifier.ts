// WriteDataByIdentifier (2E), ISO 14229-1 11.7.

import { concatBytes, uintToBytes } from '../../core/bytes.ts';
import { type Malformed, Reader, requestProblem, responseProblem } from '../codec.ts';
import { didOf, writtenData } from '../did-names.ts';
import type { Nrc } from '../nrc.ts';
import { serviceRow } from '../service-row.ts';
import { POSITIVE_RESPONSE_OFFSET } from '../sid.ts';

const SID = 0x2e;

export interface Request {
  readonly did: number;
  /** At least one byte. */
  readonly data: Uint8Array;
}

export interface Response {
  readonly did: number;
}

/** `2E <DID> <data>`; throws RangeError without data. */
export function encodeRequest(did: number, data: Uint8Array): Uint8Array {
  if (data.length === 0) throw new RangeError('writeDataByIdentifier needs at least one byte');
  return concatBytes(Uint8Array.of(SID), uintToBytes(did, 2), data);
}

export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  return (
    requestProblem(bytes, SID, 4) ?? {
      did: new Reader(bytes, 1).uint(2),
      data: bytes.subarray(3),
    }
  );
}

/** `6E <DID>` */
export function encodeResponse(did: number): Uint8Array {
  return concatBytes(Uint8Array.of(SID + POSITIVE_RESPONSE_OFFSET), uintToBytes(did, 2));
}

export function decodeResponse(bytes: Uint8Array): Response | Malformed {
  return responseProblem(bytes, SID, 3, 3) ?? { did: new Reader(bytes, 1).uint(2) };
}

export const row = serviceRow({
  name: 'writeDataByIdentifier',
  sid: SID,
  echoed: 2,
  named: [2],
  programs: true,
  request: (message) => `${didOf(message)} ${writtenData(message)}`.trim(),
  response: didOf,
});
