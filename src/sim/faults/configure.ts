// An operator changes the configuration.

import { faultModule } from './fault.ts';
import { askAsOperator } from './operator.ts';
import type { Trigger } from './trigger.ts';

export interface Configure {
  readonly category: 'services';
  readonly kind: 'configure';
  readonly at: Trigger;
  readonly pollInterval: number;
  readonly uploadInterval: number;
  readonly dids: number;
}

/** DIDs that operators ask telemetry for. */
const TELEMETRY_DIDS = ['INV.FD40', 'INV.FD41', 'BMS.FD50', 'EDT.FD31'];

export const configure = faultModule<Configure, Trigger>({
  category: 'services',
  kind: 'configure',
  draw: (draw, at) => ({
    category: 'services',
    kind: 'configure',
    at,
    pollInterval: draw.between(1, 5),
    // Some of these values are invalid for the vehicle.
    uploadInterval: draw.between(3, 15),
    dids: draw.between(0, 4),
  }),
  fire({ pollInterval, uploadInterval, dids: count }, context) {
    const dids = TELEMETRY_DIDS.slice(0, count);
    const parameters = { pollInterval, uploadInterval, dids };
    void askAsOperator(context, 'PUT', `/config/${context.vehicle.vin}`, { parameters });
  },
});
