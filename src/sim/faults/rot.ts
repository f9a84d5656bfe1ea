// Bits flip in a staged image that never ran.

import type { EcuName } from '../machine-names.ts';
import { rotBank } from '../tampering.ts';
import { faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface Rot {
  readonly category: 'disk';
  readonly kind: 'rot';
  readonly at: Trigger;
  readonly ecu: EcuName;
}

export const rot = faultModule<Rot>({
  category: 'disk',
  kind: 'rot',
  draw: (draw) => ({ category: 'disk', kind: 'rot', at: draw.trigger(), ecu: draw.ecu() }),
  countsItself: true,
  fire({ ecu }, context) {
    // Only a staged image that never ran: the other bank has no second copy.
    if (rotBank(context.vehicle.machine(ecu).disk, context.random)) context.fired();
  },
});
