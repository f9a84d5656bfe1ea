// Stores trouble codes of the ECU in a short list of the non-volatile data.

import { DtcStatus } from '../../../src/uds/services/read-dtc-information.ts';
import type { NvData } from '../flash/nv-data.ts';

/** Stores a trouble code of a present fault. */
export async function storeTroubleCode(nv: NvData, code: number): Promise<void> {
  const status = DtcStatus.testFailed | DtcStatus.confirmedDtc;
  const known = nv.content.dtcs.find((dtc) => dtc.code === code);
  if (known?.status === status) return;
  const others = nv.content.dtcs.filter((dtc) => dtc.code !== code);
  await nv.store({ dtcs: [...others, { code, status }].slice(-64) });
}
