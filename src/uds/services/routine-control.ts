// RoutineControl (31), ISO 14229-1 14.2.

import { byteAt, concatBytes, hexNumber, uintToBytes } from '../../core/bytes.ts';
import {
  hex4,
  joinSubFunction,
  type Malformed,
  malformed,
  Reader,
  requestProblem,
  responseProblem,
  splitSubFunction,
} from '../codec.ts';
import { decodeAddressAndLength } from '../memory-transfer.ts';
import { Nrc } from '../nrc.ts';
import { serviceRow } from '../service-row.ts';
import { POSITIVE_RESPONSE_OFFSET, Routine } from '../sid.ts';
import { bytesText, nameIn } from '../words.ts';

const SID = 0x31;

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
  const { subFunction, suppress } = splitSubFunction(byteAt(bytes, 1));
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
  const control = byteAt(bytes, 1);
  if (!isControl(control)) return malformed(`routineControlType ${control} is reserved`);
  return { control, routine: new Reader(bytes, 2).uint(2), data: bytes.subarray(4) };
}

function isControl(value: number): value is RoutineControlType {
  return value >= 0x01 && value <= 0x03;
}

export const row = serviceRow({
  name: 'routineControl',
  sid: SID,
  subFunctions: RoutineControlType,
  echoed: 3,
  named: [1, 2],
  programs: true,
  request(message, subFunction) {
    const isErase = routineOf(message) === Routine.eraseMemory;
    const area = isErase ? decodeAddressAndLength(message, 4) : undefined;
    return area === undefined || typeof area === 'number'
      ? routineText(message, subFunction)
      : `${routineName(message, subFunction)} ${hexNumber(area.address)} ${area.size} bytes`;
  },
  response: routineText,
});

function routineOf(message: Uint8Array): number | undefined {
  return message.length < 4 ? undefined : new Reader(message, 2).uint(2);
}

function routineName(message: Uint8Array, control: number): string {
  const what = nameIn(RoutineControlType, control);
  const id = routineOf(message);
  if (id === undefined) return `${what} (too short)`;
  const known = Object.values<number>(Routine).includes(id);
  return `${what} ${known ? nameIn(Routine, id) : `routine 0x${hex4(id)}`}`;
}

function routineText(message: Uint8Array, control: number): string {
  return `${routineName(message, control)} ${bytesText(message, 4)}`.trim();
}
