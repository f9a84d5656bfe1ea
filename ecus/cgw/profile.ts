// CGW, the central gateway: an ECU that also asks the driver.

import type { EcuProfile } from '../profile.ts';

export const cgwProfile: EcuProfile = {
  partNumber: 'CO-CGW-0001',
  dtcs: [],
  live: [],
  traffic: [
    {
      id: 0x050,
      periodMs: 100,
      data: (_upMs, count) => Uint8Array.of(count & 0xff, 0x01, 0, 0, 0, 0, 0, 0),
    },
  ],
};
