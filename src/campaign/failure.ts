// Handles a failed step and a restart of the process: another try, the rollback, or the end of the rollback.

import { isTouched, noted } from './changes.ts';
import { commandsOf } from './commands.ts';
import type { EventOf } from './event.ts';
import { owe } from './forward.ts';
import { includes, lastGroup } from './group.ts';
import { put } from './interruption.ts';
import type { CycleOutcome } from './outcome.ts';
import type { DriverErrorCode, EcuStep } from './ports.ts';
import { afterFailure, NO_TRIES } from './retry-policy.ts';
import {
  type CampaignState,
  type Forward,
  isCommitting,
  type SafeState,
  type StateOf,
} from './state.ts';
import { recover, rollOn, undo, withUnderWay } from './way-back.ts';

type WithSteps = Forward | StateOf<'rolling-back'>;

export function stepFailed(state: CampaignState, event: EventOf<'step-failed'>): CampaignState {
  if (!hasSteps(state)) return state;
  const { step, ecu, code, reason, attack } = event;
  if (!isUnderWay(state, step, ecu)) return state;
  const before = state.tries[ecu] ?? NO_TRIES;
  const { tries, again } = afterFailure(before, step, event, state.campaign.limits.retry);
  const changes = noted(state.changes, step, [ecu], event.changed);
  if (again) return { ...state, changes, tries: { ...state.tries, [ecu]: tries } };
  if (state.kind === 'rolling-back') return giveUp({ ...state, changes }, [ecu], { code, reason });
  if (isCommitting(state)) return owe(state, [ecu], reason);
  const failed = { ...state, changes };
  const outcome = outcomeOf(failed, code);
  return undo(failed, { outcome, code: attack ?? code, reason, ecu }, [ecu]);
}

function isUnderWay(state: WithSteps, step: EcuStep, ecu: string): boolean {
  return commandsOf(state).some(
    (command) => command.kind === 'ecu' && command.step === step && command.item.ecu === ecu,
  );
}

/** Notes that a step begins to change its ECU. What it has changed is unknown until it ends. */
export function changing(state: CampaignState, { step, ecu }: EventOf<'changing'>): CampaignState {
  if (!hasSteps(state) || !isUnderWay(state, step, ecu)) return state;
  const tries = state.tries[ecu] ?? NO_TRIES;
  if (tries.changing) return state;
  return { ...state, tries: { ...state.tries, [ecu]: { ...tries, changing: true } } };
}

/** The outcome of a failure. Some codes have a special outcome as long as no running software was changed. */
function outcomeOf(state: Forward, code: DriverErrorCode): CycleOutcome {
  const { items } = state.campaign.plan;
  if (items.some(({ ecu }) => isTouched(state.changes, ecu))) return 'ROLLBACK_COMPLETED';
  switch (code) {
    case 'SECURITY':
    case 'UNTRUSTED':
      return 'SECURITY_VALIDATION_FAILED';
    case 'BACKEND':
      return 'BACKEND_UNAVAILABLE';
    case 'PRECONDITION':
    case 'WRONG_HARDWARE':
    case 'IMAGE_TOO_LARGE':
    case 'IMAGE_MISPLACED':
      return 'PRECONDITION_FAILED';
    default:
      return 'ROLLBACK_COMPLETED';
  }
}

/** Gives up the rollback of these ECUs; the rollback of the others goes on. */
function giveUp(
  state: StateOf<'rolling-back'>,
  ecus: readonly string[],
  failure: SafeState['failed'][string],
): CampaignState {
  const failed = Object.fromEntries(ecus.map((ecu) => [ecu, failure]));
  return rollOn({
    ...state,
    failed: { ...state.failed, ...failed },
    pending: state.pending.filter((ecu) => !ecus.includes(ecu)),
    tries: Object.fromEntries(Object.entries(state.tries).filter(([ecu]) => !ecus.includes(ecu))),
    restarts: 0,
  });
}

export function rolledBack(state: CampaignState, event: EventOf<'rolled-back'>): CampaignState {
  if (state.kind !== 'rolling-back') return state;
  const { ecu, version, sha256, unchanged } = event;
  if (!includes(lastGroup(state.campaign.plan, state.pending), ecu)) return state;
  return rollOn({
    ...state,
    undone: { ...state.undone, [ecu]: { version, sha256, unchanged } },
    pending: state.pending.filter((name) => name !== ecu),
    tries: Object.fromEntries(Object.entries(state.tries).filter(([name]) => name !== ecu)),
    restarts: 0,
  });
}

/**
 * Handles a restart of the process. Restarts without progress are limited, so a crash at one place cannot repeat for
 * ever.
 */
export function resumed(state: CampaignState, { nonce }: EventOf<'resumed'>): CampaignState {
  if (state.kind === 'safe-state') return state.reported ? recover(state) : state;
  if (state.kind !== 'awaiting-approval' && !hasSteps(state)) return state;
  const restarts = state.restarts + 1;
  const isTooMany = restarts > state.campaign.limits.restartLimit;
  const reason = `${restarts} restarts without progress while ${state.kind}`;
  if (state.kind === 'awaiting-approval') {
    if (isTooMany) return put(state, 'INTERRUPTED', reason, {});
    // An answer to the old request (a time-out while the process was down) must not count.
    return { ...state, restarts, campaign: { ...state.campaign, nonce } };
  }
  if (!isTooMany) {
    // Meanwhile the driver may have withdrawn the approval, and the vehicle may have driven off.
    if (state.kind === 'staging') {
      const changes = withUnderWay(state);
      return { ...state, restarts, changes, gate: state.gate ?? 'stage' };
    }
    // After a restart a rollback gets all its tries again.
    return state.kind === 'rolling-back'
      ? { ...state, restarts, tries: {} }
      : { ...state, restarts, changes: withUnderWay(state) };
  }
  if (state.kind === 'rolling-back') {
    const group = lastGroup(state.campaign.plan, state.pending).map(({ ecu }) => ecu);
    return giveUp(state, group, { code: 'INTERRUPTED', reason });
  }
  if (isCommitting(state)) {
    const done = [...state.committed, ...state.uncommitted];
    const left = state.campaign.plan.items.map(({ ecu }) => ecu);
    return owe(
      state,
      left.filter((ecu) => !done.includes(ecu)),
      reason,
    );
  }
  return undo(state, { outcome: 'ROLLBACK_COMPLETED', code: 'INTERRUPTED', reason });
}

function hasSteps(state: CampaignState): state is WithSteps {
  switch (state.kind) {
    case 'staging':
    case 'activating':
    case 'verifying':
    case 'committing':
    case 'rolling-back':
      return true;
    default:
      return false;
  }
}
