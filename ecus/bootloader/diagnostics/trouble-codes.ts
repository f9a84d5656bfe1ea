// Trouble codes (14, 19): a short list in the non-volatile data.

import { Nrc } from '../../../src/uds/nrc.ts';
import type { Reply } from '../../../src/uds/server-types.ts';
import * as clear from '../../../src/uds/services/clear-diagnostic-information.ts';
import * as readDtc from '../../../src/uds/services/read-dtc-information.ts';
import { DtcStatus, ReportType } from '../../../src/uds/services/read-dtc-information.ts';
import type { NvData } from '../flash/nv-data.ts';

/** Status bits that this ECU keeps. */
const AVAILABILITY_MASK = DtcStatus.testFailed | DtcStatus.confirmedDtc;

/** Sub-functions of 19 that exist here. */
export const DTC_REPORTS = {
  [ReportType.reportNumberOfDtcByStatusMask]: {},
  [ReportType.reportDtcByStatusMask]: {},
  [ReportType.reportSupportedDtc]: {},
};

export function readDtcInformation(nv: NvData, bytes: Uint8Array): Reply {
  const request = readDtc.decodeRequest(bytes);
  if (typeof request === 'number') return { nrc: request };
  const all = nv.content.dtcs.map(({ code, status }) => ({ dtc: code, status }));
  switch (request.report) {
    case 'reportNumberOfDtcByStatusMask':
    case 'reportDtcByStatusMask': {
      const mask = request.statusMask & AVAILABILITY_MASK;
      const dtcs = all.filter(({ status }) => (status & mask) !== 0);
      return {
        positive: readDtc.encodeResponse(
          request.report === 'reportDtcByStatusMask'
            ? { report: request.report, availabilityMask: AVAILABILITY_MASK, dtcs }
            : {
                report: request.report,
                availabilityMask: AVAILABILITY_MASK,
                format: readDtc.DTC_FORMAT_ISO_14229_1,
                count: dtcs.length,
              },
        ),
      };
    }
    case 'reportSupportedDtc':
      return {
        positive: readDtc.encodeResponse({
          report: request.report,
          availabilityMask: AVAILABILITY_MASK,
          dtcs: all,
        }),
      };
    default:
      return { nrc: Nrc.subFunctionNotSupported };
  }
}

/** 12.2: all groups or one stored code. Answered when it is durable; where nothing is stored, nothing is written. */
export async function clearDiagnosticInformation(nv: NvData, bytes: Uint8Array): Promise<Reply> {
  const request = clear.decodeRequest(bytes);
  if (typeof request === 'number') return { nrc: request };
  if (request.memory !== undefined) return { nrc: Nrc.requestOutOfRange };
  const { dtcs } = nv.content;
  if (request.group === clear.ALL_GROUPS) {
    if (dtcs.length > 0) await nv.store({ dtcs: [] });
  } else {
    if (!dtcs.some(({ code }) => code === request.group)) return { nrc: Nrc.requestOutOfRange };
    await nv.store({ dtcs: dtcs.filter(({ code }) => code !== request.group) });
  }
  return { positive: clear.encodeResponse() };
}

/** Stores a fault that is present now. */
export async function storeTroubleCode(nv: NvData, code: number): Promise<void> {
  const status = DtcStatus.testFailed | DtcStatus.confirmedDtc;
  const known = nv.content.dtcs.find((dtc) => dtc.code === code);
  if (known?.status === status) return;
  const others = nv.content.dtcs.filter((dtc) => dtc.code !== code);
  await nv.store({ dtcs: [...others, { code, status }].slice(-64) });
}
