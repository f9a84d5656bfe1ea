// InputOutputControlByIdentifier (2F), ISO 14229-1 13.2.

import { byteAt, concatBytes, uintToBytes } from '../../core/bytes.ts';
import {
  hex2,
  type Malformed,
  malformed,
  Reader,
  requestProblem,
  responseProblem,
} from '../codec.ts';
import { didOf } from '../did-names.ts';
import { Nrc } from '../nrc.ts';
import { serviceRow } from '../service-row.ts';
import { POSITIVE_RESPONSE_OFFSET } from '../sid.ts';
import { bytesText, nameIn } from '../words.ts';

const SID = 0x2f;

/** Annex E.1: inputOutputControlParameter. It is no sub-function: bit 7 suppresses nothing. */
export const ControlParameter = {
  returnControlToEcu: 0x00,
  resetToDefault: 0x01,
  freezeCurrentState: 0x02,
  shortTermAdjustment: 0x03,
} as const;
export type ControlParameter = (typeof ControlParameter)[keyof typeof ControlParameter];

export interface Request {
  readonly did: number;
  readonly parameter: ControlParameter;
  /**
   * controlState of a shortTermAdjustment, then the controlEnableMask where the identifier has several parameters. The
   * message carries the length of neither; see `splitState`.
   */
  readonly data: Uint8Array;
}

export interface Response {
  readonly did: number;
  readonly parameter: ControlParameter;
  /** The present state of the input or output; may be empty. */
  readonly state: Uint8Array;
}

/** `2F <DID> <parameter> [control state] [enable mask]`; throws RangeError for an adjustment without a state. */
export function encodeRequest(
  did: number,
  parameter: ControlParameter,
  controlState: Uint8Array = new Uint8Array(),
  enableMask: Uint8Array = new Uint8Array(),
): Uint8Array {
  if (parameter === ControlParameter.shortTermAdjustment && controlState.length === 0) {
    throw new RangeError('shortTermAdjustment needs a control state of at least one byte');
  }
  return concatBytes(
    Uint8Array.of(SID),
    uintToBytes(did, 2),
    Uint8Array.of(parameter),
    controlState,
    enableMask,
  );
}

/** A reserved parameter gives 31 and not 12, because it is not a sub-function (13.2.4). */
export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  const problem = requestProblem(bytes, SID, 4);
  if (problem !== undefined) return problem;
  const parameter = byteAt(bytes, 3);
  if (!isParameter(parameter)) return Nrc.requestOutOfRange;
  return { did: new Reader(bytes, 1).uint(2), parameter, data: bytes.subarray(4) };
}

/** Control state and enable mask of an identifier whose state has `stateBytes`; undefined when there are fewer. */
export function splitState(
  data: Uint8Array,
  stateBytes: number,
): { readonly controlState: Uint8Array; readonly enableMask: Uint8Array } | undefined {
  if (data.length < stateBytes) return undefined;
  return { controlState: data.subarray(0, stateBytes), enableMask: data.subarray(stateBytes) };
}

/** `6F <DID> <parameter> [state]` */
export function encodeResponse(
  did: number,
  parameter: ControlParameter,
  state: Uint8Array = new Uint8Array(),
): Uint8Array {
  return concatBytes(
    Uint8Array.of(SID + POSITIVE_RESPONSE_OFFSET),
    uintToBytes(did, 2),
    Uint8Array.of(parameter),
    state,
  );
}

export function decodeResponse(bytes: Uint8Array): Response | Malformed {
  const problem = responseProblem(bytes, SID, 4);
  if (problem !== undefined) return problem;
  const parameter = byteAt(bytes, 3);
  if (!isParameter(parameter)) {
    return malformed(`inputOutputControlParameter 0x${hex2(parameter)} is reserved`);
  }
  return { did: new Reader(bytes, 1).uint(2), parameter, state: bytes.subarray(4) };
}

function isParameter(value: number): value is ControlParameter {
  return value >= 0x00 && value <= 0x03;
}

export const row = serviceRow({
  name: 'inputOutputControlByIdentifier',
  sid: SID,
  echoed: 3,
  named: [2],
  request: controlText,
  response: controlText,
});

function controlText(message: Uint8Array): string {
  const parameter = message[3];
  if (parameter === undefined) return didOf(message);
  const name = nameIn(ControlParameter, parameter);
  return `${name} ${didOf(message)} ${bytesText(message, 4)}`.trim();
}
