// One node misses frames that the others receive: its receive buffer is full.

import type { MachineName } from '../machine-names.ts';
import { faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface Deaf {
  readonly category: 'bus';
  readonly kind: 'deaf';
  readonly at: Trigger;
  readonly machine: MachineName;
  readonly frames: number;
}

export const deaf = faultModule<Deaf, Trigger>({
  category: 'bus',
  kind: 'deaf',
  draw: (draw, at) => ({
    category: 'bus',
    kind: 'deaf',
    at,
    machine: draw.machine(),
    frames: draw.burst(),
  }),
  fire({ machine, frames }, context) {
    context.frames(frames, (_frame, from) =>
      from === machine ? undefined : { missedBy: [machine] },
    );
  },
});
