// One line of text about any UDS message, for monitors and traces. Never throws, whatever the bytes.

import { asciiText, hexNumber, toHex } from '../core/bytes.ts';
import { hex2, hex4, isMalformed, isNrc, splitSubFunction } from './codec.ts';
import { decodeAddressAndLength, type MemoryRequest } from './memory-transfer.ts';
import { Nrc, nrcName } from './nrc.ts';
import { hasSubFunction } from './request-form.ts';
import * as authentication from './services/authentication.ts';
import * as communicationControl from './services/communication-control.ts';
import { DtcSetting } from './services/control-dtc-setting.ts';
import * as sessionControl from './services/diagnostic-session-control.ts';
import { ResetType } from './services/ecu-reset.ts';
import { ControlParameter } from './services/input-output-control.ts';
import * as readDtcInformation from './services/read-dtc-information.ts';
import * as readMemory from './services/read-memory-by-address.ts';
import * as requestDownload from './services/request-download.ts';
import * as requestFileTransfer from './services/request-file-transfer.ts';
import * as requestUpload from './services/request-upload.ts';
import * as routineControl from './services/routine-control.ts';
import * as securedData from './services/secured-data-transmission.ts';
import { Did, NEGATIVE_RESPONSE, POSITIVE_RESPONSE_OFFSET, Routine, Session, Sid } from './sid.ts';

/** Services without a codec of ours that a trace may show. */
const OTHER_SERVICES: Readonly<Record<string, number>> = {
  readScalingDataByIdentifier: 0x24,
  readDataByPeriodicIdentifier: 0x2a,
  dynamicallyDefineDataIdentifier: 0x2c,
  writeMemoryByAddress: 0x3d,
  accessTimingParameter: 0x83,
  responseOnEvent: 0x86,
  linkControl: 0x87,
};

/** Table C.1, the ones that traces of programming show; names as in the standard. */
const DID_NAMES: ReadonlyMap<number, string> = new Map<number, string>([
  [0xf180, 'bootSoftwareIdentification'],
  [0xf181, 'applicationSoftwareIdentification'],
  [0xf182, 'applicationDataIdentification'],
  [0xf183, 'bootSoftwareFingerprint'],
  [0xf184, 'applicationSoftwareFingerprint'],
  [0xf185, 'applicationDataFingerprint'],
  [Did.activeDiagnosticSession, 'activeDiagnosticSession'],
  [Did.sparePartNumber, 'vehicleManufacturerSparePartNumber'],
  [0xf188, 'vehicleManufacturerECUSoftwareNumber'],
  [Did.ecuSoftwareVersion, 'vehicleManufacturerECUSoftwareVersionNumber'],
  [Did.systemSupplierIdentifier, 'systemSupplierIdentifier'],
  [0xf18b, 'ECUManufacturingDate'],
  [Did.ecuSerialNumber, 'ECUSerialNumber'],
  [Did.vin, 'VIN'],
  [Did.ecuHardwareNumber, 'vehicleManufacturerECUHardwareNumber'],
  [0xf192, 'systemSupplierECUHardwareNumber'],
  [0xf193, 'systemSupplierECUHardwareVersionNumber'],
  [0xf194, 'systemSupplierECUSoftwareNumber'],
  [Did.systemSupplierSoftwareVersion, 'systemSupplierECUSoftwareVersionNumber'],
  [0xf197, 'systemNameOrEngineType'],
  [0xf198, 'repairShopCodeOrTesterSerialNumber'],
  [0xf199, 'programmingDate'],
  [Did.applicationSoftwareFingerprint, 'programmingFingerprint'],
  [Did.bootState, 'bootState'],
  [Did.activeBankDigest, 'activeBankDigest'],
  [Did.inactiveBankDigest, 'inactiveBankDigest'],
  [Did.deviceId, 'deviceId'],
  [Did.provisioningState, 'provisioningState'],
  [Did.publicKeys, 'publicKeys'],
  [Did.deviceSecret, 'deviceSecret'],
  [Did.securityAccessKey, 'securityAccessKey'],
  [Did.approvalKey, 'approvalKey'],
  [Did.testerKey, 'testerKey'],
  [Did.factoryKey, 'factoryKey'],
  [Did.trustState, 'trustState'],
  [Did.timeNonce, 'timeNonce'],
  [Did.versionReport, 'versionReport'],
  [Did.reportReceived, 'reportReceived'],
  [Did.securedDataChallenge, 'securedDataChallenge'],
  [Did.campaignRecord, 'campaignRecord'],
]);

