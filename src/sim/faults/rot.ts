// A staged image that never ran loses bits.

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
    // Only what is staged and never ran: the rest of a flash has no second copy to go back to.
    if (rotBank(context.vehicle.machine(ecu).disk, context.random)) context.fired();
  },
});
