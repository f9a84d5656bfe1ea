// The way back: which ECUs it concerns, in which order, how it ends, and what leads out of the safe state.

import { commandsOf } from './commands.ts';
import { nextPerBus } from './group.ts';
import { errorsOf, lostOf } from './mixed.ts';
import { resultOf } from './result.ts';
import type { CampaignState, Cause, Forward, SafeState, StateOf } from './state.ts';

/** Ends the forward way: every ECU that may hold something of it goes back, in reverse order. */
export function undo(state: Forward | StateOf<'awaiting-approval'>, cause: Cause): CampaignState {
  const { campaign } = state;
  const { items } = campaign.plan;
  const order = items.map(({ ecu }) => ecu);
  const isBefore = state.kind === 'staging' || state.kind === 'awaiting-approval';
  let involved = order;
  let touched: readonly string[] = order;
  if (isBefore) {
    touched = [];
    // Staged, or being staged: their inactive banks hold what must be forgotten.
    const begun = new Set(Object.keys(state.staged));
    if (state.kind === 'staging' && state.begun) {
      for (const { ecu } of nextPerBus(campaign.plan, [...begun])) begun.add(ecu);
    }
    involved = order.filter((ecu) => begun.has(ecu));
  } else if (state.kind === 'activating') {
    // Those whose turn it was may have switched although they did not say so.
    const begun = new Set(state.activated);
    for (const command of commandsOf(state)) {
      if (command.kind === 'ecu') begun.add(command.item.ecu);
    }
    touched = order.filter((ecu) => begun.has(ecu));
  }
  return rollOn({
    kind: 'rolling-back',
    campaign,
    cause,
    transfers: isBefore ? state.staged : state.transfers,
    touched,
    pending: [...involved].reverse(),
    undone: {},
    failed: {},
    tries: {},
    restarts: 0,
    attempt: 0,
  });
}

/** The next ECUs go back, or the campaign ends: all are back, or what is mixed is declared. */
export function rollOn(state: StateOf<'rolling-back'>): CampaignState {
  if (state.pending.length > 0) return state;
  const { campaign, cause, transfers, touched, undone, failed, attempt } = state;
  if (lostOf(state).length > 0) {
    return {
      kind: 'safe-state',
      ...{ campaign, cause, transfers, touched, undone, failed },
      // The outcome is told once; later attempts are heard of again when one succeeds.
      reported: attempt > 0,
      attempts: attempt,
    };
  }
  const details = { transfers, reported: undone, errors: errorsOf(state) };
  const finished =
    attempt === 0
      ? resultOf(campaign, cause.outcome, { ...details, code: cause.code, reason: cause.reason })
      : resultOf(campaign, 'ROLLBACK_COMPLETED', {
          ...details,
          code: 'RECOVERED',
          reason: `${cause.reason}; taken back by a later attempt (number ${attempt})`,
        });
  return { kind: 'idle', finished, mixed: campaign.mixed };
}

/** Tries once more to take back what is lost. */
export function recover(state: SafeState): CampaignState {
  const lost = new Set(lostOf(state));
  const { campaign, cause, transfers, touched, undone, attempts } = state;
  return rollOn({
    kind: 'rolling-back',
    ...{ campaign, cause, transfers, touched, undone },
    pending: campaign.plan.items
      .map(({ ecu }) => ecu)
      .filter((ecu) => lost.has(ecu))
      .reverse(),
    failed: {},
    tries: {},
    restarts: 0,
    attempt: attempts + 1,
  });
}
