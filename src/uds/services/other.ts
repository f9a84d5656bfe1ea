// Services without a codec here that a trace may show, ISO 14229-1:2020 table 2.

import type { ServiceRow } from '../service-row.ts';

/** Sub-functions of a service whose names are not listed here. */
const UNNAMED = {};

export const OTHER_SERVICES: readonly ServiceRow[] = [
  { name: 'readScalingDataByIdentifier', sid: 0x24, echoed: 0 },
  { name: 'readDataByPeriodicIdentifier', sid: 0x2a, echoed: 0 },
  { name: 'dynamicallyDefineDataIdentifier', sid: 0x2c, subFunctions: UNNAMED, echoed: 1 },
  { name: 'writeMemoryByAddress', sid: 0x3d, echoed: 0 },
  { name: 'accessTimingParameter', sid: 0x83, subFunctions: UNNAMED, echoed: 0 },
  { name: 'responseOnEvent', sid: 0x86, subFunctions: UNNAMED, echoed: 1 },
  { name: 'linkControl', sid: 0x87, subFunctions: UNNAMED, echoed: 1 },
];
