// RoutineControl (31): the routines of bootloader, application and factory.

import { row } from '../../../../src/uds/services/routine-control.ts';
import type { EcuService } from './ecu-service.ts';

export const service: EcuService = {
  sid: row.sid,
  isSecurable: true,
  handler: ({ routines }) => routines.handler(),
};
