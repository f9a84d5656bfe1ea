// One request at a time without I/O, ISO 14229-2: P2 and P2* of the client, responsePending, abandoned requests, S3.

import { byteAt } from '../core/bytes.ts';
import { assertNever } from '../core/errors.ts';
import type { SendResult } from '../isotp/connection.ts';
import {
  type Asked,
  type ClientConfig,
  type ClientEffect,
  type ClientInput,
  type ClientState,
  type ClientStep,
  type Message,
  type Phase,
  p2Of,
  p2StarOf,
  type Waiting,
} from './client-state.ts';
import {
  BEFORE_COMPLETE,
  foreign,
  foreignAnswer,
  lateAnswer,
  lateFor,
  unwanted,
} from './client-strays.ts';
import { matchResponse } from './match.ts';
import type { UdsReply } from './reply.ts';
import { suppressesPositive } from './request-form.ts';
import { Sid } from './services/all.ts';
import { toldAfter } from './session-timing.ts';
import { SUPPRESS_POSITIVE_RESPONSE } from './sid.ts';

/** How much the time stamps of an echo and of a received frame may differ. */
const EARLY_MS = 2;
/** How many abandoned requests are remembered; older ones are forgotten. */
const MAX_ABANDONED = 8;
/** 3E 80 */
export const TESTER_PRESENT = Uint8Array.of(Sid.testerPresent, SUPPRESS_POSITIVE_RESPONSE);

/** When the next `tick` is due, and the standard's name of the timer that ends then. */
export function clientDue(
  state: ClientState,
): { readonly dueMs: number; readonly name: string } | undefined {
  const { phase } = state;
  const own =
    phase.kind === 'waiting'
      ? { dueMs: phase.dueMs, name: phase.timer === 'P2' ? 'P2client' : 'P2*client' }
      : undefined;
  const { keepAlive } = state;
  if (keepAlive === undefined) return own;
  if (keepAlive.whom === 'this-ecu' && phase.kind !== 'idle') return own;
  if (own !== undefined && own.dueMs <= keepAlive.dueMs) return own;
  return { dueMs: keepAlive.dueMs, name: 'S3client' };
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
      return ask(state, input.request, input.pendingLimitMs);
    case 'sent':
      return confirm(state, input.id, input.result, nowMs, config);
    case 'response':
      return receive(state, { data: input.message, atMs: input.atMs }, nowMs, config);
    case 'first-frame':
      return quiet(stopP2(state, input.length, input.atMs));
    case 'unwanted':
      return unwanted(state, input, config);
    case 'receive-error':
      return receiveError(state, input, nowMs, config);
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
      if ((state.keepAlive?.whom ?? 'off') === input.whom) return quiet(state);
      return quiet({
        ...state,
        keepAlive:
          input.whom === 'off' ? undefined : { whom: input.whom, dueMs: nowMs + config.s3Ms },
      });
    case 'tick':
      return tick(state, nowMs, config);
    default:
      return assertNever(input);
  }
}

function ask(state: ClientState, request: Uint8Array, pendingLimitMs: number): ClientStep {
  const asked: Asked = { id: state.nextId, request, pendingLimitMs };
  return {
    state: {
      ...state,
      nextId: state.nextId + 1,
      phase: { kind: 'sending', asked, early: [], firstFrame: undefined, foreign: undefined },
    },
    effects: [{ kind: 'send', id: asked.id, message: request }],
  };
}

/** Starts P2 at the time of the request on the wire, not when its confirmation arrived here. */
function confirm(
  state: ClientState,
  id: number,
  result: SendResult,
  nowMs: number,
  config: ClientConfig,
): ClientStep {
  const { phase } = state;
  if (phase.kind !== 'sending' || phase.asked.id !== id) return quiet(state);
  if (result.result !== 'N_OK') return unsent(state, phase, result, nowMs, config);
  let next: ClientStep = quiet({
    ...state,
    phase: {
      kind: 'waiting',
      asked: phase.asked,
      sentMs: result.atMs,
      timer: 'P2',
      dueMs: result.atMs + p2Of(state, config),
      receiving: undefined,
      pended: false,
      extended: false,
      foreign: phase.foreign,
    },
  });
  const { firstFrame } = phase;
  if (firstFrame !== undefined) {
    next = quiet(stopP2(next.state, firstFrame.length, firstFrame.atMs));
  }
  for (const message of phase.early) {
    const waiting = next.state.phase;
    const step =
      message.atMs < result.atMs - EARLY_MS && waiting.kind === 'waiting'
        ? foreign(next.state, waiting, message, BEFORE_COMPLETE, config)
        : receive(next.state, message, nowMs, config);
    next = { state: step.state, effects: [...next.effects, ...step.effects] };
  }
  return next;
}

