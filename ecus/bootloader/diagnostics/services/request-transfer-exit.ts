// RequestTransferExit (37): the end of an image or a file.

import { row } from '../../../../src/uds/services/request-transfer-exit.ts';
import { type EcuService, programmingHandler } from './ecu-service.ts';

export const service: EcuService = {
  sid: row.sid,
  handler: (parts) =>
    programmingHandler(parts, {
      minLength: 1,
      handle: (bytes) => parts.programming.transferExit(bytes),
    }),
};
