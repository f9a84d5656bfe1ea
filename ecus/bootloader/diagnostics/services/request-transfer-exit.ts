// RequestTransferExit (37): the end of an image or a file.

import {
  decodeRequest,
  encodeResponse,
  row,
} from '../../../../src/uds/services/request-transfer-exit.ts';
import { type EcuService, programmingHandler, replyAfter } from './ecu-service.ts';

export const service: EcuService = {
  sid: row.sid,
  handler: (parts) =>
    programmingHandler(parts, {
      minLength: 1,
      // Signatures of both repositories, or the digest of the whole bank.
      isCostly: () => true,
      handle: (bytes) => {
        const request = decodeRequest(bytes);
        if (typeof request === 'number') return { nrc: request };
        const { programming } = parts;
        return replyAfter(programming.transferExit(request.data.length), () => encodeResponse());
      },
    }),
};
