// RequestDownload (34): an image for the target bank.

import {
  decodeRequest,
  encodeResponse,
  row,
} from '../../../../src/uds/services/request-download.ts';
import { type EcuService, programmingHandler } from './ecu-service.ts';

export const service: EcuService = {
  sid: row.sid,
  handler: (parts) =>
    programmingHandler(parts, {
      minLength: 5,
      handle: async (bytes) => {
        const request = decodeRequest(bytes);
        if (typeof request === 'number') return { nrc: request };
        const { programming } = parts;
        const nrc = await programming.requestDownload(request);
        if (nrc !== undefined) return { nrc };
        return { positive: encodeResponse(programming.maxBlockLength) };
      },
    }),
};
