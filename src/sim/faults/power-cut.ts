// The power of some machines fails and comes back.

import { type MachineName, OUR_MACHINES } from '../machine-names.ts';
import { faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface PowerCutFault {
  readonly category: 'power';
  readonly kind: 'cut';
  readonly at: Trigger;
  readonly machines: readonly MachineName[];
  readonly offMs: number;
}

export const powerCut = faultModule<PowerCutFault>({
  category: 'power',
  kind: 'cut',
  draw(draw) {
    const every = draw.chance(0.2);
    const several = draw.chance(0.25);
    const machines = OUR_MACHINES.filter(() => every || (several && draw.chance(0.5)));
    const cut = machines.length > 0 ? machines : [draw.machine()];
    return {
      category: 'power',
      kind: 'cut',
      // A cut between two writes of the machine itself is where a half-finished change would show.
      at: draw.chance(0.4) ? draw.write(draw.oneOf(cut)) : draw.trigger(),
      machines: cut,
      offMs: draw.pause(),
    };
  },
  fire: ({ machines, offMs }, context) => context.cut(machines, offMs),
});
