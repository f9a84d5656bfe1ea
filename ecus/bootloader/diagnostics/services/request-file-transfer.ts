// RequestFileTransfer (38): metadata, Roots and the note about a first image.

import { row } from '../../../../src/uds/services/request-file-transfer.ts';
import { type EcuService, programmingHandler } from './ecu-service.ts';

export const service: EcuService = {
  sid: row.sid,
  handler: (parts) =>
    programmingHandler(parts, {
      minLength: 5,
      handle: (bytes) => parts.programming.requestFileTransfer(bytes),
    }),
};
