// One request at a time without I/O, ISO 14229-2: P2 and P2* of the client, responsePending, late answers, S3.

import { assertNever } from '../core/errors.ts';
import type { NResult, SendResult } from '../isotp/connection.ts';
import { matchResponse } from './match.ts';
import { Nrc } from './nrc.ts';
import type { UdsReply } from './reply.ts';
import { suppressesPositive } from './request-form.ts';
import { Sid, SUPPRESS_POSITIVE_RESPONSE } from './sid.ts';

export interface ClientTiming {
  /** P2client: from the end of the request to the start of the answer. */
  readonly p2Ms: number;
  /** P2*client: from a responsePending to the next one or the start of the answer. */
  readonly p2StarMs: number;
  /** Longest total wait although the ECU keeps saying responsePending. */
  readonly pendingLimitMs: number;
}

/** What to do about busyRepeatRequest (0x21): ask again `times` times, each `delayMs` later. */
export interface BusyRetry {
  readonly times: number;
  readonly delayMs: number;
}

export interface ClientConfig {
  readonly timing: ClientTiming;
  readonly busyRetry: BusyRetry;
  /** S3client: 2000 ms. */
  readonly s3Ms: number;
  /** Tester present goes to all ECUs at its own pace; otherwise to this one, between requests. */
  readonly functionalKeepAlive: boolean;
}

interface Message {
  readonly data: Uint8Array;
  readonly atMs: number;
}

interface Asked {
  /** Of this attempt: confirmations of older ones are told apart by it. */
  readonly id: number;
  readonly request: Uint8Array;
  readonly pendingLimitMs: number;
  readonly retriesLeft: number;
}

interface Waiting {
  readonly kind: 'waiting';
  readonly asked: Asked;
  readonly sentMs: number;
  readonly timer: 'P2' | 'P2*';
  readonly dueMs: number;
  /** A first frame has come: the deadline is the one of the whole wait. */
  readonly receiving: boolean;
  /** The ECU has said responsePending: an answer must follow, suppressed or not. */
  readonly pended: boolean;
  /** The first message that answers nothing we asked, told when nothing better comes. */
  readonly foreign: { readonly data: Uint8Array; readonly reason: string } | undefined;
}

type Phase =
  | { readonly kind: 'idle' }
  /** Messages that overtake the confirmation are judged when it is here. */
  | {
      readonly kind: 'sending';
      readonly asked: Asked;
      readonly early: readonly Message[];
      readonly firstFrameMs: number | undefined;
    }
  | Waiting
  | { readonly kind: 'backing-off'; readonly asked: Asked; readonly dueMs: number };

/** A request that ended without its answer, which may still come. */
interface Abandoned {
  readonly request: Uint8Array;
  readonly untilMs: number;
}

export interface ClientState {
  readonly phase: Phase;
  readonly abandoned: readonly Abandoned[];
  /** Undefined: nobody wants the session kept. */
  readonly keepAliveDueMs: number | undefined;
  readonly nextId: number;
}

export type ClientInput =
  | { readonly kind: 'request'; readonly request: Uint8Array; readonly pendingLimitMs: number }
  | { readonly kind: 'sent'; readonly id: number; readonly result: SendResult }
  | { readonly kind: 'response'; readonly message: Uint8Array; readonly atMs: number }
  | { readonly kind: 'first-frame'; readonly atMs: number }
  | { readonly kind: 'receive-error'; readonly result: NResult; readonly reason: string }
  | { readonly kind: 'abort'; readonly reason: string }
  | { readonly kind: 'keep-alive'; readonly on: boolean }
  | { readonly kind: 'tick' };

export type ClientEffect =
  /** Send, then feed `sent` with this id. */
  | { readonly kind: 'send'; readonly id: number; readonly message: Uint8Array }
  | { readonly kind: 'settle'; readonly reply: UdsReply }
  /** Send 3E 80; its confirmation is of no interest. */
  | { readonly kind: 'tester-present' }
  | { readonly kind: 'discarded'; readonly message: Uint8Array; readonly reason: string };

export interface ClientStep {
  readonly state: ClientState;
  readonly effects: readonly ClientEffect[];
}

/** The stamps of an echo and of a received frame may differ by this much. */
const EARLY_MS = 2;
/** Of abandoned requests: more than these are forgotten, oldest first. */
const MAX_ABANDONED = 8;
/** 3E 80 */
export const TESTER_PRESENT = Uint8Array.of(Sid.testerPresent, SUPPRESS_POSITIVE_RESPONSE);

export const initialClientState: ClientState = {
  phase: { kind: 'idle' },
  abandoned: [],
  keepAliveDueMs: undefined,
  nextId: 1,
};

