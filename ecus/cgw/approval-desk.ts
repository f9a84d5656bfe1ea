// The driver's question as a state: asked, answered, withdrawn, timed out. Pure; time comes in as numbers.

import { equalBytes } from '../../src/core/bytes.ts';
import {
  type ApprovalRequest,
  ApprovalStatus,
  UNTIL_IGNITION_OFF,
} from '../../src/vehicle/approval.ts';

export type Desk =
  | { readonly kind: 'idle' }
  | { readonly kind: 'asking'; readonly request: ApprovalRequest; readonly deadlineMs: number }
  | {
      readonly kind: 'answered';
      readonly request: ApprovalRequest;
      readonly status: Exclude<ApprovalStatus, 0>;
      /** `later`: when to ask again, seconds since 1970 or UNTIL_IGNITION_OFF; otherwise 0. */
      readonly untilUnixS: number;
      /** The TMU has closed the matter: the driver cannot withdraw an approval any more. */
      readonly settled: boolean;
    };

export type DriverAnswer =
  | { readonly kind: 'approve' }
  | { readonly kind: 'later'; readonly minutes: number }
  /** Later, when the ignition was switched off. */
  | { readonly kind: 'later-ignition' }
  | { readonly kind: 'deny' }
  /** Takes an approval back. */
  | { readonly kind: 'withdraw' }
  /** Now after all: the driver wants to be asked again. */
  | { readonly kind: 'again' };

/** Longest `later`: a week. */
export const MAX_LATER_MINUTES = 7 * 24 * 60;

export const IDLE_DESK: Desk = { kind: 'idle' };

/**
 * The start request. Asked again with the same campaign, plan and phase, an open question or a standing approval stays
 * as it is and is bound to the new nonce, so that a TMU that was restarted need not disturb the driver twice. What the
 * driver is only told of is approved at once and cannot be taken back. `busy`: another question is open.
 */
export function ask(
  desk: Desk,
  request: ApprovalRequest,
  deadlineMs: number,
  nowUnixS: number,
): { readonly desk: Desk; readonly fresh: boolean } | 'busy' {
  const same = desk.kind !== 'idle' && sameQuestion(desk.request, request);
  if (same && desk.kind === 'asking') {
    return { desk: { ...desk, request: { ...desk.request, nonce: request.nonce } }, fresh: false };
  }
  if (desk.kind === 'asking') return 'busy';
  if (isInformation(request)) {
    const told = same ? { ...desk.request, nonce: request.nonce } : request;
    return {
      desk: { ...answered(told, ApprovalStatus.approved), settled: true },
      fresh: !same,
    };
  }
  if (same && desk.kind === 'answered') {
    // The tester repeats a request whose response it lost, or was restarted before it read the answer.
    if (equalBytes(desk.request.nonce, request.nonce) && holds(desk, nowUnixS)) {
      return { desk, fresh: false };
    }
    if (desk.status === ApprovalStatus.approved && !desk.settled) {
      return {
        desk: { ...desk, request: { ...desk.request, nonce: request.nonce } },
        fresh: false,
      };
    }
  }
  return { desk: { kind: 'asking', request, deadlineMs }, fresh: true };
}

/** What the driver said; an answer that fits nothing changes nothing. */
export function answer(desk: Desk, given: DriverAnswer, wallMs: number): Desk {
  if (given.kind === 'withdraw') {
    return desk.kind === 'answered' && canWithdraw(desk)
      ? { ...desk, status: ApprovalStatus.withdrawn }
      : desk;
  }
  if (given.kind === 'again') {
    return desk.kind === 'answered' && canAskAgain(desk)
      ? { ...desk, status: ApprovalStatus.askAgain, untilUnixS: 0 }
      : desk;
  }
  if (desk.kind !== 'asking') return desk;
  switch (given.kind) {
    case 'approve':
      return answered(desk.request, ApprovalStatus.approved);
    case 'deny':
      return answered(desk.request, ApprovalStatus.denied);
    case 'later-ignition':
      return answered(desk.request, ApprovalStatus.later, UNTIL_IGNITION_OFF);
    case 'later': {
      const minutes = Math.min(MAX_LATER_MINUTES, Math.max(1, Math.round(given.minutes)));
      const untilUnixS = Math.floor(wallMs / 1000) + minutes * 60;
      return answered(desk.request, ApprovalStatus.later, untilUnixS);
    }
  }
}

/** Silence counts as not approved. */
export function expire(desk: Desk, nowMs: number): Desk {
  return desk.kind === 'asking' && nowMs >= desk.deadlineMs
    ? answered(desk.request, ApprovalStatus.timedOut)
    : desk;
}

/**
 * The stop request: an open question is withdrawn, an approval becomes final (the point of no return is reached).
 * Undefined when nothing was ever asked.
 */
export function stop(desk: Desk): Desk | undefined {
  switch (desk.kind) {
    case 'idle':
      return undefined;
    case 'asking':
      return { ...answered(desk.request, ApprovalStatus.withdrawn), settled: true };
    case 'answered':
      return { ...desk, settled: true };
  }
}

/** The driver may still take his approval back. */
export function canWithdraw(desk: Desk): boolean {
  return desk.kind === 'answered' && desk.status === ApprovalStatus.approved && !desk.settled;
}

/** The driver may ask for the question again. What the TMU has withdrawn is not waiting any more. */
export function canAskAgain(desk: Desk): boolean {
  if (desk.kind !== 'answered' || isInformation(desk.request)) return false;
  const { denied, later, timedOut, withdrawn } = ApprovalStatus;
  if (desk.status === withdrawn) return !desk.settled;
  return desk.status === denied || desk.status === later || desk.status === timedOut;
}

/** The driver is told, not asked: a forced safety release, or one that the vehicle's policy approves. */
export function isInformation({ facts }: ApprovalRequest): boolean {
  return facts.forced || facts.informOnly === true;
}

/** One campaign asks once for each phase. */
function sameQuestion(a: ApprovalRequest, b: ApprovalRequest): boolean {
  return (
    equalBytes(a.campaignId, b.campaignId) &&
    equalBytes(a.planDigest, b.planDigest) &&
    a.facts.phase === b.facts.phase &&
    a.facts.forced === b.facts.forced &&
    a.facts.informOnly === b.facts.informOnly
  );
}

/** An answer of the driver that still counts. Silence is none: whoever asks again may get one. */
function holds(desk: Extract<Desk, { kind: 'answered' }>, nowUnixS: number): boolean {
  if (desk.status === ApprovalStatus.later) return desk.untilUnixS > nowUnixS;
  return desk.status !== ApprovalStatus.timedOut && desk.status !== ApprovalStatus.askAgain;
}

function answered(
  request: ApprovalRequest,
  status: Exclude<ApprovalStatus, 0>,
  untilUnixS = 0,
): Extract<Desk, { kind: 'answered' }> {
  return { kind: 'answered', request, status, untilUnixS, settled: false };
}
