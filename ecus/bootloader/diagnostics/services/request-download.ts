// RequestDownload (34): an image for the target bank.

import {
  decodeRequest,
  encodeResponse,
  row,
} from '../../../../src/uds/services/request-download.ts';
import { type EcuService, programmingHandler, replyAfter } from './ecu-service.ts';

export const service: EcuService = {
  sid: row.sid,
  handler: (parts) =>
    programmingHandler(parts, {
      minLength: 5,
      handle: (bytes) => {
        const request = decodeRequest(bytes);
        if (typeof request === 'number') return { nrc: request };
        const { programming } = parts;
        return replyAfter(programming.requestDownload(request), () =>
          encodeResponse(programming.maxBlockLength),
        );
      },
    }),
};
