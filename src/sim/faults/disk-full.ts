// The disk of a machine is full for a while.

import type { MachineName } from '../machine-names.ts';
import { faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface DiskFull {
  readonly category: 'disk';
  readonly kind: 'full';
  readonly at: Trigger;
  readonly machine: MachineName;
  readonly forMs: number;
}

/** A machine, and the moment of one of its writes. */
export interface DiskPlace {
  readonly machine: MachineName;
  readonly at: Trigger;
}

export const diskFull = faultModule<DiskFull, DiskPlace>({
  category: 'disk',
  kind: 'full',
  draw: (draw, { machine, at }) => ({
    category: 'disk',
    kind: 'full',
    at,
    machine,
    forMs: draw.between(100, 60_000),
  }),
  fire({ machine, forMs }, { vehicle, mayEnd, mend }) {
    const { disk } = vehicle.machine(machine);
    mayEnd(machine);
    disk.full = true;
    mend(forMs, () => {
      disk.full = false;
    });
  },
});
