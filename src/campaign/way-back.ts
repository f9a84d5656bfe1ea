// The rollback of a campaign: its ECUs, their order, its end, and the attempts to leave the safe state.

import { type Changes, changedIn, noted } from './changes.ts';
import { commandsOf } from './commands.ts';
import { errorsOf, lostOf } from './mixed.ts';
import { resultOf } from './result.ts';
import type { CampaignState, Cause, Forward, SafeState, StateOf } from './state.ts';

/**
 * Ends the forward steps: every changed ECU is rolled back, in reverse order. Steps under way are stopped and report
 * nothing more. `ended`: ECUs whose step has just reported all its changes.
 */
export function undo(
  state: Forward | StateOf<'awaiting-approval'>,
  cause: Cause,
  ended: readonly string[] = [],
): CampaignState {
  const { campaign } = state;
  const changes = withUnderWay(state, ended);
  return rollOn({
    kind: 'rolling-back',
    campaign,
    cause,
    transfers: 'staged' in state ? state.staged : state.transfers,
    changes,
    pending: campaign.plan.items
      .map(({ ecu }) => ecu)
      .filter((ecu) => changedIn(changes, ecu) !== 'no')
      .reverse(),
    undone: {},
    failed: {},
    tries: {},
    restarts: 0,
    attempt: 0,
    lost: 0,
  });
}

/** Adds the steps that had begun to change their ECU and did not end: what they have changed is unknown. */
export function withUnderWay(
  state: Forward | StateOf<'awaiting-approval'>,
  ended: readonly string[] = [],
): Changes {
  return commandsOf(state).reduce(
    (changes, command) =>
      command.kind === 'ecu' &&
      state.kind !== 'awaiting-approval' &&
      state.tries[command.item.ecu]?.changing === true &&
      !ended.includes(command.item.ecu)
        ? noted(changes, command.step, [command.item.ecu], 'unknown')
        : changes,
    state.changes,
  );
}

/** Continues the rollback with the next ECUs, or ends the campaign: all are rolled back, or the state is mixed. */
export function rollOn(state: StateOf<'rolling-back'>): CampaignState {
  if (state.pending.length > 0) return state;
  const { campaign, cause, transfers, changes, undone, failed, attempt } = state;
  const lost = lostOf(state).length;
  if (lost > 0) {
    return {
      kind: 'safe-state',
      ...{ campaign, cause, transfers, changes, undone, failed },
      // A later attempt reports the state again only when it has brought an ECU back.
      reported: attempt > 0 && lost === state.lost,
      attempts: attempt,
    };
  }
  const details = { transfers, changes, reported: undone, errors: errorsOf(state) };
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

/** Begins another attempt to roll back the lost ECUs. */
export function recover(state: SafeState): CampaignState {
  const lost = new Set(lostOf(state));
  const { campaign, cause, transfers, changes, undone, attempts } = state;
  return rollOn({
    kind: 'rolling-back',
    ...{ campaign, cause, transfers, changes, undone },
    pending: campaign.plan.items
      .map(({ ecu }) => ecu)
      .filter((ecu) => lost.has(ecu))
      .reverse(),
    failed: {},
    tries: {},
    restarts: 0,
    attempt: attempts + 1,
    lost: lost.size,
  });
}
