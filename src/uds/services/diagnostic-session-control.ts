// DiagnosticSessionControl (10), ISO 14229-1 10.2.

import { byteAt, concatBytes, uintToBytes } from '../../core/bytes.ts';
import {
  joinSubFunction,
  type Malformed,
  Reader,
  requestProblem,
  responseProblem,
  splitSubFunction,
} from '../codec.ts';
import type { Nrc } from '../nrc.ts';
import { serviceRow } from '../service-row.ts';
import { POSITIVE_RESPONSE_OFFSET, Session } from '../sid.ts';
import { decodedText, nameIn } from '../words.ts';

const SID = 0x10;

export interface Request {
  readonly session: number;
  readonly suppress: boolean;
}

/** The server's P2 in steps of 1 ms and P2* in steps of 10 ms, at most 65,535 and 655,350 ms. */
export interface Timing {
  readonly p2Ms: number;
  readonly p2StarMs: number;
}

export interface Response {
  readonly session: number;
  /** Undefined from servers older than the 2013 edition, which may omit the record. */
  readonly timing: Timing | undefined;
}

/** `10 <session>` */
export function encodeRequest(session: number, suppress = false): Uint8Array {
  return Uint8Array.of(SID, joinSubFunction(session, suppress));
}

export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  const problem = requestProblem(bytes, SID, 2, 2);
  if (problem !== undefined) return problem;
  const { subFunction, suppress } = splitSubFunction(byteAt(bytes, 1));
  return { session: subFunction, suppress };
}

/** `50 <session> <P2 / 1 ms> <P2* / 10 ms>`, both rounded up so that no tester waits too short. */
export function encodeResponse(session: number, timing: Timing): Uint8Array {
  return concatBytes(
    Uint8Array.of(SID + POSITIVE_RESPONSE_OFFSET, joinSubFunction(session)),
    uintToBytes(Math.ceil(timing.p2Ms), 2),
    uintToBytes(Math.ceil(timing.p2StarMs / 10), 2),
  );
}

export function decodeResponse(bytes: Uint8Array): Response | Malformed {
  const problem =
    bytes.length === 2 ? responseProblem(bytes, SID, 2) : responseProblem(bytes, SID, 6, 6);
  if (problem !== undefined) return problem;
  const reader = new Reader(bytes, 2);
  const timing =
    bytes.length === 2 ? undefined : { p2Ms: reader.uint(2), p2StarMs: reader.uint(2) * 10 };
  return { session: byteAt(bytes, 1), timing };
}

export const row = serviceRow({
  name: 'diagnosticSessionControl',
  sid: SID,
  subFunctions: Session,
  echoed: 1,
  request: (_message, subFunction) => nameIn(Session, subFunction),
  response: (message, subFunction) =>
    decodedText(decodeResponse(message), ({ timing }) => {
      const times = timing === undefined ? '' : ` P2 ${timing.p2Ms} ms P2* ${timing.p2StarMs} ms`;
      return `${nameIn(Session, subFunction)}${times}`;
    }),
});
