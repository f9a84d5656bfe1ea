// TransferData (36): blocks of an image or a file.

import { decodeRequest, encodeResponse, row } from '../../../../src/uds/services/transfer-data.ts';
import { type EcuService, programmingHandler, replyAfter } from './ecu-service.ts';

export const service: EcuService = {
  sid: row.sid,
  handler: (parts) =>
    programmingHandler(parts, {
      minLength: 2,
      handle: (bytes) => {
        const request = decodeRequest(bytes);
        if (typeof request === 'number') return { nrc: request };
        const { programming } = parts;
        return replyAfter(programming.transferData(request.counter, request.data), () =>
          encodeResponse(request.counter),
        );
      },
    }),
};