/** What a trace must not spell out. */
const SECRET_DIDS: ReadonlySet<number> = new Set([
  Did.deviceSecret,
  Did.securityAccessKey,
  Did.approvalKey,
]);

const SERVICE_NAMES = names({ ...Sid, ...OTHER_SERVICES });
const SESSION_NAMES = names(Session);
const RESET_NAMES = names(ResetType);
const CONTROL_NAMES = names(communicationControl.ControlType);
const MESSAGE_NAMES = names(communicationControl.CommunicationType);
const ROUTINE_NAMES = names(Routine);
const ROUTINE_CONTROL_NAMES = names(routineControl.RoutineControlType);
const REPORT_NAMES = names(readDtcInformation.ReportType);
const TASK_NAMES = names(authentication.AuthenticationTask);
const DTC_SETTING_NAMES = names(DtcSetting);
const CONTROL_PARAMETER_NAMES = names(ControlParameter);

/** At most so many bytes of data are written out. */
const SHOWN_BYTES = 12;

/** Whether the bytes are a request, a positive or a negative response. */
export function messageKind(bytes: Uint8Array): 'request' | 'positive' | 'negative' | 'empty' {
  const first = bytes[0];
  if (first === undefined) return 'empty';
  if (first === NEGATIVE_RESPONSE) return 'negative';
  return (first & 0x40) !== 0 ? 'positive' : 'request';
}

/** `22 F195 readDataByIdentifier systemSupplierECUSoftwareVersionNumber` */
export function describeMessage(bytes: Uint8Array): string {
  const kind = messageKind(bytes);
  if (kind === 'empty') return 'empty message';
  if (kind === 'negative') return describeNegative(bytes);
  const sid = kind === 'request' ? bytes[0]! : bytes[0]! - POSITIVE_RESPONSE_OFFSET;
  const head = [codes(bytes, sid), SERVICE_NAMES.get(sid) ?? 'unknown service'];
  if (kind === 'positive') head.push('ok');
  const body = kind === 'request' ? describeRequest(sid, bytes) : describeResponse(sid, bytes);
  if (body !== '') head.push(body);
  if (kind === 'request' && isSuppressed(sid, bytes)) head.push('(no positive response)');
  return head.join(' ');
}

/** `7F 36 73 transferData refused: wrongBlockSequenceCounter` */
function describeNegative(bytes: Uint8Array): string {
  const [, sid, nrc] = bytes;
  if (sid === undefined || nrc === undefined)
    return `${spaced(bytes)} negative response, too short`;
  const service = SERVICE_NAMES.get(sid) ?? `service 0x${hex2(sid)}`;
  const code = spaced(bytes.subarray(0, 3));
  if (nrc === Nrc.requestCorrectlyReceivedResponsePending) {
    return `${code} ${service} response pending`;
  }
  return `${code} ${service} refused: ${nrcName(nrc) ?? `NRC 0x${hex2(nrc)}`}`;
}

