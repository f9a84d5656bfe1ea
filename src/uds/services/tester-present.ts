// TesterPresent (3E), ISO 14229-1 10.7.

import { byteAt } from '../../core/bytes.ts';
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

const SID = 0x3e;

export interface Request {
  readonly suppress: boolean;
}

/** `3E 00`, or `3E 80` without an answer. */
export function encodeRequest(suppress = false): Uint8Array {
  return Uint8Array.of(SID, joinSubFunction(0, suppress));
}

/** Table 119: only zeroSubFunction exists. */
export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  const problem = requestProblem(bytes, SID, 2, 2);
  if (problem !== undefined) return problem;
  const { subFunction, suppress } = splitSubFunction(byteAt(bytes, 1));
  return subFunction === 0 ? { suppress } : Nrc.subFunctionNotSupported;
}

/** `7E 00` */
export function encodeResponse(): Uint8Array {
  return Uint8Array.of(SID + POSITIVE_RESPONSE_OFFSET, 0);
}

export function decodeResponse(bytes: Uint8Array): Record<never, never> | Malformed {
  const problem = responseProblem(bytes, SID, 2, 2);
  if (problem !== undefined) return problem;
  return bytes[1] === 0 ? {} : malformed('the sub-function must be 00');
}

export const row = serviceRow({
  name: 'testerPresent',
  sid: SID,
  subFunctions: { zeroSubFunction: 0x00 },
  echoed: 1,
  request: () => '',
  response: () => '',
});
