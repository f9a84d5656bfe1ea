// Errors of the UDS layer, for callers that want an exception and not a value.

import { toHex } from '../core/bytes.ts';
import { assertNever, CanOtaError } from '../core/errors.ts';
import type { NResult } from '../isotp/connection.ts';
import { Nrc, nrcText } from './nrc.ts';
import type { UdsReply } from './reply.ts';
import { sidText } from './services/all.ts';

export type UdsErrorCode =
  | 'NEGATIVE_RESPONSE'
  | 'SILENT'
  | 'MALFORMED'
  | 'UNEXPECTED'
  | 'TRANSPORT';

/** An ECU did not do what was requested. The message says what was tried, what happened and what to do. */
export class UdsError extends CanOtaError {
  readonly code: UdsErrorCode;
  /** Set with NEGATIVE_RESPONSE. */
  readonly nrc: number | undefined;
  readonly sid: number | undefined;
  /** Set with TRANSPORT. */
  readonly result: NResult | undefined;

  constructor(
    code: UdsErrorCode,
    message: string,
    details: {
      readonly nrc?: number;
      readonly sid?: number;
      readonly result?: NResult;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.nrc = details.nrc;
    this.sid = details.sid;
    this.result = details.result;
  }
}

/** What to do about a negative response. Codes without an advice are missing. */
const ADVICE: ReadonlyMap<number, string> = new Map<number, string>([
  [Nrc.serviceNotSupported, 'set this step to "skip" or "try" in the vehicle description'],
  [Nrc.subFunctionNotSupported, 'set this step to "skip" or "try" in the vehicle description'],
  [Nrc.busyRepeatRequest, 'the ECU is busy with another request: repeat it later'],
  [Nrc.conditionsNotCorrect, 'check ignition, speed and supply voltage, then repeat'],
  [Nrc.requestSequenceError, 'a step before this one is missing: start the programming again'],
  [Nrc.requestOutOfRange, 'check addresses, sizes and identifiers in the vehicle description'],
  [Nrc.securityAccessDenied, 'unlock the ECU first: check its security in the vehicle description'],
  [Nrc.authenticationRequired, 'authenticate (service 29) first'],
  [Nrc.invalidKey, 'the secret in the vehicle description is not the one of this ECU'],
  [Nrc.exceededNumberOfAttempts, 'too many wrong keys: wait for the delay and check the secret'],
  [Nrc.requiredTimeDelayNotExpired, 'wait until the delay after wrong keys is over'],
  [Nrc.uploadDownloadNotAccepted, 'the ECU takes no download now: reset it and start again'],
  [Nrc.transferDataSuspended, 'the transfer broke off: start the programming again'],
  [
    Nrc.generalProgrammingFailure,
    'the flash could not be written or erased: repeat, then suspect the ECU',
  ],
  [Nrc.wrongBlockSequenceCounter, 'a block was lost: start the programming again'],
  [Nrc.subFunctionNotSupportedInActiveSession, 'another diagnostic session is needed for this'],
  [Nrc.serviceNotSupportedInActiveSession, 'another diagnostic session is needed for this'],
  [Nrc.voltageTooHigh, 'check the supply voltage, then repeat'],
  [Nrc.voltageTooLow, 'charge or support the battery, then repeat'],
  [Nrc.vehicleSpeedTooHigh, 'stop the vehicle, then repeat'],
  [Nrc.engineIsRunning, 'switch the engine off, then repeat'],
]);

/** One line about any reply: `refused: wrongBlockSequenceCounter (0x73)`. */
export function replyText(reply: UdsReply): string {
  switch (reply.kind) {
    case 'positive':
      return `positive response of ${reply.data.length} bytes`;
    case 'negative':
      return `refused ${sidText(reply.sid)}: ${nrcText(reply.nrc)}`;
    case 'suppressed':
      return 'accepted without an answer, as asked';
    case 'silent':
      return `no answer within ${Math.round(reply.waitedMs)} ms (${reply.timer})`;
    case 'malformed':
      return `malformed answer ${shortHex(reply.data)}: ${reply.reason}`;
    case 'unexpected':
      return `unexpected answer ${shortHex(reply.data)}: ${reply.reason}`;
    case 'transport':
      return `transport failed with ${reply.result}: ${reply.reason}`;
    default:
      return assertNever(reply);
  }
}

/** What to do about a reply that is not a success; empty where there is no general advice. */
function replyAdvice(reply: UdsReply): string {
  switch (reply.kind) {
    case 'positive':
    case 'suppressed':
      return '';
    case 'negative':
      return ADVICE.get(reply.nrc) ?? '';
    case 'silent':
      return reply.timer === 'P2'
        ? 'check that the ECU is powered and that its identifiers are right'
        : 'the ECU stopped answering while it worked: raise p2StarMs or pendingLimitMs, or reset the ECU';
    case 'malformed':
    case 'unexpected':
      return 'check that no other tester is active and that the identifiers belong to this ECU';
    case 'transport':
      return reply.result === 'CLOSED' ? '' : 'check the bus: wiring, bit rate, other testers';
    default:
      return assertNever(reply);
  }
}

const CODES = {
  negative: 'NEGATIVE_RESPONSE',
  silent: 'SILENT',
  malformed: 'MALFORMED',
  unexpected: 'UNEXPECTED',
  transport: 'TRANSPORT',
} as const satisfies Record<Exclude<UdsReply['kind'], 'positive' | 'suppressed'>, UdsErrorCode>;

/** The error for a reply that is not a success. `doing`: what was tried, for example `erasing bank B`. */
function replyError(
  reply: Exclude<UdsReply, { kind: 'positive' | 'suppressed' }>,
  doing: string,
): UdsError {
  const advice = replyAdvice(reply);
  return new UdsError(
    CODES[reply.kind],
    `${doing}: ${replyText(reply)}${advice === '' ? '' : `; ${advice}`}`,
    {
      ...(reply.kind === 'negative' && { nrc: reply.nrc, sid: reply.sid }),
      ...(reply.kind === 'transport' && { result: reply.result }),
    },
  );
}

/**
 * The data of a positive response, SID included; empty for a response that was suppressed as requested. Throws UdsError
 * for any other reply.
 */
export function expectPositive(reply: UdsReply, doing: string): Uint8Array {
  switch (reply.kind) {
    case 'positive':
      return reply.data;
    case 'suppressed':
      return new Uint8Array();
    default:
      throw replyError(reply, doing);
  }
}

function shortHex(bytes: Uint8Array): string {
  const shown = toHex(bytes.subarray(0, 16));
  return bytes.length > 16 ? `${shown}...` : shown;
}
