// RequestTransferExit (37): the end of an image or a file.

import {
  decodeRequest,
  encodeResponse,
  row,
} from '../../../../src/uds/services/request-transfer-exit.ts';
import { type EcuService, programmingHandler } from './ecu-service.ts';

export const service: EcuService = {
  sid: row.sid,
  handler: (parts) =>
    programmingHandler(parts, {
      minLength: 1,
      handle: async (bytes) => {
        const request = decodeRequest(bytes);
        if (typeof request === 'number') return { nrc: request };
        const { programming } = parts;
        const nrc = await programming.transferExit(request.data.length);
        return nrc === undefined ? { positive: encodeResponse() } : { nrc };
      },
    }),
};
