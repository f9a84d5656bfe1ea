// A node without any key attacks the bus for a limited time: see ../attacker.ts.

import { ATTACKS, type Attack, startAttack } from '../attacker.ts';
import { type FaultModule, faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface AttackerFault {
  readonly category: 'attacker';
  readonly kind: Attack;
  readonly at: Trigger;
  /** A limited time, so that the vehicle can recover afterwards. */
  readonly forMs: number;
  readonly everyMs: number;
}

export const ATTACK_MODULES = ATTACKS.map(attacker);

function attacker(kind: Attack): FaultModule<AttackerFault> {
  return faultModule<AttackerFault>({
    category: 'attacker',
    kind,
    draw: (draw) => ({
      category: 'attacker',
      kind,
      // The opportunist has to be there when the new software is verified.
      at:
        kind === 'opportunist' && draw.chance(0.8)
          ? { on: 'state', state: 'verifying', delayMs: 0 }
          : draw.trigger(),
      forMs: kind === 'opportunist' ? 20_000 : draw.between(200, 30_000),
      everyMs: kind === 'flood' ? 1 : draw.between(2, 200),
    }),
    fire({ forMs, everyMs }, { vehicle, clock, random, mend, atEnd }) {
      const { wire, vehicle: description, eavesdropper } = vehicle;
      const options = { wire, vehicle: description, clock, random, attack: kind, everyMs };
      const stop = startAttack(options, [...eavesdropper.heard]);
      mend(forMs, stop);
      atEnd(stop);
    },
  });
}
