// The way back: which ECUs it concerns, in which order, and how it ends.

import { commandsOf } from './commands.ts';
import type { CycleOutcome } from './outcome.ts';
import { resultOf } from './result.ts';
import type { Campaign, CampaignConfig, CampaignState, Cause, Forward, StateOf } from './state.ts';

/** Ends the forward way: every ECU that may hold something of it goes back, in reverse order. */
export function undo(state: Forward, cause: Cause, config: CampaignConfig): CampaignState {
  const { campaign } = state;
  const order = campaign.plan.items.map(({ ecu }) => ecu);
  const transfers = state.kind === 'staging' ? state.staged : state.transfers;
  let involved = order;
  let touched: readonly string[] = order;
  if (state.kind === 'staging') {
    touched = [];
    // Staged, or being staged: their inactive banks hold what must be forgotten.
    const begun = new Set(Object.keys(state.staged));
    for (const command of commandsOf(state, config)) {
      if (command.kind === 'ecu') begun.add(command.item.ecu);
    }
    involved = order.filter((ecu) => begun.has(ecu));
  } else if (state.kind === 'activating') {
    // The one whose turn it was may have switched although it did not say so.
    touched = order.slice(0, state.activated.length + 1);
  }
  const back: StateOf<'rolling-back'> = {
    kind: 'rolling-back',
    campaign,
    cause,
    transfers,
    touched,
    pending: [...involved].reverse(),
    undone: {},
    failed: {},
    tries: {},
  };
  return rollOn(back);
}

/** The next ECU goes back, or the campaign ends. */
export function rollOn(state: StateOf<'rolling-back'>): CampaignState {
  if (state.pending.length > 0) return state;
  const { campaign, cause, transfers, touched, undone, failed } = state;
  const lost = touched.filter((ecu) => failed[ecu] !== undefined);
  const details = {
    transfers,
    reported: undone,
    errors: Object.fromEntries(Object.entries(failed).map(([ecu, { reason }]) => [ecu, reason])),
    code: cause.code,
  };
  if (cause.ecu !== undefined && details.errors[cause.ecu] === undefined) {
    details.errors[cause.ecu] = cause.reason;
  }
  if (lost.length === 0) {
    const finished = resultOf(campaign, cause.outcome, { ...details, reason: cause.reason });
    return { kind: 'idle', finished };
  }
  // The mixed state, spelled out.
  const mixed = campaign.plan.items.map(({ ecu, from, to }) => {
    const failure = failed[ecu];
    if (failure !== undefined && touched.includes(ecu))
      return `${ecu} may run ${to.version}, it could not be taken back to ${from.version}: ${failure.reason}`;
    return `${ecu} runs ${undone[ecu]?.version ?? from.version} (old)`;
  });
  const reason = `${cause.reason}; taking it back failed: ${mixed.join('; ')}`;
  return { kind: 'idle', finished: resultOf(campaign, 'ROLLBACK_FAILED', { ...details, reason }) };
}

/** Ends a campaign in which no ECU holds anything of it. */
export function over(
  campaign: Campaign,
  outcome: CycleOutcome,
  code: string,
  reason: string,
  more: { untilWallMs?: number } = {},
): CampaignState {
  return { kind: 'idle', finished: resultOf(campaign, outcome, { code, reason, ...more }) };
}
