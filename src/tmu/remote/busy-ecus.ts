// The ECUs that a campaign occupies: no command runs on them, and telemetry does not read them.

import type { CampaignState } from '../../campaign/state.ts';
import { assertNever } from '../../core/errors.ts';
import type { Vehicle } from '../../vehicle/schema.ts';

/**
 * From the first gate on these are all ECUs of the plan. While a gateway is programmed, no ECU behind it is
 * reliable, so then they are all ECUs of the vehicle. ECUs that a safe state left mixed stay occupied until a
 * campaign has repaired them.
 */
export function busyEcus(state: CampaignState, { approval, ecus }: Vehicle): readonly string[] {
  const busy = new Set(itemsOf(state));
  if (approval !== undefined && busy.has(approval.ecu)) return ecus.map(({ name }) => name);
  return [...busy];
}

function itemsOf(state: CampaignState): string[] {
  switch (state.kind) {
    case 'idle':
    case 'checking':
      return state.mixed === null ? [] : itemsOf(state.mixed);
    case 'downloading':
    case 'awaiting-approval': {
      const { mixed } = state.campaign;
      return mixed === null ? [] : itemsOf(mixed);
    }
    case 'staging':
    case 'activating':
    case 'verifying':
    case 'committing':
    case 'rolling-back':
    case 'safe-state': {
      const { plan, mixed } = state.campaign;
      const own = plan.items.map(({ ecu }) => ecu);
      return mixed === null ? own : [...own, ...itemsOf(mixed)];
    }
    default:
      return assertNever(state);
  }
}