function describeRequest(sid: number, bytes: Uint8Array): string {
  const sub = splitSubFunction(bytes[1] ?? 0).subFunction;
  switch (sid) {
    case Sid.readDataByIdentifier:
      return dids(bytes);
    case Sid.securedDataTransmission:
      return secured(securedData.decodeRequest(bytes));
    case Sid.writeDataByIdentifier:
      return `${didName(bytes)} ${isSecret(bytes) ? hidden(bytes) : data(bytes, 3)}`.trim();
    case Sid.inputOutputControlByIdentifier:
      return inputOutputControl(bytes);
    case Sid.readMemoryByAddress:
      return memory(readMemory.decodeRequest(bytes));
    case Sid.requestDownload:
      return memory(requestDownload.decodeRequest(bytes));
    case Sid.requestUpload:
      return memory(requestUpload.decodeRequest(bytes));
    case Sid.transferData:
      return block(bytes);
    case Sid.requestTransferExit:
      return data(bytes, 1);
    case Sid.requestFileTransfer:
      return fileRequest(bytes);
    case Sid.clearDiagnosticInformation: {
      const group = toHex(bytes.subarray(1, 4)).toUpperCase();
      return group === 'FFFFFF' ? 'all DTCs' : `group ${group}`;
    }
    case Sid.securityAccess:
      return `${sub % 2 === 1 ? 'requestSeed' : 'sendKey'} level ${sub - ((sub + 1) % 2)}`;
    case Sid.communicationControl:
      return `${subName(CONTROL_NAMES, sub)} ${MESSAGE_NAMES.get((bytes[2] ?? 0) & 3) ?? ''}`.trim();
    case Sid.routineControl:
      return routine(bytes);
    case Sid.readDtcInformation: {
      const rest = toHex(bytes.subarray(2, 2 + SHOWN_BYTES)).toUpperCase();
      return `${subName(REPORT_NAMES, sub)} ${rest}`.trim();
    }
    default:
      return subFunctionOrData(sid, sub, bytes);
  }
}

function describeResponse(sid: number, bytes: Uint8Array): string {
  const sub = splitSubFunction(bytes[1] ?? 0).subFunction;
  switch (sid) {
    case Sid.diagnosticSessionControl: {
      const response = sessionControl.decodeResponse(bytes);
      if (isMalformed(response)) return malformedText(response.malformed);
      const { timing } = response;
      const times = timing === undefined ? '' : ` P2 ${timing.p2Ms} ms P2* ${timing.p2StarMs} ms`;
      return `${subName(SESSION_NAMES, sub)}${times}`;
    }
    case Sid.securedDataTransmission: {
      const response = securedData.decodeResponse(bytes);
      return isMalformed(response) ? malformedText(response.malformed) : secured(response);
    }
    case Sid.readDataByIdentifier:
      return `${didName(bytes)} ${isSecret(bytes) ? hidden(bytes) : value(bytes.subarray(3))}`.trim();
    case Sid.writeDataByIdentifier:
      return didName(bytes);
    case Sid.inputOutputControlByIdentifier:
      return inputOutputControl(bytes);
    case Sid.requestDownload:
    case Sid.requestUpload: {
      const response =
        sid === Sid.requestDownload
          ? requestDownload.decodeResponse(bytes)
          : requestUpload.decodeResponse(bytes);
      if (isMalformed(response)) return malformedText(response.malformed);
      return `blocks of up to ${response.maxBlockLength} bytes`;
    }
    case Sid.transferData:
      return block(bytes);
    case Sid.requestTransferExit:
      return data(bytes, 1);
    case Sid.requestFileTransfer:
      return fileResponse(bytes);
    case Sid.securityAccess: {
      const level = sub - ((sub + 1) % 2);
      if (sub % 2 === 0) return `level ${level} unlocked`;
      const seed = bytes.subarray(2);
      const open = seed.length > 0 && seed.every((byte) => byte === 0);
      return `level ${level} ${open ? 'is unlocked already' : `seed of ${seed.length} bytes`}`;
    }
    case Sid.communicationControl:
      return subName(CONTROL_NAMES, sub);
    case Sid.routineControl:
      return routine(bytes);
    case Sid.readDtcInformation:
      return dtcResponse(sub, bytes);
    case Sid.authentication:
      return `${subName(TASK_NAMES, sub)} ${authenticationResult(bytes[2])}`.trim();
    default:
      return subFunctionOrData(sid, sub, bytes);
  }
}