/** When the next `tick` is due, and the standard's name of what runs out then. */
export function clientDue(
  state: ClientState,
  config: ClientConfig,
): { readonly dueMs: number; readonly name: string } | undefined {
  const { phase } = state;
  const own =
    phase.kind === 'waiting'
      ? { dueMs: phase.dueMs, name: phase.timer === 'P2' ? 'P2client' : 'P2*client' }
      : phase.kind === 'backing-off'
        ? { dueMs: phase.dueMs, name: 'busy-retry' }
        : undefined;
  const { keepAliveDueMs } = state;
  if (keepAliveDueMs === undefined) return own;
  if (!config.functionalKeepAlive && phase.kind !== 'idle') return own;
  if (own !== undefined && own.dueMs <= keepAliveDueMs) return own;
  return { dueMs: keepAliveDueMs, name: 'S3client' };
}

export function stepClient(
  state: ClientState,
  input: ClientInput,
  nowMs: number,
  config: ClientConfig,
): ClientStep {
  switch (input.kind) {
    case 'request':
      if (state.phase.kind !== 'idle') throw new Error('one request at a time');
      return ask(state, input.request, input.pendingLimitMs, config.busyRetry.times);
    case 'sent':
      return confirm(state, input.id, input.result, nowMs, config);
    case 'response':
      return receive(state, { data: input.message, atMs: input.atMs }, nowMs, config);
    case 'first-frame':
      return quiet(stopP2(state, input.atMs));
    case 'receive-error':
      if (state.phase.kind !== 'waiting') return quiet(state);
      return abandon(
        state,
        state.phase.asked,
        { kind: 'transport', result: input.result, reason: input.reason },
        nowMs,
        config,
      );
    case 'abort':
      if (state.phase.kind === 'idle') return quiet(state);
      return abandon(
        state,
        state.phase.asked,
        { kind: 'transport', result: 'CLOSED', reason: input.reason },
        nowMs,
        config,
      );
    case 'keep-alive':
      if ((state.keepAliveDueMs !== undefined) === input.on) return quiet(state);
      return quiet({ ...state, keepAliveDueMs: input.on ? nowMs + config.s3Ms : undefined });
    case 'tick':
      return tick(state, nowMs, config);
    default:
      return assertNever(input);
  }
}

function ask(
  state: ClientState,
  request: Uint8Array,
  pendingLimitMs: number,
  retriesLeft: number,
): ClientStep {
  const asked: Asked = { id: state.nextId, request, pendingLimitMs, retriesLeft };
  return {
    state: {
      ...state,
      nextId: state.nextId + 1,
      phase: { kind: 'sending', asked, early: [], firstFrameMs: undefined },
    },
    effects: [{ kind: 'send', id: asked.id, message: request }],
  };
}

/** P2 starts here, at the time on the wire, not when we heard of it. */
function confirm(
  state: ClientState,
  id: number,
  result: SendResult,
  nowMs: number,
  config: ClientConfig,
): ClientStep {
  const { phase } = state;
  if (phase.kind !== 'sending' || phase.asked.id !== id) return quiet(state);
  if (result.result !== 'N_OK') {
    return end(
      state,
      { kind: 'transport', result: result.result, reason: result.reason },
      nowMs,
      config,
    );
  }
  let next: ClientStep = quiet({
    ...state,
    phase: {
      kind: 'waiting',
      asked: phase.asked,
      sentMs: result.atMs,
      timer: 'P2',
      dueMs: result.atMs + config.timing.p2Ms,
      receiving: false,
      pended: false,
      foreign: undefined,
    },
  });
  if (phase.firstFrameMs !== undefined) next = quiet(stopP2(next.state, phase.firstFrameMs));
  for (const message of phase.early) {
    const step =
      message.atMs < result.atMs - EARLY_MS
        ? discard(next.state, message.data, 'it came before the request was complete')
        : receive(next.state, message, nowMs, config);
    next = { state: step.state, effects: [...next.effects, ...step.effects] };
  }
  return next;
}

function receive(
  state: ClientState,
  message: Message,
  nowMs: number,
  config: ClientConfig,
): ClientStep {
  const { phase } = state;
  if (phase.kind === 'sending') {
    return quiet({ ...state, phase: { ...phase, early: [...phase.early, message] } });
  }
  if (phase.kind !== 'waiting') return discard(state, message.data, 'nothing was asked');
  const match = matchResponse(phase.asked.request, message.data);
  switch (match.kind) {
    case 'positive':
      return end(
        state,
        { kind: 'positive', data: message.data, atMs: message.atMs },
        nowMs,
        config,
      );
    case 'negative':
      return refused(state, phase, match.nrc, nowMs, config);
    case 'malformed':
      return end(
        state,
        { kind: 'malformed', data: message.data, reason: match.reason },
        nowMs,
        config,
      );
    case 'pending': {
      const limitMs = phase.sentMs + phase.asked.pendingLimitMs;
      const dueMs = Math.min(message.atMs + config.timing.p2StarMs, limitMs);
      return quiet({
        ...state,
        phase: { ...phase, timer: 'P2*', dueMs, receiving: false, pended: true },
      });
    }
    case 'foreign':
      return foreign(state, phase, message, match.reason, config);
    default:
      return assertNever(match);
  }
}

