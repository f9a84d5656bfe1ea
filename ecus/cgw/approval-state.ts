// The state of the approval request: asked, answered, withdrawn, timed out. Pure; time is passed in as numbers.

import { equalBytes } from '../../src/core/bytes.ts';
import {
  type ApprovalRequest,
  ApprovalStatus,
  UNTIL_IGNITION_OFF,
} from '../../src/vehicle/approval.ts';
import { type DriverAnswer, MAX_LATER_MINUTES } from './driver-keys.ts';

export type ApprovalState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'asking'; readonly request: ApprovalRequest; readonly deadlineMs: number }
  | {
      readonly kind: 'answered';
      readonly request: ApprovalRequest;
      readonly status: Exclude<ApprovalStatus, 0>;
      /** `later`: when to ask again, seconds since 1970 or UNTIL_IGNITION_OFF; otherwise 0. */
      readonly untilUnixS: number;
      /** True when the TMU has closed the request: the driver cannot withdraw an approval any more. */
      readonly settled: boolean;
    };

export const IDLE_APPROVAL: ApprovalState = { kind: 'idle' };

/**
 * The start request. For the same campaign, plan and phase an open request or a standing approval stays and is bound to
 * the new nonce, so that a restarted TMU does not disturb the driver twice. An information is approved at once and
 * cannot be withdrawn. `busy`: another request is open.
 */
export function ask(
  approval: ApprovalState,
  request: ApprovalRequest,
  deadlineMs: number,
  nowUnixS: number,
): { readonly approval: ApprovalState; readonly fresh: boolean } | 'busy' {
  const same = approval.kind !== 'idle' && sameQuestion(approval.request, request);
  if (same && approval.kind === 'asking') {
    return {
      approval: { ...approval, request: { ...approval.request, nonce: request.nonce } },
      fresh: false,
    };
  }
  if (approval.kind === 'asking') return 'busy';
  if (isInformation(request)) {
    const told = same ? { ...approval.request, nonce: request.nonce } : request;
    return {
      approval: { ...answered(told, ApprovalStatus.approved), settled: true },
      fresh: !same,
    };
  }
  if (same && approval.kind === 'answered') {
    // The tester repeats a request whose response it lost, or was restarted before it read the answer.
    if (equalBytes(approval.request.nonce, request.nonce) && holds(approval, nowUnixS)) {
      return { approval, fresh: false };
    }
    if (approval.status === ApprovalStatus.approved && !approval.settled) {
      return {
        approval: { ...approval, request: { ...approval.request, nonce: request.nonce } },
        fresh: false,
      };
    }
  }
  return { approval: { kind: 'asking', request, deadlineMs }, fresh: true };
}

/** The driver's answer; an answer that does not fit the state changes nothing. */
export function answer(
  approval: ApprovalState,
  given: DriverAnswer,
  wallMs: number,
): ApprovalState {
  if (given.kind === 'withdraw') {
    return approval.kind === 'answered' && canWithdraw(approval)
      ? { ...approval, status: ApprovalStatus.withdrawn }
      : approval;
  }
  if (given.kind === 'again') {
    return approval.kind === 'answered' && canAskAgain(approval)
      ? { ...approval, status: ApprovalStatus.askAgain, untilUnixS: 0 }
      : approval;
  }
  if (approval.kind !== 'asking') return approval;
  switch (given.kind) {
    case 'approve':
      return answered(approval.request, ApprovalStatus.approved);
    case 'deny':
      return answered(approval.request, ApprovalStatus.denied);
    case 'later-ignition':
      return answered(approval.request, ApprovalStatus.later, UNTIL_IGNITION_OFF);
    case 'later': {
      const minutes = Math.min(MAX_LATER_MINUTES, Math.max(1, Math.round(given.minutes)));
      const untilUnixS = Math.floor(wallMs / 1000) + minutes * 60;
      return answered(approval.request, ApprovalStatus.later, untilUnixS);
    }
  }
}

/** Ends a request that has timed out; no answer counts as not approved. */
export function expire(approval: ApprovalState, nowMs: number): ApprovalState {
  return approval.kind === 'asking' && nowMs >= approval.deadlineMs
    ? answered(approval.request, ApprovalStatus.timedOut)
    : approval;
}

/**
 * The stop request: an open request is withdrawn, an approval becomes final (the point of no return is reached).
 * Undefined when there was no request.
 */
export function stop(approval: ApprovalState): ApprovalState | undefined {
  switch (approval.kind) {
    case 'idle':
      return undefined;
    case 'asking':
      return { ...answered(approval.request, ApprovalStatus.withdrawn), settled: true };
    case 'answered':
      return { ...approval, settled: true };
  }
}

/** Whether the driver may still withdraw the approval. */
export function canWithdraw(approval: ApprovalState): boolean {
  return (
    approval.kind === 'answered' && approval.status === ApprovalStatus.approved && !approval.settled
  );
}

/** Whether the driver can ask to be asked again. This is not possible for a request that the TMU has withdrawn. */
export function canAskAgain(approval: ApprovalState): boolean {
  if (approval.kind !== 'answered' || isInformation(approval.request)) return false;
  const { denied, later, timedOut, withdrawn } = ApprovalStatus;
  if (approval.status === withdrawn) return !approval.settled;
  return approval.status === denied || approval.status === later || approval.status === timedOut;
}

/** Whether the request only informs the driver: a forced safety release, or one that the vehicle's policy approves. */
export function isInformation({ facts }: ApprovalRequest): boolean {
  return facts.forced || facts.informOnly === true;
}

/** Whether two requests are the same: a campaign asks once for each phase. */
function sameQuestion(a: ApprovalRequest, b: ApprovalRequest): boolean {
  return (
    equalBytes(a.campaignId, b.campaignId) &&
    equalBytes(a.planDigest, b.planDigest) &&
    a.facts.phase === b.facts.phase &&
    a.facts.forced === b.facts.forced &&
    a.facts.informOnly === b.facts.informOnly
  );
}

/** Whether an answer of the driver still counts. A time-out is no answer: the next request may get one. */
function holds(approval: Extract<ApprovalState, { kind: 'answered' }>, nowUnixS: number): boolean {
  if (approval.status === ApprovalStatus.later) return approval.untilUnixS > nowUnixS;
  return approval.status !== ApprovalStatus.timedOut && approval.status !== ApprovalStatus.askAgain;
}

function answered(
  request: ApprovalRequest,
  status: Exclude<ApprovalStatus, 0>,
  untilUnixS = 0,
): Extract<ApprovalState, { kind: 'answered' }> {
  return { kind: 'answered', request, status, untilUnixS, settled: false };
}
