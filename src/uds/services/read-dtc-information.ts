// ReadDTCInformation (19), ISO 14229-1 12.3: the sub-functions in use; the data of others stay bytes.

import { byteAt, concatBytes, toHex, uintToBytes } from '../../core/bytes.ts';
import { assertNever } from '../../core/errors.ts';
import {
  checkedByte,
  hex2,
  joinSubFunction,
  type Malformed,
  malformed,
  Reader,
  requestProblem,
  responseProblem,
  splitSubFunction,
} from '../codec.ts';
import { Nrc } from '../nrc.ts';
import { serviceRow } from '../service-row.ts';
import { POSITIVE_RESPONSE_OFFSET } from '../sid.ts';
import { bytesText, decodedText, nameIn, SHOWN_BYTES } from '../words.ts';
import type { DataRecord } from './read-data-by-identifier.ts';

const SID = 0x19;

/** Table 317: the report types with a codec here. */
export const ReportType = {
  reportNumberOfDtcByStatusMask: 0x01,
  reportDtcByStatusMask: 0x02,
  reportDtcSnapshotIdentification: 0x03,
  reportDtcSnapshotRecordByDtcNumber: 0x04,
  reportDtcExtDataRecordByDtcNumber: 0x06,
  reportSupportedDtc: 0x0a,
} as const;
export type DtcReport = keyof typeof ReportType;

/** Annex D.2: bits of statusOfDTC. */
export const DtcStatus = {
  testFailed: 0x01,
  testFailedThisOperationCycle: 0x02,
  pendingDtc: 0x04,
  confirmedDtc: 0x08,
  testNotCompletedSinceLastClear: 0x10,
  testFailedSinceLastClear: 0x20,
  testNotCompletedThisOperationCycle: 0x40,
  warningIndicatorRequested: 0x80,
} as const;

/** Annex D.4: DTCFormatIdentifier of the format of ISO 14229-1. */
export const DTC_FORMAT_ISO_14229_1 = 0x01;

type RequestBody =
  | {
      readonly report: 'reportNumberOfDtcByStatusMask' | 'reportDtcByStatusMask';
      readonly statusMask: number;
    }
  | { readonly report: 'reportDtcSnapshotIdentification' | 'reportSupportedDtc' }
  | {
      readonly report: 'reportDtcSnapshotRecordByDtcNumber' | 'reportDtcExtDataRecordByDtcNumber';
      /** DTC of 24 bits. */
      readonly dtc: number;
      /** Number of the record; FF: all records. */
      readonly recordNumber: number;
    }
  | { readonly report: 'raw'; readonly subFunction: number; readonly data: Uint8Array };

/** Input of `encodeRequest`; `suppress` is false by default. */
export type RequestInput = RequestBody & { readonly suppress?: boolean };
export type Request = RequestBody & { readonly suppress: boolean };

export interface DtcAndStatus {
  readonly dtc: number;
  readonly status: number;
}

export type Response =
  | {
      readonly report: 'reportNumberOfDtcByStatusMask';
      readonly availabilityMask: number;
      readonly format: number;
      readonly count: number;
    }
  | {
      readonly report: 'reportDtcByStatusMask' | 'reportSupportedDtc';
      readonly availabilityMask: number;
      readonly dtcs: readonly DtcAndStatus[];
    }
  | {
      readonly report: 'reportDtcSnapshotIdentification';
      readonly records: readonly { readonly dtc: number; readonly recordNumber: number }[];
    }
  /** `data`: records one after the other; `decodeSnapshotRecords` reads snapshots. */
  | ({
      readonly report: 'reportDtcSnapshotRecordByDtcNumber' | 'reportDtcExtDataRecordByDtcNumber';
      readonly data: Uint8Array;
    } & DtcAndStatus)
  | { readonly report: 'raw'; readonly subFunction: number; readonly data: Uint8Array };

const REPORTS = new Map<number, DtcReport>(
  Object.entries(ReportType).map(([name, code]) => [code, name as DtcReport]),
);

/** `19 <sub-function> [mask | DTC and record number]` */
export function encodeRequest(request: RequestInput): Uint8Array {
  const code = request.report === 'raw' ? request.subFunction : ReportType[request.report];
  const head = Uint8Array.of(SID, joinSubFunction(code, request.suppress));
  switch (request.report) {
    case 'reportNumberOfDtcByStatusMask':
    case 'reportDtcByStatusMask':
      return concatBytes(head, Uint8Array.of(checkedByte(request.statusMask, 'DTCStatusMask')));
    case 'reportDtcSnapshotIdentification':
    case 'reportSupportedDtc':
      return head;
    case 'reportDtcSnapshotRecordByDtcNumber':
    case 'reportDtcExtDataRecordByDtcNumber':
      return concatBytes(
        head,
        uintToBytes(request.dtc, 3),
        Uint8Array.of(checkedByte(request.recordNumber, 'record number')),
      );
    case 'raw':
      return concatBytes(head, request.data);
    default:
      return assertNever(request);
  }
}

export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  const problem = requestProblem(bytes, SID, 2);
  if (problem !== undefined) return problem;
  const { subFunction, suppress } = splitSubFunction(byteAt(bytes, 1));
  const report = REPORTS.get(subFunction);
  const reader = new Reader(bytes, 2);
  const body = readRequest(report, subFunction, reader);
  return reader.exact ? { ...body, suppress } : Nrc.incorrectMessageLengthOrInvalidFormat;
}

