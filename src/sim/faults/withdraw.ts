// The driver withdraws the approval.

import { faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface Withdraw {
  readonly category: 'driver';
  readonly kind: 'withdraw';
  readonly at: Trigger;
}

export const withdraw = faultModule<Withdraw>({
  category: 'driver',
  kind: 'withdraw',
  draw: (draw) => ({ category: 'driver', kind: 'withdraw', at: draw.trigger() }),
  fire: (_fault, { vehicle }) => vehicle.driver.withdraw(),
});
