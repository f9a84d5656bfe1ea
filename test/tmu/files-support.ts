// Folders for the tests of the state directory.

import type { Plan } from '../../src/campaign/plan.ts';
import { vehicle } from './support.ts';
export const hash = (digit: string): string => digit.repeat(64);

export const planOf = (notes: string, count = 2): Plan => ({
  vin: vehicle.vin,
  items: Array.from({ length: count }, (_, index) => ({
    ecu: index === 0 ? 'EDT' : 'INV',
    hardwareId: 'HW',
    order: index,
    bus: 'main',
    forced: false,
    from: { version: '1.0.0', sha256: null },
    to: { version: '2.0.0', sha256: hash('a'), size: 299_000, releaseCounter: 1 },
    targetName: 'f',
    download: { file: 'f', size: 299_000, sha256: hash('a') },
    encryption: null,
    notes,
  })),
});