function subFunctionOrData(sid: number, sub: number, bytes: Uint8Array): string {
  switch (sid) {
    case Sid.diagnosticSessionControl:
      return subName(SESSION_NAMES, sub);
    case Sid.ecuReset:
      return subName(RESET_NAMES, sub);
    case Sid.controlDtcSetting:
      return subName(DTC_SETTING_NAMES, sub);
    case Sid.authentication:
      return subName(TASK_NAMES, sub);
    case Sid.testerPresent:
      return '';
    default:
      return data(bytes, 1);
  }
}

function routine(bytes: Uint8Array): string {
  const sub = splitSubFunction(bytes[1] ?? 0).subFunction;
  const what = subName(ROUTINE_CONTROL_NAMES, sub);
  if (bytes.length < 4) return `${what} (too short)`;
  const id = bytes[2]! * 256 + bytes[3]!;
  const name = ROUTINE_NAMES.get(id) ?? `routine 0x${hex4(id)}`;
  const isErase = id === Routine.eraseMemory && bytes[0] === Sid.routineControl;
  const area = isErase ? decodeAddressAndLength(bytes, 4) : undefined;
  if (area !== undefined && typeof area !== 'number') {
    return `${what} ${name} ${hexNumber(area.address)} ${area.size} bytes`;
  }
  return `${what} ${name} ${data(bytes, 4)}`.trim();
}

function inputOutputControl(bytes: Uint8Array): string {
  const parameter = bytes[3];
  if (parameter === undefined) return didName(bytes);
  return `${subName(CONTROL_PARAMETER_NAMES, parameter)} ${didName(bytes)} ${data(bytes, 4)}`.trim();
}

/** The message inside, which is only authenticated. */
function secured(message: securedData.SecuredMessage | Nrc): string {
  if (isNrc(message)) return malformedText(nrcName(message) ?? 'format');
  return `number ${message.counter}: ${describeMessage(message.inner)}`;
}

function memory(request: (readMemory.Request & Partial<MemoryRequest>) | Nrc): string {
  if (isNrc(request)) return malformedText(nrcName(request) ?? 'format');
  const { dataFormat = 0 } = request;
  const plain = dataFormat === 0 ? '' : ` format 0x${hex2(dataFormat)}`;
  return `${hexNumber(request.address)} ${request.size} bytes${plain}`;
}

function block(bytes: Uint8Array): string {
  if (bytes.length < 2) return '(too short)';
  const length = bytes.length - 2;
  return `block ${bytes[1]}${length === 0 ? '' : ` ${length} bytes`}`;
}

function fileRequest(bytes: Uint8Array): string {
  const request = requestFileTransfer.decodeRequest(bytes);
  if (isNrc(request)) return malformedText(nrcName(request) ?? 'format');
  const size = 'size' in request ? ` ${request.size} bytes` : '';
  return `${request.mode} ${printable(request.path)}${size}`;
}

function fileResponse(bytes: Uint8Array): string {
  const response = requestFileTransfer.decodeResponse(bytes);
  if (isMalformed(response)) return malformedText(response.malformed);
  const block =
    'maxBlockLength' in response ? ` blocks of up to ${response.maxBlockLength} bytes` : '';
  const size = 'size' in response ? ` ${response.size} bytes` : '';
  const position = 'position' in response ? ` from byte ${response.position}` : '';
  return `${response.mode}${size}${position}${block}`;
}

function dtcResponse(sub: number, bytes: Uint8Array): string {
  const name = subName(REPORT_NAMES, sub);
  const response = readDtcInformation.decodeResponse(bytes);
  if (isMalformed(response)) return `${name} ${malformedText(response.malformed)}`;
  if ('count' in response) return `${name} ${response.count} DTCs`;
  if ('dtcs' in response) return `${name} ${response.dtcs.length} DTCs`;
  return `${name} ${data(bytes, 2)}`.trim();
}

