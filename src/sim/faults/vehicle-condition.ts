// The vehicle loses a condition for the update: it moves, or its battery is low.

import { type FaultModule, faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface ConditionFault {
  readonly category: 'vehicle';
  readonly kind: 'moving' | 'low-battery';
  readonly at: Trigger;
  readonly forMs: number;
}

export const moving = vehicleCondition('moving', 'speed', 50);
export const lowBattery = vehicleCondition('low-battery', 'battery', 11);

function vehicleCondition(
  kind: ConditionFault['kind'],
  signal: string,
  value: number,
): FaultModule<ConditionFault> {
  return faultModule<ConditionFault>({
    category: 'vehicle',
    kind,
    draw: (draw) => ({
      category: 'vehicle',
      kind,
      at: draw.trigger(),
      forMs: draw.between(500, 60_000),
    }),
    fire({ forMs }, { vehicle, mend }) {
      vehicle.setSignal(signal, value);
      mend(forMs, () => vehicle.resetSignals());
    },
  });
}
