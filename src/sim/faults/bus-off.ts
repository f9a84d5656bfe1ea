// A bad contact: the frames of one machine are corrupted until its controller is bus-off.

import type { MachineName } from '../machine-names.ts';
import { faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface BusOff {
  readonly category: 'bus';
  readonly kind: 'bus-off';
  readonly at: Trigger;
  readonly machine: MachineName;
  readonly forMs: number;
}

export const busOff = faultModule<BusOff, Trigger>({
  category: 'bus',
  kind: 'bus-off',
  draw: (draw, at) => ({
    category: 'bus',
    kind: 'bus-off',
    at,
    machine: draw.machine(),
    forMs: draw.between(10, 5000),
  }),
  fire({ machine, forMs }, context) {
    context.framesFor(forMs, (_frame, from) => (from === machine ? 'corrupt' : undefined));
  },
});
