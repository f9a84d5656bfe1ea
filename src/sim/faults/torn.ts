// The power fails during a write: data that was not synced is torn.

import type { MachineName } from '../machine-names.ts';
import type { DiskPlace } from './disk-full.ts';
import { faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface Torn {
  readonly category: 'disk';
  readonly kind: 'torn';
  readonly at: Trigger;
  readonly machine: MachineName;
  readonly offMs: number;
}

export const torn = faultModule<Torn, DiskPlace>({
  category: 'disk',
  kind: 'torn',
  draw: (draw, { machine, at }) => ({
    category: 'disk',
    kind: 'torn',
    at,
    machine,
    offMs: draw.pause(),
  }),
  fire({ machine, offMs }, context) {
    const sync = context.beforeSync(machine, () => context.cutNow(machine));
    context.mend(offMs, () => {
      const stillWaits = sync.end();
      if (!stillWaits) context.boot(machine);
    });
  },
});
