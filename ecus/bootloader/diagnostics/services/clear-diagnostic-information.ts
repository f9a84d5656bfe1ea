// ClearDiagnosticInformation (14): trouble codes of the non-volatile data.

import { Nrc } from '../../../../src/uds/nrc.ts';
import type { Reply } from '../../../../src/uds/server-types.ts';
import * as clear from '../../../../src/uds/services/clear-diagnostic-information.ts';
import type { NvData } from '../../flash/nv-data.ts';
import type { EcuService } from './ecu-service.ts';

export const service: EcuService = {
  sid: clear.row.sid,
  isSecurable: true,
  handler: ({ device }) => ({
    minLength: 4,
    handle: (bytes) => clearDiagnosticInformation(device.nv, bytes),
  }),
};

/** Clears all groups or one stored code (12.2). Answers when it is durable; without stored codes nothing is written. */
async function clearDiagnosticInformation(nv: NvData, bytes: Uint8Array): Promise<Reply> {
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
