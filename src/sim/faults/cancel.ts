// The operator cancels the campaign.

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

/** Where no campaign runs or the backend does not run, the operator gets an error and gives up. */
async function order({ vehicle, server }: FaultContext): Promise<void> {
  if (!server.running) return;
  const body = new TextEncoder().encode(JSON.stringify({ reason: 'the release is withdrawn' }));
  await server
    .post(`/vehicles/${vehicle.vin}/cancel`, body, 'application/json')
    .catch((error: unknown) => {
      // The server stopped during the request.
      if (!server.running) return;
      if (!(error instanceof OperatorError) || error.status >= 500) throw error;
    });
}
