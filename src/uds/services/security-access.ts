// SecurityAccess (27), ISO 14229-1 10.4: seed and key on the wire; the rules are in ../security.ts.

import { byteAt, concatBytes } from '../../core/bytes.ts';
import {
  joinSubFunction,
  type Malformed,
  malformed,
  requestProblem,
  responseProblem,
  splitSubFunction,
} from '../codec.ts';
import { Nrc } from '../nrc.ts';
import { serviceRow } from '../service-row.ts';
import { POSITIVE_RESPONSE_OFFSET } from '../sid.ts';

const SID = 0x27;

/**
 * `level` is the odd sub-function of requestSeed; sendKey is the even one above it. `data` is the
 * securityAccessDataRecord of requestSeed (often empty), or the key.
 */
export interface Request {
  readonly kind: 'requestSeed' | 'sendKey';
  readonly level: number;
  readonly data: Uint8Array;
  readonly suppress: boolean;
}

export interface Response {
  readonly kind: 'requestSeed' | 'sendKey';
  readonly level: number;
  /** All zero: this level is unlocked. Empty after sendKey. */
  readonly seed: Uint8Array;
}

/** `27 01 [record]` or `27 02 <key>`; throws RangeError for an even level. */
export function encodeRequest(
  kind: Request['kind'],
  level: number,
  data: Uint8Array = new Uint8Array(),
): Uint8Array {
  return concatBytes(Uint8Array.of(SID, subFunctionOf(kind, level)), data);
}

/** Table 39: 00 and 7F are reserved. A key has at least one byte. */
export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  const problem = requestProblem(bytes, SID, 2);
  if (problem !== undefined) return problem;
  const { subFunction, suppress } = splitSubFunction(byteAt(bytes, 1));
  if (subFunction === 0 || subFunction === 0x7f) return Nrc.subFunctionNotSupported;
  const kind = subFunction % 2 === 1 ? 'requestSeed' : 'sendKey';
  const data = bytes.subarray(2);
  if (kind === 'sendKey' && data.length === 0) return Nrc.incorrectMessageLengthOrInvalidFormat;
  return { kind, level: subFunction - (kind === 'sendKey' ? 1 : 0), data, suppress };
}

/** `67 01 <seed>` or `67 02` */
export function encodeResponse(
  kind: Request['kind'],
  level: number,
  seed: Uint8Array = new Uint8Array(),
): Uint8Array {
  return concatBytes(
    Uint8Array.of(SID + POSITIVE_RESPONSE_OFFSET, subFunctionOf(kind, level)),
    kind === 'requestSeed' ? seed : new Uint8Array(),
  );
}

export function decodeResponse(bytes: Uint8Array): Response | Malformed {
  const problem = responseProblem(bytes, SID, 2);
  if (problem !== undefined) return problem;
  const subFunction = byteAt(bytes, 1);
  if (subFunction === 0 || subFunction >= 0x7f) {
    return malformed(`sub-function ${subFunction} is reserved`);
  }
  const seed = bytes.subarray(2);
  if (subFunction % 2 === 1) {
    if (seed.length === 0) return malformed('a seed has at least one byte');
    return { kind: 'requestSeed', level: subFunction, seed };
  }
  if (seed.length > 0) return malformed('nothing follows the answer to sendKey');
  return { kind: 'sendKey', level: subFunction - 1, seed };
}

/** 10.4.2: a zero seed says that the level is unlocked already. */
export function isUnlockedSeed(seed: Uint8Array): boolean {
  return seed.every((byte) => byte === 0);
}

function subFunctionOf(kind: Request['kind'], level: number): number {
  if (level % 2 !== 1 || level > 0x7d) {
    throw new RangeError(`security level ${level}: expected an odd number from 1 to 125`);
  }
  return joinSubFunction(kind === 'requestSeed' ? level : level + 1);
}

function isSeedRequest(subFunction: number): boolean {
  return subFunction % 2 === 1;
}

/** The odd sub-function of a level, from its odd or even one. */
function levelOf(subFunction: number): number {
  return isSeedRequest(subFunction) ? subFunction : subFunction - 1;
}

export const row = serviceRow({
  name: 'securityAccess',
  sid: SID,
  // The sub-functions are levels, which the vehicle manufacturer numbers.
  subFunctions: {},
  echoed: 1,
  request: (_message, subFunction) =>
    `${isSeedRequest(subFunction) ? 'requestSeed' : 'sendKey'} level ${levelOf(subFunction)}`,
  response(message, subFunction) {
    const level = `level ${levelOf(subFunction)}`;
    if (!isSeedRequest(subFunction)) return `${level} unlocked`;
    const seed = message.subarray(2);
    const isOpen = seed.length > 0 && isUnlockedSeed(seed);
    return `${level} ${isOpen ? 'is unlocked already' : `seed of ${seed.length} bytes`}`;
  },
});
