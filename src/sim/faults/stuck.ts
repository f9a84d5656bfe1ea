// An ECU neither receives nor sends anything.

import type { EcuName } from '../machine-names.ts';
import { faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface Stuck {
  readonly category: 'ecu';
  readonly kind: 'stuck';
  readonly at: Trigger;
  readonly ecu: EcuName;
  readonly forMs: number;
}

export const stuck = faultModule<Stuck, EcuName>({
  category: 'ecu',
  kind: 'stuck',
  draw: (draw, ecu) => ({
    category: 'ecu',
    kind: 'stuck',
    ecu,
    at: draw.trigger(),
    forMs: draw.chance(0.8) ? draw.between(50, 30_000) : draw.between(30_000, 3_600_000),
  }),
  fire({ ecu, forMs }, context) {
    context.framesFor(forMs, (_frame, from) => (from === ecu ? 'drop' : { missedBy: [ecu] }));
  },
});
