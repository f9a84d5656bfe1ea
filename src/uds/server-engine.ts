// Session layer of a server without I/O, ISO 14229-1 8.7 and ISO 14229-2: S3, P2, P2*, responsePending, suppression.

import { byteAt } from '../core/bytes.ts';
import { assertNever } from '../core/errors.ts';
import { Nrc } from './nrc.ts';
import { suppressesPositive } from './request-form.ts';
import type { Reply, ServerTiming, SessionReason } from './server-types.ts';
import { Sid } from './services/all.ts';
import { NEGATIVE_RESPONSE, Session, SUPPRESS_POSITIVE_RESPONSE } from './sid.ts';

interface IncomingRequest {
  readonly message: Uint8Array;
  readonly functional: boolean;
  readonly atMs: number;
}

/** A request under way. `id` distinguishes the result of its handler from that of an older request. */
export interface Job extends IncomingRequest {
  readonly id: number;
  readonly sid: number;
  /** Bit 7 was set. */
  readonly suppress: boolean;
}

type Phase =
  | { readonly kind: 'idle' }
  /** The handler works; the next responsePending is due at `dueMs`. */
  | {
      readonly kind: 'handling';
      readonly job: Job;
      readonly dueMs: number;
      readonly pendings: number;
    }
  /** The answer is being sent; requests that overtake its confirmation wait. */
  | { readonly kind: 'sending'; readonly job: Job }
  /** The request was answered at `pendingLimitMs`, but its handler still works: all other requests get busy. */
  | { readonly kind: 'stuck'; readonly job: Job };

export interface ServerState {
  readonly session: number;
  /** Undefined while S3 does not run: in the default session, or while a request is under way. */
  readonly s3DueMs: number | undefined;
  readonly phase: Phase;
  readonly held: readonly IncomingRequest[];
  readonly nextId: number;
}

export type ServerInput =
  | { readonly kind: 'request'; readonly request: IncomingRequest }
  | { readonly kind: 'first-frame' }
  | { readonly kind: 'receive-error' }
  /** The request passed the checks; `costly`: its handler may hold the process for longer than P2. */
  | { readonly kind: 'admitted'; readonly id: number; readonly costly: boolean }
  | { readonly kind: 'settled'; readonly id: number; readonly reply: Reply }
  | { readonly kind: 'sent'; readonly id: number }
  /** The shell has run `afterSent` of the last answer; waiting requests may continue. */
  | { readonly kind: 'resume' }
  | { readonly kind: 'session'; readonly session: number; readonly reason: SessionReason }
  | { readonly kind: 'tick' };

export type ServerEffect =
  /** Check the request; feed `admitted`, or `settled` with the NRC against it. */
  | { readonly kind: 'dispatch'; readonly job: Job }
  /** Run the handler and feed `settled`. `announced`: not before the responsePending has left the process. */
  | { readonly kind: 'handle'; readonly job: Job; readonly announced: boolean }
  /** `final` names the job whose confirmation must be fed as `sent`. */
  | { readonly kind: 'send'; readonly message: Uint8Array; readonly final: number | undefined }
  /** The job is over: run its `afterSent`, then feed `resume`. */
  | { readonly kind: 'finished'; readonly id: number }
  | {
      readonly kind: 'session';
      readonly from: number;
      readonly to: number;
      readonly reason: SessionReason;
    }
  | { readonly kind: 'overdue'; readonly job: Job };

export interface ServerStep {
  readonly state: ServerState;
  readonly effects: readonly ServerEffect[];
}

/** Share of P2 or P2* after which responsePending is sent, so that it is on the bus in time. */
export const PENDING_SHARE = 0.6;
/** How many requests may overtake the confirmation of the last answer: one of each of several testers. */
const MAX_HELD = 4;

export const initialServerState: ServerState = {
  session: Session.default,
  s3DueMs: undefined,
  phase: { kind: 'idle' },
  held: [],
  nextId: 1,
};

