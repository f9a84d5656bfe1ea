// RoutineControl (31), ISO 14229-1 14.2.

import { concatBytes, uintToBytes } from '../../core/bytes.ts';
import {
  joinSubFunction,
  type Malformed,
  malformed,
  Reader,
  requestProblem,
  responseProblem,
  splitSubFunction,
} from '../codec.ts';
import { Nrc } from '../nrc.ts';
import { POSITIVE_RESPONSE_OFFSET, Sid } from '../sid.ts';

const SID = Sid.routineControl;

/** Table 426: routineControlType. */
export const RoutineControlType = {
  startRoutine: 0x01,
  stopRoutine: 0x02,
  requestRoutineResults: 0x03,
} as const;
export type RoutineControlType = (typeof RoutineControlType)[keyof typeof RoutineControlType];

export interface Request {
  readonly control: RoutineControlType;
  readonly routine: number;
  /** routineControlOptionRecord */
  readonly data: Uint8Array;
  readonly suppress: boolean;
}

export interface Response {
  readonly control: RoutineControlType;
  readonly routine: number;
  /** routineInfo where the routine has one, then the routineStatusRecord. */
  readonly data: Uint8Array;
}

/** `31 <01 start | 02 stop | 03 results> <routine> [record]` */
export function encodeRequest(
  control: RoutineControlType,
  routine: number,
  data: Uint8Array = new Uint8Array(),
  suppress = false,
): Uint8Array {
  return concatBytes(
    Uint8Array.of(SID, joinSubFunction(control, suppress)),
    uintToBytes(routine, 2),
    data,
  );
}

export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  const problem = requestProblem(bytes, SID, 4);
  if (problem !== undefined) return problem;
  const { subFunction, suppress } = splitSubFunction(bytes[1]!);
  if (!isControl(subFunction)) return Nrc.subFunctionNotSupported;
  return {
    control: subFunction,
    routine: new Reader(bytes, 2).uint(2),
    data: bytes.subarray(4),
    suppress,
  };
}

/** `71 <control> <routine> [info and status record]` */
export function encodeResponse(
  control: RoutineControlType,
  routine: number,
  data: Uint8Array = new Uint8Array(),
): Uint8Array {
  return concatBytes(
    Uint8Array.of(SID + POSITIVE_RESPONSE_OFFSET, joinSubFunction(control)),
    uintToBytes(routine, 2),
    data,
  );
}

export function decodeResponse(bytes: Uint8Array): Response | Malformed {
  const problem = responseProblem(bytes, SID, 4);
  if (problem !== undefined) return problem;
  const control = bytes[1]!;
  if (!isControl(control)) return malformed(`routineControlType ${control} is reserved`);
  return { control, routine: new Reader(bytes, 2).uint(2), data: bytes.subarray(4) };
}

function isControl(value: number): value is RoutineControlType {
  return value >= 0x01 && value <= 0x03;
}
