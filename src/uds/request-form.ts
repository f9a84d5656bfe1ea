// What can be told of a request from its service identifier alone: sub-function byte and echoed bytes.

import { Sid, SUPPRESS_POSITIVE_RESPONSE } from './sid.ts';

/** ISO 14229-1 clause 9 to 15: services whose second byte is a sub-function, ours and the ones we only pass on. */
const WITH_SUB_FUNCTION: ReadonlySet<number> = new Set([
  Sid.diagnosticSessionControl,
  Sid.ecuReset,
  Sid.readDtcInformation,
  Sid.securityAccess,
  Sid.communicationControl,
  Sid.authentication,
  0x2c, // dynamicallyDefineDataIdentifier
  Sid.routineControl,
  Sid.testerPresent,
  0x83, // accessTimingParameter
  Sid.controlDtcSetting,
  0x86, // responseOnEvent
  0x87, // linkControl
]);

/** How many bytes after the SID a positive response repeats. A sub-function counts as one, without bit 7. */
const ECHOED: ReadonlyMap<number, number> = new Map([
  [Sid.diagnosticSessionControl, 1],
  [Sid.ecuReset, 1],
  [Sid.readDtcInformation, 1],
  [Sid.readDataByIdentifier, 2],
  [Sid.securityAccess, 1],
  [Sid.communicationControl, 1],
  [Sid.authentication, 1],
  [0x2c, 1],
  [Sid.writeDataByIdentifier, 2],
  [Sid.inputOutputControlByIdentifier, 3],
  [Sid.routineControl, 3],
  [Sid.transferData, 1],
  [Sid.requestFileTransfer, 1],
  [Sid.testerPresent, 1],
  [Sid.controlDtcSetting, 1],
  [0x86, 1],
  [0x87, 1],
]);

export function hasSubFunction(sid: number): boolean {
  return WITH_SUB_FUNCTION.has(sid);
}

/** Bit 7 of the sub-function is set: a positive response is not wanted. */
export function suppressesPositive(request: Uint8Array): boolean {
  return (
    request.length >= 2 &&
    hasSubFunction(request[0]!) &&
    (request[1]! & SUPPRESS_POSITIVE_RESPONSE) !== 0
  );
}

/** The request with bit 7 of its sub-function set; services without sub-function stay as they are. */
export function withSuppressedPositive(request: Uint8Array): Uint8Array {
  if (request.length < 2 || !hasSubFunction(request[0]!)) return request;
  const copy = Uint8Array.from(request);
  copy[1] = copy[1]! | SUPPRESS_POSITIVE_RESPONSE;
  return copy;
}

/** The bytes that a positive response must carry after its SID. */
export function expectedEcho(request: Uint8Array): Uint8Array {
  const sid = request[0] ?? 0;
  const echo = request.slice(1, 1 + (ECHOED.get(sid) ?? 0));
  if (hasSubFunction(sid) && echo.length > 0) echo[0] = echo[0]! & ~SUPPRESS_POSITIVE_RESPONSE;
  return echo;
}