function readRequest(
  report: DtcReport | undefined,
  subFunction: number,
  reader: Reader,
): RequestBody {
  switch (report) {
    case 'reportNumberOfDtcByStatusMask':
    case 'reportDtcByStatusMask':
      return { report, statusMask: reader.uint(1) };
    case 'reportDtcSnapshotIdentification':
    case 'reportSupportedDtc':
      return { report };
    case 'reportDtcSnapshotRecordByDtcNumber':
    case 'reportDtcExtDataRecordByDtcNumber':
      return { report, dtc: reader.uint(3), recordNumber: reader.uint(1) };
    case undefined:
      return { report: 'raw', subFunction, data: reader.rest() };
    default:
      return assertNever(report);
  }
}

/** `59 <sub-function> ...` */
export function encodeResponse(response: Response): Uint8Array {
  const code = response.report === 'raw' ? response.subFunction : ReportType[response.report];
  const head = Uint8Array.of(SID + POSITIVE_RESPONSE_OFFSET, joinSubFunction(code));
  switch (response.report) {
    case 'reportNumberOfDtcByStatusMask':
      return concatBytes(
        head,
        Uint8Array.of(
          checkedByte(response.availabilityMask, 'DTCStatusAvailabilityMask'),
          checkedByte(response.format, 'DTCFormatIdentifier'),
        ),
        uintToBytes(response.count, 2),
      );
    case 'reportDtcByStatusMask':
    case 'reportSupportedDtc':
      return concatBytes(
        head,
        Uint8Array.of(checkedByte(response.availabilityMask, 'DTCStatusAvailabilityMask')),
        ...response.dtcs.map(encodeDtcAndStatus),
      );
    case 'reportDtcSnapshotIdentification':
      return concatBytes(
        head,
        ...response.records.map(({ dtc, recordNumber }) =>
          encodeDtcAndStatus({ dtc, status: recordNumber }),
        ),
      );
    case 'reportDtcSnapshotRecordByDtcNumber':
    case 'reportDtcExtDataRecordByDtcNumber':
      return concatBytes(head, encodeDtcAndStatus(response), response.data);
    case 'raw':
      return concatBytes(head, response.data);
    default:
      return assertNever(response);
  }
}

export function decodeResponse(bytes: Uint8Array): Response | Malformed {
  const problem = responseProblem(bytes, SID, 2);
  if (problem !== undefined) return problem;
  const subFunction = byteAt(bytes, 1);
  const reader = new Reader(bytes, 2);
  const response = readResponse(REPORTS.get(subFunction), subFunction, reader);
  return reader.exact
    ? response
    : malformed(`${bytes.length} bytes do not fit report type 0x${hex2(subFunction)}`);
}

function readResponse(
  report: DtcReport | undefined,
  subFunction: number,
  reader: Reader,
): Response {
  switch (report) {
    case 'reportNumberOfDtcByStatusMask':
      return {
        report,
        availabilityMask: reader.uint(1),
        format: reader.uint(1),
        count: reader.uint(2),
      };
    case 'reportDtcByStatusMask':
    case 'reportSupportedDtc':
      return { report, availabilityMask: reader.uint(1), dtcs: readDtcs(reader) };
    case 'reportDtcSnapshotIdentification':
      return {
        report,
        records: readDtcs(reader).map(({ dtc, status }) => ({ dtc, recordNumber: status })),
      };
    case 'reportDtcSnapshotRecordByDtcNumber':
    case 'reportDtcExtDataRecordByDtcNumber':
      return { report, dtc: reader.uint(3), status: reader.uint(1), data: reader.rest() };
    case undefined:
      return { report: 'raw', subFunction, data: reader.rest() };
    default:
      return assertNever(report);
  }
}

export interface SnapshotRecord {
  readonly recordNumber: number;
  readonly records: readonly DataRecord[];
}

/** Reads the `data` of 59 04: record number, number of DIDs, DIDs with data whose lengths only the caller knows. */
export function decodeSnapshotRecords(
  data: Uint8Array,
  lengthOf: (did: number) => number | undefined,
): readonly SnapshotRecord[] | Malformed {
  const reader = new Reader(data, 0);
  const snapshots: SnapshotRecord[] = [];
  while (reader.left > 0 && !reader.failed) {
    const recordNumber = reader.uint(1);
    const count = reader.uint(1);
    const records: DataRecord[] = [];
    for (let index = 0; index < count && !reader.failed; index++) {
      const did = reader.uint(2);
      const length = lengthOf(did);
      if (length === undefined)
        return malformed(`the length of DID 0x${did.toString(16)} is unknown`);
      records.push({ did, data: reader.take(length) });
    }
    snapshots.push({ recordNumber, records });
  }
  return reader.failed ? malformed('a snapshot record ends too early') : snapshots;
}

function readDtcs(reader: Reader): DtcAndStatus[] {
  const dtcs: DtcAndStatus[] = [];
  while (reader.left > 0 && !reader.failed) {
    dtcs.push({ dtc: reader.uint(3), status: reader.uint(1) });
  }
  return dtcs;
}

function encodeDtcAndStatus({ dtc, status }: DtcAndStatus): Uint8Array {
  return concatBytes(uintToBytes(dtc, 3), Uint8Array.of(checkedByte(status, 'status')));
}

export const row = serviceRow({
  name: 'readDtcInformation',
  sid: SID,
  subFunctions: ReportType,
  echoed: 1,
  request(message, subFunction) {
    const rest = toHex(message.subarray(2, 2 + SHOWN_BYTES)).toUpperCase();
    return `${nameIn(ReportType, subFunction)} ${rest}`.trim();
  },
  response(message, subFunction) {
    const name = nameIn(ReportType, subFunction);
    const words = decodedText(decodeResponse(message), (response) => {
      if ('count' in response) return `${response.count} DTCs`;
      return 'dtcs' in response ? `${response.dtcs.length} DTCs` : bytesText(message, 2);
    });
    return `${name} ${words}`.trim();
  },
});
