// SecurityAccess (27): only where the ECU needs a key, and only when it has a secret to check it.

import { Nrc } from '../../../../src/uds/nrc.ts';
import { row } from '../../../../src/uds/services/security-access.ts';
import { HOW_TO_PROVISION } from '../../factory/provisioning.ts';
import { type EcuService, FACTORY_SESSIONS } from './ecu-service.ts';

export const service: EcuService = {
  sid: row.sid,
  isNeverSlow: true,
  handler(parts) {
    const handler = parts.security?.handler(FACTORY_SESSIONS);
    return (
      handler && {
        ...handler,
        handle: (request, context) => {
          if (parts.hasKey()) return handler.handle(request, context);
          // Without a secret every attempt would fail and be counted, so answer 22: a precondition is missing.
          parts.device.emit({ kind: 'not-ready', reason: HOW_TO_PROVISION });
          return { nrc: Nrc.conditionsNotCorrect };
        },
      }
    );
  },
};
