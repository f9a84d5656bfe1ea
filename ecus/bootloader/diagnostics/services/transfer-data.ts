// TransferData (36): blocks of an image or a file.

import { row } from '../../../../src/uds/services/transfer-data.ts';
import { type EcuService, programmingHandler } from './ecu-service.ts';

export const service: EcuService = {
  sid: row.sid,
  handler: (parts) =>
    programmingHandler(parts, {
      minLength: 2,
      handle: (bytes) => parts.programming.transferData(bytes),
    }),
};