function authenticationResult(code: number | undefined): string {
  const found = Object.entries(authentication.AuthenticationReturn).find(
    ([, value]) => value === code,
  );
  return found?.[0] ?? '';
}

function dids(bytes: Uint8Array): string {
  const found: string[] = [];
  for (let at = 1; at + 1 < bytes.length; at += 2) {
    found.push(didText(bytes[at]! * 256 + bytes[at + 1]!));
  }
  return found.slice(0, 8).join(' ') + (found.length > 8 ? ` and ${found.length - 8} more` : '');
}

function didName(bytes: Uint8Array): string {
  return bytes.length < 3 ? '(too short)' : didText(bytes[1]! * 256 + bytes[2]!);
}

function isSecret(bytes: Uint8Array): boolean {
  return bytes.length >= 3 && SECRET_DIDS.has(bytes[1]! * 256 + bytes[2]!);
}

function hidden(bytes: Uint8Array): string {
  return `${bytes.length - 3} bytes`;
}

/** The standard's name of a data identifier, its number where it has none. */
export function didText(did: number): string {
  return DID_NAMES.get(did) ?? `DID 0x${hex4(did)}`;
}

const BY_IDENTIFIER: ReadonlySet<number> = new Set([
  Sid.readDataByIdentifier,
  Sid.writeDataByIdentifier,
  Sid.inputOutputControlByIdentifier,
]);

/** The bytes that name the request: SID, sub-function without parameters, identifier. */
function codes(bytes: Uint8Array, sid: number): string {
  const first = hex2(bytes[0]!);
  const rest = bytes.subarray(1);
  if (sid === Sid.routineControl && rest.length >= 3) {
    return `${first} ${hex2(rest[0]!)} ${hex4(rest[1]! * 256 + rest[2]!)}`;
  }
  if (BY_IDENTIFIER.has(sid)) {
    return rest.length >= 2 ? `${first} ${hex4(rest[0]! * 256 + rest[1]!)}` : first;
  }
  const one = hasSubFunction(sid) || sid === Sid.transferData || sid === Sid.requestFileTransfer;
  return one && rest.length > 0 ? `${first} ${hex2(rest[0]!)}` : first;
}

function isSuppressed(sid: number, bytes: Uint8Array): boolean {
  return hasSubFunction(sid) && splitSubFunction(bytes[1] ?? 0).suppress;
}

function subName(table: ReadonlyMap<number, string>, sub: number): string {
  return table.get(sub) ?? `0x${hex2(sub)}`;
}

function names(table: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(table).map(([name, code]) => [code, name]));
}

function malformedText(reason: string): string {
  return `(malformed: ${reason})`;
}

function data(bytes: Uint8Array, from: number): string {
  const rest = bytes.subarray(from);
  if (rest.length <= SHOWN_BYTES) return spaced(rest);
  return `${spaced(rest.subarray(0, SHOWN_BYTES))} ... ${rest.length} bytes`;
}

/** Data as text where all of it is printable, as hexadecimal bytes otherwise. */
function value(bytes: Uint8Array): string {
  const printableBytes = bytes.every((byte) => byte >= 0x20 && byte < 0x7f);
  return bytes.length > 0 && printableBytes && bytes.length <= 64
    ? JSON.stringify(asciiText(bytes))
    : data(bytes, 0);
}

/** A path from the bus must not move the cursor of a terminal. */
function printable(text: string): string {
  const short = text.length > 64 ? `${text.slice(0, 64)}...` : text;
  return short.replace(/[^\x20-\x7e]/g, '?');
}

function spaced(bytes: Uint8Array): string {
  return Array.from(bytes, hex2).join(' ');
}
