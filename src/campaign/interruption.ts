// Events from outside that stop a campaign: the driver's answer, a gate, a lost condition, an operator's order.

import { assertNever } from '../core/errors.ts';
import type { EventOf } from './event.ts';
import { over } from './result.ts';
import { type CampaignState, type Cause, isPastNoReturn, type StateOf } from './state.ts';
import { undo } from './way-back.ts';

const WITHDRAWN: Cause = {
  outcome: 'USER_REJECTED',
  code: 'WITHDRAWN',
  reason: 'the driver took the approval back',
};
/** Limit of warnings per campaign, so that an event that repeats cannot fill the result. */
const MAX_WARNINGS = 32;

export function answered(state: CampaignState, event: EventOf<'answered'>): CampaignState {
  const { answer } = event;
  if (state.kind === 'staging' && answer.kind === 'withdrawn') return undo(state, WITHDRAWN);
  if (isPastNoReturn(state) && answer.kind === 'withdrawn') {
    return tooLate(state, 'the driver took the approval back after the point of no return');
  }
  if (state.kind !== 'awaiting-approval' || state.phase !== event.phase) return state;
  switch (answer.kind) {
    case 'approved':
      return approved(state);
    case 'later':
      return put(state, 'LATER', 'the driver chose a later time', answer);
    case 'timed-out':
      // The driver did not deny it: the TMU asks again later.
      return put(state, 'TIMED_OUT', 'the driver did not answer in time', {});
    case 'denied':
      return undo(state, {
        outcome: 'USER_REJECTED',
        code: 'DENIED',
        reason: 'the driver denied the update',
      });
    case 'withdrawn':
      return undo(state, WITHDRAWN);
    case 'forged':
      return undo(state, forged(answer.reason));
    case 'unreachable':
      return undo(state, {
        outcome: 'PRECONDITION_FAILED',
        code: 'APPROVAL_UNREACHABLE',
        reason: answer.reason,
      });
    default:
      return assertNever(answer);
  }
}

function approved({
  campaign,
  phase,
  staged,
  changes,
}: StateOf<'awaiting-approval'>): CampaignState {
  switch (phase) {
    case 'download':
      return { kind: 'downloading', campaign, done: [] };
    case 'install':
    case 'activate': {
      const gate = phase === 'install' ? 'stage' : 'activate';
      const begun = phase === 'activate';
      return { kind: 'staging', campaign, gate, begun, staged, changes, tries: {}, restarts: 0 };
    }
    default:
      return assertNever(phase);
  }
}

/**
 * Defers the campaign, in any phase. Staged images stay in their banks: none of them runs, and the next campaign uses
 * them.
 */
export function put(
  { campaign, staged, changes }: StateOf<'awaiting-approval'>,
  code: string,
  reason: string,
  until: { readonly untilWallMs?: number; readonly until?: 'ignition-off' },
): CampaignState {
  return over(campaign, 'DEFERRED', {
    code,
    reason,
    transfers: staged,
    changes,
    ...('untilWallMs' in until ? { untilWallMs: until.untilWallMs } : {}),
    ...('until' in until ? { until: until.until } : {}),
  });
}

export function gate(state: CampaignState, event: EventOf<'gate'>): CampaignState {
  if (state.kind !== 'staging' || state.gate !== event.gate) return state;
  const { result } = event;
  switch (result.kind) {
    case 'open': {
      if (event.gate === 'stage') return { ...state, gate: null, begun: true };
      // The point of no return: from here on it is safer to finish than to stop.
      const { campaign, staged: transfers, changes } = state;
      return {
        kind: 'activating',
        campaign,
        transfers,
        changes,
        activated: [],
        tries: {},
        restarts: 0,
      };
    }
    case 'condition':
      return undo(state, conditionFailed(result.reason));
    case 'withdrawn':
      return undo(state, WITHDRAWN);
    case 'forged':
      return undo(state, forged(result.reason));
    default:
      return assertNever(result);
  }
}

/** Handles a lost condition. It counts only while ECUs are being updated; gates check the conditions themselves. */
export function conditionLost(
  state: CampaignState,
  { condition, reason }: EventOf<'condition-lost'>,
): CampaignState {
  if (state.kind === 'staging') return undo(state, conditionFailed(reason));
  if (!isPastNoReturn(state)) return state;
  return tooLate(
    state,
    `the condition ${condition} was lost after the point of no return: the update was finished, which is the safer way`,
  );
}

export function cancelled(
  state: CampaignState,
  { order, by, reason }: EventOf<'cancelled'>,
): CampaignState {
  const cause: Cause = {
    outcome: 'USER_REJECTED',
    code: 'CANCELLED',
    reason: reason === '' ? `${by} cancelled it` : `${by} cancelled it: ${reason}`,
  };
  switch (state.kind) {
    case 'downloading':
      return over(state.campaign, cause.outcome, cause);
    case 'awaiting-approval':
    case 'staging':
      return undo(state, cause);
    case 'activating':
    case 'verifying':
    case 'committing':
      return tooLate(
        state,
        `order ${order} of ${by} to cancel it came after the point of no return`,
      );
    default:
      return state;
  }
}

/** The answer to an order to cancel. `state` is the state before the event. */
export function cancelVerdict(state: CampaignState): {
  readonly accepted: boolean;
  readonly reason: string;
} {
  switch (state.kind) {
    case 'downloading':
      return { accepted: true, reason: 'nothing was installed yet' };
    case 'awaiting-approval':
    case 'staging':
      return { accepted: true, reason: 'what was staged is forgotten, the old versions run on' };
    case 'activating':
    case 'verifying':
    case 'committing':
      return {
        accepted: false,
        reason: `the point of no return has passed (${state.kind}): to finish is the safer way`,
      };
    case 'rolling-back':
      return state.cause.code === 'CANCELLED'
        ? { accepted: true, reason: 'it is being taken back' }
        : { accepted: false, reason: `it is being taken back already: ${state.cause.reason}` };
    case 'safe-state':
      return { accepted: false, reason: 'the campaign has failed and is being taken back' };
    case 'idle':
    case 'checking':
      return { accepted: false, reason: 'the campaign is over' };
    default:
      return assertNever(state);
  }
}

function tooLate<S extends StateOf<'activating' | 'verifying' | 'committing'>>(
  state: S,
  text: string,
): S {
  const { campaign } = state;
  const { warnings } = campaign;
  if (warnings.includes(text) || warnings.length >= MAX_WARNINGS) return state;
  return { ...state, campaign: { ...campaign, warnings: [...warnings, text] } };
}

function conditionFailed(reason: string): Cause {
  return { outcome: 'PRECONDITION_FAILED', code: 'CONDITION', reason };
}

function forged(reason: string): Cause {
  return { outcome: 'SECURITY_VALIDATION_FAILED', code: 'FORGED_APPROVAL', reason };
}