/** ISO 15765-2: another tester's request in between makes the ECU give up our segmented one, and then it stays silent. */
function unsent(
  state: ClientState,
  phase: Extract<Phase, { kind: 'sending' }>,
  { result, reason }: SendResult,
  nowMs: number,
  config: ClientConfig,
): ClientStep {
  const early = phase.early.find(({ data, atMs }) => lateFor(state, data, atMs) === undefined);
  const served = phase.foreign ?? (early && { data: early.data, reason: BEFORE_COMPLETE });
  const reply: UdsReply =
    result === 'N_TIMEOUT_Bs' && served !== undefined
      ? {
          kind: 'unexpected',
          data: served.data,
          reason: `${served.reason}, and the ECU did not take our whole request: ${reason}`,
          spoiled: true,
        }
      : { kind: 'transport', result, reason };
  const dropped = phase.early.map(({ data, atMs }): ClientEffect => {
    const late = lateFor(state, data, atMs) !== undefined;
    return late ? lateAnswer(data) : foreignAnswer(data, BEFORE_COMPLETE);
  });
  const step = end(state, reply, nowMs, config);
  return { state: step.state, effects: [...dropped, ...step.effects] };
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
  if (phase.kind !== 'waiting') {
    const late = lateFor(state, message.data, message.atMs) !== undefined;
    return {
      state,
      effects: [
        late ? lateAnswer(message.data) : foreignAnswer(message.data, 'no request is open'),
      ],
    };
  }
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
      const dueMs = Math.min(message.atMs + p2StarOf(state, config), limitMs);
      return quiet({
        ...state,
        phase: { ...phase, timer: 'P2*', dueMs, receiving: undefined, pended: true },
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
  const sid = byteAt(phase.asked.request, 0);
  const pended = phase.pended ? ({ pended: true } as const) : {};
  return end(state, { kind: 'negative', sid, nrc, ...pended }, nowMs, config);
}

/** Ends the request only if its own answer was lost. */
function receiveError(
  state: ClientState,
  { result, reason }: Extract<ClientInput, { kind: 'receive-error' }>,
  nowMs: number,
  config: ClientConfig,
): ClientStep {
  const { phase } = state;
  if (phase.kind === 'sending') {
    return quiet({ ...state, phase: { ...phase, firstFrame: undefined } });
  }
  if (phase.kind !== 'waiting') return quiet(state);
  // The frame that came in between may be the answer; it is handled next.
  if (result === 'N_UNEXP_PDU') {
    const dueMs = nowMs + (phase.timer === 'P2' ? p2Of(state, config) : p2StarOf(state, config));
    return quiet({ ...state, phase: { ...phase, receiving: undefined, dueMs } });
  }
  // The lost message answered an older request. A message above our limit is refused at its first frame.
  if (phase.receiving === undefined && result !== 'N_BUFFER_OVFLW') return quiet(state);
  return abandon(state, phase.asked, { kind: 'transport', result, reason }, nowMs, config);
}

/** ISO 14229-2 table 4: the start of a segmented answer stops P2 and P2*; from then on N_Cr watches the answer. */
function stopP2(state: ClientState, length: number, atMs: number): ClientState {
  const { phase } = state;
  if (phase.kind === 'sending') {
    return { ...state, phase: { ...phase, firstFrame: { length, atMs } } };
  }
  if (phase.kind !== 'waiting' || atMs < phase.sentMs) return state;
  const dueMs = Math.max(phase.dueMs, phase.sentMs + phase.asked.pendingLimitMs);
  return { ...state, phase: { ...phase, receiving: length, dueMs } };
}

function tick(state: ClientState, nowMs: number, config: ClientConfig): ClientStep {
  const { phase } = state;
  const due = clientDue(state);
  if (due === undefined || nowMs < due.dueMs) return quiet(state);
  if (due.name === 'S3client' && state.keepAlive !== undefined) {
    const { whom } = state.keepAlive;
    return {
      // 3E 80 to one ECU may be refused: that answer must not be taken for the answer to the next request.
      state: {
        ...(whom === 'all-ecus'
          ? state
          : remember(state, TESTER_PRESENT, nowMs + p2StarOf(state, config))),
        keepAlive: { whom, dueMs: nowMs + config.s3Ms },
      },
      effects: [{ kind: 'tester-present', whom }],
    };
  }
  if (phase.kind !== 'waiting') return quiet(state);
  if (phase.foreign !== undefined) {
    return abandon(state, phase.asked, { kind: 'unexpected', ...phase.foreign }, nowMs, config);
  }
  if (!phase.pended && phase.receiving === undefined && suppressesPositive(phase.asked.request)) {
    return abandon(state, phase.asked, { kind: 'suppressed' }, nowMs, config);
  }
  const waitedMs = nowMs - phase.sentMs;
  const isStillPending =
    phase.pended && phase.receiving === undefined && waitedMs >= phase.asked.pendingLimitMs;
  const pending = isStillPending ? ({ pending: true } as const) : {};
  return abandon(
    state,
    phase.asked,
    { kind: 'silent', timer: phase.timer, waitedMs, ...pending },
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
  const untilMs = nowMs + p2StarOf(state, config) + p2Of(state, config);
  return end(remember(state, asked.request, untilMs), reply, nowMs, config);
}

function remember(state: ClientState, request: Uint8Array, untilMs: number): ClientState {
  return { ...state, abandoned: [...state.abandoned, { request, untilMs }].slice(-MAX_ABANDONED) };
}

function end(state: ClientState, reply: UdsReply, nowMs: number, config: ClientConfig): ClientStep {
  // Every request keeps the session of this ECU, but a functional tester present keeps those of other ECUs, too.
  const { phase } = state;
  const request = phase.kind === 'idle' ? undefined : phase.asked.request;
  return {
    state: {
      ...state,
      abandoned: state.abandoned.filter(({ untilMs }) => untilMs >= nowMs),
      keepAlive:
        state.keepAlive?.whom === 'this-ecu'
          ? { whom: 'this-ecu', dueMs: nowMs + config.s3Ms }
          : state.keepAlive,
      told: request === undefined ? state.told : toldAfter(state.told, request, reply),
      phase: { kind: 'idle' },
    },
    effects: [{ kind: 'settle', reply }],
  };
}

function quiet(state: ClientState): ClientStep {
  return { state, effects: [] };
}
