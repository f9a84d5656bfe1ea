// RequestFileTransfer (38): metadata, Roots and the announcement of a first image.

import {
  decodeRequest,
  encodeResponse,
  row,
} from '../../../../src/uds/services/request-file-transfer.ts';
import { type EcuService, programmingHandler } from './ecu-service.ts';

export const service: EcuService = {
  sid: row.sid,
  handler: (parts) =>
    programmingHandler(parts, {
      minLength: 5,
      handle: (bytes) => {
        const request = decodeRequest(bytes);
        if (typeof request === 'number') return { nrc: request };
        const { programming } = parts;
        const mode = programming.requestFileTransfer(request);
        if (typeof mode === 'number') return { nrc: mode };
        const { maxBlockLength } = programming;
        return { positive: encodeResponse({ mode, maxBlockLength, dataFormat: 0 }) };
      },
    }),
};
