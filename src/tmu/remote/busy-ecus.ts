// The ECUs that belong to a campaign: no command runs on them, and nothing is read of them.

import type { CampaignState } from '../../campaign/state.ts';
import { assertNever } from '../../core/errors.ts';
import type { Vehicle } from '../../vehicle/schema.ts';

/**
 * From the first gate on all ECUs of the plan, whichever is worked on at the moment; behind a gateway that is
 * programmed nobody can be relied on, so then it is all of them. What a safe state has left mixed stays with the
 * campaigns until one has put it right.
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
