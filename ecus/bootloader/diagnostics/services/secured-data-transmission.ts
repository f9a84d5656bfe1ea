// SecuredDataTransmission (84): carries another service with the authority of TMU or factory.

import { row } from '../../../../src/uds/services/secured-data-transmission.ts';
import type { EcuService } from './ecu-service.ts';

export const service: EcuService = {
  sid: row.sid,
  handler: ({ securedData }, inside) => securedData.handler(inside),
};
