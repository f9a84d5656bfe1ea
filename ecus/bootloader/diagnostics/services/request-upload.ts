// RequestUpload (35): refused, before the lock and after it.

import { Nrc } from '../../../../src/uds/nrc.ts';
import type { Reply } from '../../../../src/uds/server-types.ts';
import * as requestUpload from '../../../../src/uds/services/request-upload.ts';
import type { BootedEcu } from '../../device.ts';
import { type EcuService, FACTORY_SESSIONS } from './ecu-service.ts';

export const service: EcuService = {
  sid: requestUpload.row.sid,
  handler: ({ device }) => ({
    sessions: FACTORY_SESSIONS,
    functional: false,
    minLength: 5,
    handle: (bytes) => refuseUpload(device, bytes),
  }),
};

/** Refuses uploads, also in the factory, where 23 reads memory. After the lock the answer is the same as for 23. */
function refuseUpload(device: BootedEcu, bytes: Uint8Array): Reply {
  const request = requestUpload.decodeRequest(bytes);
  if (typeof request === 'number') return { nrc: request };
  return {
    nrc: device.identity.locked ? Nrc.securityAccessDenied : Nrc.uploadDownloadNotAccepted,
  };
}