/** When the next `tick` is due. */
export function serverDueMs(state: ServerState): number | undefined {
  return state.phase.kind === 'handling' ? state.phase.dueMs : state.s3DueMs;
}

export function negativeResponse(sid: number, nrc: Nrc): Uint8Array {
  return Uint8Array.of(NEGATIVE_RESPONSE, sid, nrc);
}

export function stepServer(
  state: ServerState,
  input: ServerInput,
  nowMs: number,
  timing: ServerTiming,
): ServerStep {
  switch (input.kind) {
    case 'request':
      return receive(state, input.request, timing);
    case 'first-frame':
      // ISO 14229-2 table 5: the start of a segmented request stops S3.
      return quiet({ ...state, s3DueMs: undefined });
    case 'receive-error':
      return quiet(state.phase.kind === 'idle' ? restartS3(state, nowMs, timing) : state);
    case 'admitted':
      return handle(state, input.id, input.costly, nowMs, timing);
    case 'settled':
      return settle(state, input.id, input.reply, nowMs, timing);
    case 'sent':
      return state.phase.kind === 'sending' && state.phase.job.id === input.id
        ? finish(state, input.id, nowMs, timing)
        : quiet(state);
    case 'resume': {
      const [next, ...held] = state.held;
      if (next === undefined || state.phase.kind !== 'idle') return quiet(state);
      return begin({ ...state, held }, next, timing);
    }
    case 'session': {
      const next = restartS3({ ...state, session: input.session }, nowMs, timing);
      return {
        state: next,
        effects: [
          { kind: 'session', from: state.session, to: input.session, reason: input.reason },
        ],
      };
    }
    case 'tick':
      return tick(state, nowMs, timing);
    default:
      return assertNever(input);
  }
}

function receive(state: ServerState, request: IncomingRequest, timing: ServerTiming): ServerStep {
  const sid = request.message[0];
  // 8.2.1: bit 6 marks responses. An answer to a response could start an endless exchange between two servers.
  if (sid === undefined || (sid & 0x40) !== 0) return quiet(state);
  if (state.phase.kind === 'idle' && state.held.length === 0) return begin(state, request, timing);
  // ISO 14229-2 7.5: this tester present is accepted at any time and needs no answer.
  if (isSilentTesterPresent(request.message)) return quiet(state);
  const waits = state.phase.kind === 'sending' || state.phase.kind === 'idle';
  if (waits && state.held.length < MAX_HELD) {
    return quiet({ ...state, held: [...state.held, request] });
  }
  return {
    state,
    effects: [
      { kind: 'send', message: negativeResponse(sid, Nrc.busyRepeatRequest), final: undefined },
    ],
  };
}

function begin(state: ServerState, request: IncomingRequest, timing: ServerTiming): ServerStep {
  const job: Job = {
    ...request,
    id: state.nextId,
    sid: byteAt(request.message, 0),
    suppress: suppressesPositive(request.message),
  };
  return {
    state: {
      ...state,
      s3DueMs: undefined,
      nextId: state.nextId + 1,
      phase: {
        kind: 'handling',
        job,
        dueMs: request.atMs + timing.p2Ms * PENDING_SHARE,
        pendings: 0,
      },
    },
    effects: [{ kind: 'dispatch', job }],
  };
}

/**
 * A timer cannot keep P2 while a handler holds the process: the responsePending of costly work leaves before it begins. A
 * suppressed answer has no P2, and a 78 would demand one; its responsePending comes from the timer.
 */
function handle(
  state: ServerState,
  id: number,
  costly: boolean,
  nowMs: number,
  timing: ServerTiming,
): ServerStep {
  const { phase } = state;
  if (phase.kind !== 'handling' || phase.job.id !== id) return quiet(state);
  const { job } = phase;
  const announced = !job.suppress && costly;
  const work: ServerEffect = { kind: 'handle', job, announced };
  if (!announced) return { state, effects: [work] };
  const pending = sendPending(state, phase, nowMs, timing);
  return { state: pending.state, effects: [...pending.effects, work] };
}

