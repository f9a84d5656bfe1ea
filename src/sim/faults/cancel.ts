// The operator wants the campaign to end.

import { OperatorError } from '../simulated-server.ts';
import { type FaultContext, faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface Cancel {
  readonly category: 'driver';
  readonly kind: 'cancel';
  readonly at: Trigger;
}

export const cancel = faultModule<Cancel>({
  category: 'driver',
  kind: 'cancel',
  draw: (draw) => ({ category: 'driver', kind: 'cancel', at: draw.trigger() }),
  fire: (_fault, context) => void order(context),
});

/** Where nothing is under way, or the backend is away, the operator is told so, and leaves it at that. */
async function order({ vehicle, server }: FaultContext): Promise<void> {
  if (!server.running) return;
  const body = new TextEncoder().encode(JSON.stringify({ reason: 'the release is withdrawn' }));
  await server
    .post(`/vehicles/${vehicle.vin}/cancel`, body, 'application/json')
    .catch((error: unknown) => {
      // It went away in the middle of it.
      if (!server.running) return;
      if (!(error instanceof OperatorError) || error.status >= 500) throw error;
    });
}
