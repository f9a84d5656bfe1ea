// ReadDTCInformation (19): trouble codes of the non-volatile data.

import { Nrc } from '../../../../src/uds/nrc.ts';
import type { Reply } from '../../../../src/uds/server-types.ts';
import * as readDtc from '../../../../src/uds/services/read-dtc-information.ts';
import { DtcStatus, ReportType } from '../../../../src/uds/services/read-dtc-information.ts';
import type { NvData } from '../../flash/nv-data.ts';
import type { EcuService } from './ecu-service.ts';

/** Status bits that this ECU supports. */
const AVAILABILITY_MASK = DtcStatus.testFailed | DtcStatus.confirmedDtc;

/** Supported sub-functions of 19. */
const DTC_REPORTS = {
  [ReportType.reportNumberOfDtcByStatusMask]: {},
  [ReportType.reportDtcByStatusMask]: {},
  [ReportType.reportSupportedDtc]: {},
};

export const service: EcuService = {
  sid: readDtc.row.sid,
  isSecurable: true,
  handler: ({ device }) => ({
    minLength: 2,
    subFunctions: DTC_REPORTS,
    handle: (bytes) => readDtcInformation(device.nv, bytes),
  }),
};

function readDtcInformation(nv: NvData, bytes: Uint8Array): Reply {
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