function sendPending(
  state: ServerState,
  phase: Extract<Phase, { kind: 'handling' }>,
  nowMs: number,
  timing: ServerTiming,
): ServerStep {
  const message = negativeResponse(phase.job.sid, Nrc.requestCorrectlyReceivedResponsePending);
  return {
    state: {
      ...state,
      phase: {
        ...phase,
        dueMs: nowMs + timing.p2StarMs * PENDING_SHARE,
        pendings: phase.pendings + 1,
      },
    },
    effects: [{ kind: 'send', message, final: undefined }],
  };
}

function isSilentTesterPresent(message: Uint8Array): boolean {
  return (
    message.length === 2 &&
    message[0] === Sid.testerPresent &&
    message[1] === SUPPRESS_POSITIVE_RESPONSE
  );
}

function settle(
  state: ServerState,
  id: number,
  reply: Reply,
  nowMs: number,
  timing: ServerTiming,
): ServerStep {
  const { phase } = state;
  if (phase.kind === 'stuck' && phase.job.id === id) return finish(state, id, nowMs, timing);
  if (phase.kind !== 'handling' || phase.job.id !== id) return quiet(state);
  const { job } = phase;
  if (!mustAnswer(job, reply, phase.pendings)) return finish(state, id, nowMs, timing);
  const message = 'nrc' in reply ? negativeResponse(job.sid, reply.nrc) : reply.positive;
  return {
    state: { ...state, phase: { kind: 'sending', job } },
    effects: [{ kind: 'send', message, final: id }],
  };
}

/** 8.7.2: after a responsePending an answer must follow; otherwise bit 7 and functional addressing suppress some. */
function mustAnswer(job: Job, reply: Reply, pendings: number): boolean {
  if (pendings > 0) return true;
  if (!('nrc' in reply)) return !job.suppress;
  return !job.functional || !SILENT_WHEN_FUNCTIONAL.has(reply.nrc);
}

/** Tables 4 to 8: codes that a server does not send in answer to a functional request. */
const SILENT_WHEN_FUNCTIONAL: ReadonlySet<number> = new Set([
  Nrc.serviceNotSupported,
  Nrc.subFunctionNotSupported,
  Nrc.requestOutOfRange,
  Nrc.subFunctionNotSupportedInActiveSession,
  Nrc.serviceNotSupportedInActiveSession,
]);

function finish(state: ServerState, id: number, nowMs: number, timing: ServerTiming): ServerStep {
  return {
    state: restartS3({ ...state, phase: { kind: 'idle' } }, nowMs, timing),
    effects: [{ kind: 'finished', id }],
  };
}

function tick(state: ServerState, nowMs: number, timing: ServerTiming): ServerStep {
  const { phase } = state;
  if (phase.kind === 'handling' && nowMs >= phase.dueMs) {
    const { job } = phase;
    if (nowMs - job.atMs >= timing.pendingLimitMs) {
      return {
        state: restartS3({ ...state, phase: { kind: 'stuck', job } }, nowMs, timing),
        effects: [
          { kind: 'overdue', job },
          {
            kind: 'send',
            message: negativeResponse(job.sid, Nrc.generalReject),
            final: undefined,
          },
        ],
      };
    }
    return sendPending(state, phase, nowMs, timing);
  }
  if (phase.kind !== 'handling' && state.s3DueMs !== undefined && nowMs >= state.s3DueMs) {
    return {
      state: { ...state, session: Session.default, s3DueMs: undefined },
      effects: [{ kind: 'session', from: state.session, to: Session.default, reason: 'S3' }],
    };
  }
  return quiet(state);
}

/** S3 runs in every session but the default session, from the end of an answer to the start of a request. */
function restartS3(state: ServerState, nowMs: number, timing: ServerTiming): ServerState {
  const runs =
    state.session !== Session.default &&
    (state.phase.kind === 'idle' || state.phase.kind === 'stuck');
  return { ...state, s3DueMs: runs ? nowMs + timing.s3Ms : undefined };
}

function quiet(state: ServerState): ServerStep {
  return { state, effects: [] };
}
