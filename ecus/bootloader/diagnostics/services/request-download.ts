// RequestDownload (34): an image for the target bank.

import { row } from '../../../../src/uds/services/request-download.ts';
import { type EcuService, programmingHandler } from './ecu-service.ts';

export const service: EcuService = {
  sid: row.sid,
  handler: (parts) =>
    programmingHandler(parts, {
      minLength: 5,
      handle: (bytes) => parts.programming.requestDownload(bytes),
    }),
};
