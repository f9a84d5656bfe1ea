// The result of one cycle of the daemon: the end of a campaign, the result of a check, or that the cycle was stopped.

import { mixedResult } from '../campaign/mixed.ts';
import type { CampaignResult, CampaignState } from '../campaign/state.ts';
import { defined } from '../core/optional.ts';
import type { Checked } from './check-options.ts';
import type { CycleResult } from './tmu-event.ts';

export interface Cycle {
  readonly end: 'done' | 'interrupted';
  readonly state: CampaignState;
  /** The campaign that ended in this cycle. */
  readonly finished: CampaignResult | undefined;
  readonly checked: Checked | undefined;
  readonly seconds: number;
}

export function cycleResult({ end, state, finished, checked, seconds }: Cycle): CycleResult {
  if (finished !== undefined) return { ...ofCampaign(finished), seconds };
  if (end === 'interrupted' || checked === undefined || checked.event.kind === 'offered') {
    return {
      outcome: 'INTERRUPTED',
      reason: `stopped while ${state.kind}; the next start carries on`,
      ...('campaign' in state ? { campaign: state.campaign.id } : {}),
      ecus: [],
      seconds,
    };
  }
  // While the vehicle is in a mixed state, the result reports that before anything else.
  if (state.kind === 'safe-state') {
    return { ...ofCampaign(mixedResult(state)), remembered: true, seconds };
  }
  const { outcome, code, reason } = checked.event;
  const { remembered } = checked;
  const untilWallMs = remembered?.notBeforeWallMs ?? undefined;
  return {
    outcome: remembered?.outcome ?? outcome,
    ...defined({
      code,
      reason,
      remembered: remembered === undefined ? undefined : (true as const),
      untilWallMs,
      until: remembered?.until,
    }),
    ecus: [],
    seconds,
  };
}

function ofCampaign(result: CampaignResult): Omit<CycleResult, 'seconds'> {
  const { id, outcome, ecus, code, reason, untilWallMs, until, warnings } = result;
  return {
    outcome,
    ...defined({ code, reason, untilWallMs, until }),
    ...(warnings.length === 0 ? {} : { warnings }),
    campaign: id,
    ecus,
  };
}