function refused(
  state: ClientState,
  phase: Waiting,
  nrc: number,
  nowMs: number,
  config: ClientConfig,
): ClientStep {
  if (nrc === Nrc.busyRepeatRequest && phase.asked.retriesLeft > 0) {
    return quiet({
      ...state,
      phase: {
        kind: 'backing-off',
        asked: phase.asked,
        dueMs: nowMs + config.busyRetry.delayMs,
      },
    });
  }
  return end(state, { kind: 'negative', sid: phase.asked.request[0]!, nrc }, nowMs, config);
}

/** A late answer to an older request is dropped; anything else is remembered. Either way we go on waiting. */
function foreign(
  state: ClientState,
  phase: Waiting,
  message: Message,
  reason: string,
  config: ClientConfig,
): ClientStep {
  // While the other message was on the bus, ours could not start: it gets its full time again.
  const dueMs = phase.receiving
    ? Math.max(message.atMs + config.timing.p2Ms, phase.sentMs + config.timing.p2Ms)
    : phase.dueMs;
  const late = state.abandoned.find(
    ({ request, untilMs }) =>
      message.atMs <= untilMs && matchResponse(request, message.data).kind !== 'foreign',
  );
  const next: Waiting = {
    ...phase,
    dueMs,
    receiving: false,
    foreign: phase.foreign ?? (late ? undefined : { data: message.data, reason }),
  };
  // An older request that is still pending has its answer yet to come.
  const extended = late && { ...late, untilMs: message.atMs + config.timing.p2StarMs };
  return {
    state: {
      ...state,
      phase: next,
      abandoned: state.abandoned.map((one) => (one === late && extended ? extended : one)),
    },
    effects: [
      {
        kind: 'discarded',
        message: message.data,
        reason: late ? 'it answers an older request' : reason,
      },
    ],
  };
}

/** ISO 14229-2 table 4: the start of a segmented answer stops P2 and P2*; its end is N_Cr's business. */
function stopP2(state: ClientState, atMs: number): ClientState {
  const { phase } = state;
  if (phase.kind === 'sending') return { ...state, phase: { ...phase, firstFrameMs: atMs } };
  if (phase.kind !== 'waiting' || atMs < phase.sentMs) return state;
  const dueMs = Math.max(phase.dueMs, phase.sentMs + phase.asked.pendingLimitMs);
  return { ...state, phase: { ...phase, receiving: true, dueMs } };
}

function tick(state: ClientState, nowMs: number, config: ClientConfig): ClientStep {
  const { phase } = state;
  const due = clientDue(state, config);
  if (due === undefined || nowMs < due.dueMs) return quiet(state);
  if (due.name === 'S3client') {
    return {
      // 3E 80 to one ECU may be refused: such an answer must not be taken for the one to the next request.
      state: {
        ...(config.functionalKeepAlive
          ? state
          : remember(state, TESTER_PRESENT, nowMs + config.timing.p2StarMs)),
        keepAliveDueMs: nowMs + config.s3Ms,
      },
      effects: [{ kind: 'tester-present' }],
    };
  }
  if (phase.kind === 'backing-off') {
    const { request, pendingLimitMs, retriesLeft } = phase.asked;
    return ask(state, request, pendingLimitMs, retriesLeft - 1);
  }
  if (phase.kind !== 'waiting') return quiet(state);
  if (phase.foreign !== undefined) {
    return abandon(state, phase.asked, { kind: 'unexpected', ...phase.foreign }, nowMs, config);
  }
  if (!phase.pended && !phase.receiving && suppressesPositive(phase.asked.request)) {
    return abandon(state, phase.asked, { kind: 'suppressed' }, nowMs, config);
  }
  const waitedMs = nowMs - phase.sentMs;
  return abandon(
    state,
    phase.asked,
    { kind: 'silent', timer: phase.timer, waitedMs },
    nowMs,
    config,
  );
}

/** Ends the request but remembers it: its answer may still come. */
function abandon(
  state: ClientState,
  asked: Asked,
  reply: UdsReply,
  nowMs: number,
  config: ClientConfig,
): ClientStep {
  const untilMs = nowMs + config.timing.p2StarMs + config.timing.p2Ms;
  return end(remember(state, asked.request, untilMs), reply, nowMs, config);
}

function remember(state: ClientState, request: Uint8Array, untilMs: number): ClientState {
  return { ...state, abandoned: [...state.abandoned, { request, untilMs }].slice(-MAX_ABANDONED) };
}

function end(state: ClientState, reply: UdsReply, nowMs: number, config: ClientConfig): ClientStep {
  // Every request keeps the session of this one ECU; a functional tester present serves others, too.
  const restart = state.keepAliveDueMs !== undefined && !config.functionalKeepAlive;
  return {
    state: {
      ...state,
      abandoned: state.abandoned.filter(({ untilMs }) => untilMs >= nowMs),
      keepAliveDueMs: restart ? nowMs + config.s3Ms : state.keepAliveDueMs,
      phase: { kind: 'idle' },
    },
    effects: [{ kind: 'settle', reply }],
  };
}

function discard(state: ClientState, message: Uint8Array, reason: string): ClientStep {
  return { state, effects: [{ kind: 'discarded', message, reason }] };
}

function quiet(state: ClientState): ClientStep {
  return { state, effects: [] };
}
