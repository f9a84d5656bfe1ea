// SecuredDataTransmission (84), ISO 14229-1:2020 clause 16: a message inside, a counter against replay, and a MAC.

import { concatBytes, uintToBytes } from '../../core/bytes.ts';
import {
  checkedByte,
  type Malformed,
  malformed,
  Reader,
  requestProblem,
  responseProblem,
} from '../codec.ts';
import { Nrc } from '../nrc.ts';
import { type DescribeMessage, serviceRow } from '../service-row.ts';
import { NEGATIVE_RESPONSE, POSITIVE_RESPONSE_OFFSET } from '../sid.ts';
import { decodedText } from '../words.ts';

const SID = 0x84;

/** Table 490: bits of the administrative parameter. */
const Administrative = {
  isRequest: 0x0001,
  preEstablishedKey: 0x0008,
  encrypted: 0x0010,
  signed: 0x0020,
  signatureOnResponse: 0x0040,
} as const;

const REQUEST_PARAMETER =
  Administrative.isRequest |
  Administrative.preEstablishedKey |
  Administrative.signed |
  Administrative.signatureOnResponse;
const RESPONSE_PARAMETER = Administrative.preEstablishedKey | Administrative.signed;

/** Bytes before the inner message: SID, administrative parameter, calculation, length of the MAC, counter. */
const HEADER_BYTES = 8;

/** A number from 0 to 65535 that rises with each message under one key. */
type AntiReplayCounter = number;

export interface Secured {
  /** signatureEncryptionCalculation: key and algorithm, defined by the vehicle manufacturer. */
  readonly calculation: number;
  readonly counter: AntiReplayCounter;
  /** A whole message of another service, SID first; in a response it may be a negative one. */
  readonly inner: Uint8Array;
}

export interface SecuredMessage extends Secured {
  /** The input of the MAC: the whole message without the MAC. */
  readonly authenticated: Uint8Array;
  readonly mac: Uint8Array;
}

/** `84 <0069> <calculation> <MAC length> <counter> <inner request> <MAC>`; `mac` gets the bytes before it. */
export function encodeRequest(
  secured: Secured,
  macLength: number,
  mac: (authenticated: Uint8Array) => Uint8Array,
): Uint8Array {
  return withMac(header(SID, REQUEST_PARAMETER, secured, macLength), mac, macLength);
}

export function decodeRequest(bytes: Uint8Array): SecuredMessage | Nrc {
  const problem = requestProblem(bytes, SID, HEADER_BYTES + 1);
  if (problem !== undefined) return problem;
  const read = decode(bytes);
  if (read === undefined) return Nrc.incorrectMessageLengthOrInvalidFormat;
  return read.parameter === REQUEST_PARAMETER ? read : Nrc.requestOutOfRange;
}

/** `C4 <0028> <calculation> <MAC length> <counter> <inner response> <MAC>` */
export function encodeResponse(
  secured: Secured,
  macLength: number,
  mac: (authenticated: Uint8Array) => Uint8Array,
): Uint8Array {
  const sid = SID + POSITIVE_RESPONSE_OFFSET;
  return withMac(header(sid, RESPONSE_PARAMETER, secured, macLength), mac, macLength);
}

export function decodeResponse(bytes: Uint8Array): SecuredMessage | Malformed {
  const problem = responseProblem(bytes, SID, HEADER_BYTES + 1);
  if (problem !== undefined) return problem;
  const read = decode(bytes);
  if (read === undefined) return malformed('its MAC or its inner message is missing');
  if (read.parameter !== RESPONSE_PARAMETER) {
    return malformed(`administrative parameter 0x${read.parameter.toString(16).padStart(4, '0')}`);
  }
  return read;
}

/** SID of the service that an inner response answers; undefined for bytes that are not a response. */
export function answeredSid(inner: Uint8Array): number | undefined {
  if (inner[0] === NEGATIVE_RESPONSE) return inner.length === 3 ? inner[1] : undefined;
  return inner[0] === undefined ? undefined : inner[0] - POSITIVE_RESPONSE_OFFSET;
}

function header(
  sid: number,
  parameter: number,
  { calculation, counter, inner }: Secured,
  macLength: number,
): Uint8Array {
  if (inner.length === 0) throw new RangeError('the inner message has at least one byte');
  return concatBytes(
    Uint8Array.of(sid),
    uintToBytes(parameter, 2),
    Uint8Array.of(checkedByte(calculation, 'signatureEncryptionCalculation')),
    uintToBytes(macLength, 2),
    uintToBytes(counter, 2),
    inner,
  );
}

function withMac(
  authenticated: Uint8Array,
  mac: (authenticated: Uint8Array) => Uint8Array,
  macLength: number,
): Uint8Array {
  const made = mac(authenticated);
  if (made.length !== macLength) throw new RangeError(`a MAC of ${macLength} bytes was announced`);
  return concatBytes(authenticated, made);
}

function decode(bytes: Uint8Array): (SecuredMessage & { readonly parameter: number }) | undefined {
  const reader = new Reader(bytes, 1);
  const parameter = reader.uint(2);
  const calculation = reader.uint(1);
  const macLength = reader.uint(2);
  const counter = reader.uint(2);
  if (macLength === 0 || reader.left <= macLength) return undefined;
  const inner = reader.take(reader.left - macLength);
  const mac = reader.take(macLength);
  if (!reader.exact) return undefined;
  const authenticated = bytes.subarray(0, bytes.length - macLength);
  return { parameter, calculation, counter, inner, mac, authenticated };
}

export const row = serviceRow({
  name: 'securedDataTransmission',
  sid: SID,
  echoed: 0,
  request: (message, _subFunction, describe) => securedText(decodeRequest(message), describe),
  response: (message, _subFunction, describe) => securedText(decodeResponse(message), describe),
});

/** The inner message; it is authenticated but not encrypted. */
function securedText(message: SecuredMessage | Malformed | Nrc, describe: DescribeMessage): string {
  return decodedText(message, ({ counter, inner }) => `number ${counter}: ${describe(inner)}`);
}
