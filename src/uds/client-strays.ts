// Messages that do not answer the open request of the UDS client: answers to another tester, or late ones to us.

import {
  type Abandoned,
  type ClientConfig,
  type ClientEffect,
  type ClientInput,
  type ClientState,
  type ClientStep,
  type Foreign,
  type Message,
  p2Of,
  p2StarOf,
  type Waiting,
} from './client-state.ts';
import { couldAnswer, matchResponse } from './match.ts';

/**
 * Whether to receive a segmented message that begins with `start`: yes for an answer to the open request, and for a late
 * answer to a request that was given up. Without flow control the late answer would keep the ECU busy for N_Bs (1 s),
 * which is longer than P2, and the open request would seem unanswered. Any other message answers another tester, whose
 * flow control ours would disturb. Without an open request nothing is received.
 */
export function isWanted(
  { phase, abandoned }: ClientState,
  start: Uint8Array,
  nowMs: number,
): boolean {
  if (phase.kind !== 'sending' && phase.kind !== 'waiting') return false;
  if (couldAnswer(phase.asked.request, start)) return true;
  return abandoned.some(({ request, untilMs }) => nowMs <= untilMs && couldAnswer(request, start));
}

/** Drops a late answer to an older request and remembers any other message. In both cases the wait goes on. */
export function foreign(
  state: ClientState,
  phase: Waiting,
  message: Message,
  reason: string,
  config: ClientConfig,
): ClientStep {
  // The first frame of this message was taken for our answer. Our answer could not start meanwhile, so P2 starts again.
  const taken = phase.receiving === message.data.length;
  const p2Ms = p2Of(state, config);
  const dueMs = taken ? Math.max(message.atMs, phase.sentMs) + p2Ms : phase.dueMs;
  const late = lateFor(state, message.data, message.atMs);
  const next: Waiting = {
    ...phase,
    dueMs,
    receiving: taken ? undefined : phase.receiving,
    foreign: phase.foreign ?? (late ? undefined : strayOf(message.data, reason)),
  };
  // An older request that was pending will still get its answer.
  const extended = late && { ...late, untilMs: message.atMs + p2StarOf(state, config) };
  return {
    state: {
      ...state,
      phase: next,
      abandoned: state.abandoned.map((one) => (one === late && extended ? extended : one)),
    },
    effects: [late ? lateAnswer(message.data) : foreignAnswer(message.data, reason)],
  };
}

/** The older request that a message answers. */
export function lateFor(
  state: ClientState,
  message: Uint8Array,
  atMs: number,
): Abandoned | undefined {
  return state.abandoned.find(
    ({ request, untilMs }) => atMs <= untilMs && matchResponse(request, message).kind !== 'foreign',
  );
}

/**
 * A long answer that is not for us. The ECU cannot start our answer while it sends this one, so the wait is extended,
 * but only once: a tester that polls more often than P2 would otherwise extend it up to the total limit.
 */
export function unwanted(
  state: ClientState,
  { start, length, atMs }: Extract<ClientInput, { kind: 'unwanted' }>,
  config: ClientConfig,
): ClientStep {
  const late = state.abandoned.some(
    ({ request, untilMs }) => atMs <= untilMs && couldAnswer(request, start),
  );
  const reason = `a message of ${length} bytes for another tester`;
  const effects = [late ? lateAnswer(start) : foreignAnswer(start, reason)];
  const { phase } = state;
  const told = late ? undefined : { data: start, reason };
  if (phase.kind === 'sending') {
    const first = phase.foreign ?? (told && { ...told, spoiled: true });
    return { state: { ...state, phase: { ...phase, foreign: first } }, effects };
  }
  if (phase.kind !== 'waiting') return { state, effects };
  const limitMs = phase.sentMs + phase.asked.pendingLimitMs;
  const againMs = Math.min(atMs + p2Of(state, config), limitMs);
  // A request that the ECU gave up before it was complete gets no answer.
  const isDelayed = !phase.extended && phase.foreign?.spoiled !== true;
  return {
    state: {
      ...state,
      phase: {
        ...phase,
        dueMs: isDelayed ? Math.max(phase.dueMs, againMs) : phase.dueMs,
        extended: phase.extended || isDelayed,
        foreign: phase.foreign ?? told,
      },
    },
    effects,
  };
}

function strayOf(data: Uint8Array, reason: string): Foreign {
  return reason === BEFORE_COMPLETE ? { data, reason, spoiled: true } : { data, reason };
}

export const BEFORE_COMPLETE = 'it came before the request was complete';

export function lateAnswer(message: Uint8Array): ClientEffect {
  return { kind: 'discarded', answer: 'late', message, reason: 'it answers an older request' };
}

export function foreignAnswer(message: Uint8Array, reason: string): ClientEffect {
  return { kind: 'discarded', answer: 'foreign', message, reason };
}
