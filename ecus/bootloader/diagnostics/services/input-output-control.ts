// InputOutputControlByIdentifier (2F): outputs of the application, in the extended session.

import { Nrc } from '../../../../src/uds/nrc.ts';
import * as inputOutputControl from '../../../../src/uds/services/input-output-control.ts';
import { Session } from '../../../../src/uds/sid.ts';
import type { EcuService } from './ecu-service.ts';

export const service: EcuService = {
  sid: inputOutputControl.row.sid,
  isSecurable: true,
  handler(parts) {
    const { device, application } = parts;
    if (!application.takesControl) return undefined;
    return {
      minLength: 4,
      sessions: [Session.extended],
      functional: false,
      get security() {
        return parts.securityLevel();
      },
      handle: (bytes, context) => {
        if (device.identity.locked && context.authority !== 'tester') {
          return { nrc: Nrc.secureDataTransmissionRequired };
        }
        // The end of the extended session releases every output.
        if (context.session !== Session.extended) return { nrc: Nrc.conditionsNotCorrect };
        return application.control(bytes, context.nowMs);
      },
    };
  },
};
