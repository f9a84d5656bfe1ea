// The vehicle has no network for a while.

import { faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface Away {
  readonly category: 'network';
  readonly kind: 'away';
  readonly at: Trigger;
  readonly forMs: number;
}

export const away = faultModule<Away>({
  category: 'network',
  kind: 'away',
  draw: (draw) => ({
    category: 'network',
    kind: 'away',
    at: draw.trigger(),
    forMs: draw.between(50, 60_000),
  }),
  fire({ forMs }, { vehicle, mend }) {
    vehicle.network.covered = false;
    mend(forMs, () => {
      vehicle.network.covered = true;
    });
  },
});
