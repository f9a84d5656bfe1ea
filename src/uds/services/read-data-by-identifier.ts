// ReadDataByIdentifier (22), ISO 14229-1 11.2: one or several data identifiers.

import { concatBytes, uintToBytes } from '../../core/bytes.ts';
import {
  hex4,
  type Malformed,
  malformed,
  Reader,
  requestProblem,
  responseProblem,
} from '../codec.ts';
import { didOf, didText, readData } from '../did-names.ts';
import { Nrc } from '../nrc.ts';
import { serviceRow } from '../service-row.ts';
import { POSITIVE_RESPONSE_OFFSET } from '../sid.ts';

const SID = 0x22;

export interface Request {
  /** At least one. */
  readonly dids: readonly number[];
}

export interface DataRecord {
  readonly did: number;
  readonly data: Uint8Array;
}

export interface Response {
  readonly records: readonly DataRecord[];
}

/** `22 <DID>...`; throws RangeError without a DID. */
export function encodeRequest(...dids: readonly number[]): Uint8Array {
  if (dids.length === 0) throw new RangeError('readDataByIdentifier needs at least one DID');
  return concatBytes(Uint8Array.of(SID), ...dids.map((did) => uintToBytes(did, 2)));
}

export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  const problem = requestProblem(bytes, SID, 3);
  if (problem !== undefined) return problem;
  if (bytes.length % 2 === 0) return Nrc.incorrectMessageLengthOrInvalidFormat;
  const reader = new Reader(bytes, 1);
  const dids: number[] = [];
  while (reader.left > 0) dids.push(reader.uint(2));
  return { dids };
}

/** `62 <DID> <data>...` */
export function encodeResponse(...records: readonly DataRecord[]): Uint8Array {
  return concatBytes(
    Uint8Array.of(SID + POSITIVE_RESPONSE_OFFSET),
    ...records.flatMap(({ did, data }) => [uintToBytes(did, 2), data]),
  );
}

/**
 * The message carries no lengths: without `lengthOf` the whole response is one record. With it, a record of unknown
 * length (undefined) takes the rest of the response.
 */
export function decodeResponse(
  bytes: Uint8Array,
  lengthOf: (did: number) => number | undefined = () => undefined,
): Response | Malformed {
  const problem = responseProblem(bytes, SID, 4);
  if (problem !== undefined) return problem;
  const reader = new Reader(bytes, 1);
  const records: DataRecord[] = [];
  while (reader.left > 0) {
    if (reader.left < 2) return malformed('one byte is left after the last record');
    const did = reader.uint(2);
    const length = lengthOf(did) ?? reader.left;
    const data = reader.take(length);
    if (reader.failed) return malformed(`DID ${hex4(did)} needs ${length} bytes of data`);
    records.push({ did, data });
  }
  return { records };
}

export const row = serviceRow({
  name: 'readDataByIdentifier',
  sid: SID,
  echoed: 2,
  named: [2],
  request(message) {
    const reader = new Reader(message, 1);
    const names: string[] = [];
    while (reader.left >= 2) names.push(didText(reader.uint(2)));
    const more = names.length > 8 ? ` and ${names.length - 8} more` : '';
    return names.slice(0, 8).join(' ') + more;
  },
  response: (message) => `${didOf(message)} ${readData(message)}`.trim(),
});
