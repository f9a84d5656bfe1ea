// A faulty node sends the frame with the highest priority as often as it can.

import { startBabbling } from '../babbling-node.ts';
import { faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface Babble {
  readonly category: 'bus';
  readonly kind: 'babble';
  readonly at: Trigger;
  readonly forMs: number;
}

export const babble = faultModule<Babble, Trigger>({
  category: 'bus',
  kind: 'babble',
  draw: (draw, at) => ({ category: 'bus', kind: 'babble', at, forMs: draw.between(5, 3000) }),
  fire({ forMs }, { clock, vehicle, mend }) {
    startBabbling({ clock, wire: vehicle.wire, forMs, name: 'babbler' });
    mend(forMs, () => {});
  },
});
