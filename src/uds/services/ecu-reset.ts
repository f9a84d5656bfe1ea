// ECUReset (11), ISO 14229-1 10.3.

import { byteAt } from '../../core/bytes.ts';
import {
  checkedByte,
  joinSubFunction,
  type Malformed,
  requestProblem,
  responseProblem,
  splitSubFunction,
} from '../codec.ts';
import type { Nrc } from '../nrc.ts';
import { serviceRow } from '../service-row.ts';
import { POSITIVE_RESPONSE_OFFSET } from '../sid.ts';
import { nameIn } from '../words.ts';

const SID = 0x11;

/** Table 34: resetType. */
export const ResetType = {
  hardReset: 0x01,
  keyOffOnReset: 0x02,
  softReset: 0x03,
  enableRapidPowerShutDown: 0x04,
  disableRapidPowerShutDown: 0x05,
} as const;

export interface Request {
  readonly type: number;
  readonly suppress: boolean;
}

export interface Response {
  readonly type: number;
  /** Seconds in stand-by, 255: unknown. Only after enableRapidPowerShutDown. */
  readonly powerDownSeconds: number | undefined;
}

/** `11 <resetType>` */
export function encodeRequest(type: number, suppress = false): Uint8Array {
  return Uint8Array.of(SID, joinSubFunction(type, suppress));
}

export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  const problem = requestProblem(bytes, SID, 2, 2);
  if (problem !== undefined) return problem;
  const { subFunction, suppress } = splitSubFunction(byteAt(bytes, 1));
  return { type: subFunction, suppress };
}

/** `51 <resetType>`, and powerDownTime where the type has one. */
export function encodeResponse(type: number, powerDownSeconds?: number): Uint8Array {
  const head = [SID + POSITIVE_RESPONSE_OFFSET, joinSubFunction(type)];
  if (type === ResetType.enableRapidPowerShutDown) {
    head.push(checkedByte(powerDownSeconds ?? 0xff, 'powerDownTime'));
  }
  return Uint8Array.from(head);
}

export function decodeResponse(bytes: Uint8Array): Response | Malformed {
  const length = bytes[1] === ResetType.enableRapidPowerShutDown ? 3 : 2;
  return (
    responseProblem(bytes, SID, length, length) ?? {
      type: byteAt(bytes, 1),
      powerDownSeconds: bytes[2],
    }
  );
}

export const row = serviceRow({
  name: 'ecuReset',
  sid: SID,
  subFunctions: ResetType,
  echoed: 1,
  request: (_message, subFunction) => nameIn(ResetType, subFunction),
  response: (_message, subFunction) => nameIn(ResetType, subFunction),
});
