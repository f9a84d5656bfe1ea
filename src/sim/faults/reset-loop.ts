// The watchdog of an ECU restarts it, several times in a row.

import type { EcuName } from '../machine-names.ts';
import { faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface ResetLoop {
  readonly category: 'ecu';
  readonly kind: 'reset-loop';
  readonly at: Trigger;
  readonly ecu: EcuName;
  readonly resets: number;
  readonly everyMs: number;
}

export const resetLoop = faultModule<ResetLoop, EcuName>({
  category: 'ecu',
  kind: 'reset-loop',
  draw: (draw, ecu) => ({
    category: 'ecu',
    kind: 'reset-loop',
    ecu,
    at: draw.trigger(),
    resets: draw.between(1, 6),
    everyMs: draw.between(50, 2000),
  }),
  fire({ ecu, resets, everyMs }, { vehicle, mend, boot }) {
    const machine = vehicle.machine(ecu);
    for (let n = 0; n < resets; n++) {
      mend(n * everyMs, () => {
        // An ECU without power is not restarted here; its power cut ends by itself.
        if (!machine.alive) return;
        machine.kill();
        mend(1, () => boot(ecu));
      });
    }
  },
});
