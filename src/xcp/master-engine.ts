// One command at a time of an XCP master, without I/O: time-outs, SYNCH and repeats as XCP 1.0 part 2 has them.

import { byteAt } from '../core/bytes.ts';
import { assertNever } from '../core/errors.ts';
import { EV_CMD_PENDING, PacketId, type XcpTimer } from './commands.ts';
import { isBusyError, XcpError } from './errors.ts';

/** A command, and how it is repeated when its answer is lost. */
export interface XcpRequest {
  readonly bytes: Uint8Array;
  readonly timer: XcpTimer;
  /** How often it is sent, the first time included. Between two tries comes SYNCH. */
  readonly tries: number;
  /** Commands that come between SYNCH and the repeat: a SET_MTA for a command that moves the address on. */
  readonly before?: readonly Uint8Array[];
}

export type XcpReply =
  | { readonly kind: 'positive'; readonly data: Uint8Array; readonly atMs: number }
  /** `repeated`: an earlier try was lost; the slave may have carried it out. */
  | { readonly kind: 'error'; readonly code: number; readonly repeated: boolean }
  /** The slave has said that it is busy for longer than is allowed. */
  | { readonly kind: 'busy'; readonly code: number; readonly waitedMs: number }
  | {
      readonly kind: 'silent';
      readonly timer: XcpTimer;
      readonly waitedMs: number;
      readonly tries: number;
    }
  /** `closed`: the bus is down, or the caller has stopped. */
  | { readonly kind: 'transport'; readonly reason: string; readonly closed: boolean };

/** Time-outs of XCP 1.0 part 2 clause 1.1.3 and the limits of patience, ms. */
export interface XcpTiming {
  readonly t1Ms: number;
  readonly t3Ms: number;
  readonly t4Ms: number;
  readonly t5Ms: number;
  readonly t6Ms: number;
  readonly t7Ms: number;
  /** Longest total wait while the slave says that it is busy, or asks for more time (EV_CMD_PENDING). */
  readonly busyLimitMs: number;
}

export type MasterInput =
  | { readonly kind: 'ask'; readonly request: XcpRequest }
  | { readonly kind: 'sent'; readonly id: number; readonly atMs: number }
  | { readonly kind: 'unsent'; readonly id: number; readonly reason: string }
  | { readonly kind: 'received'; readonly data: Uint8Array; readonly atMs: number }
  | { readonly kind: 'abort'; readonly reason: string }
  | { readonly kind: 'tick' };

export type MasterEffect =
  | { readonly kind: 'send'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly kind: 'settle'; readonly reply: XcpReply }
  /** A packet that answers nothing. */
  | { readonly kind: 'stray'; readonly data: Uint8Array; readonly reason: string };

interface Packet {
  readonly data: Uint8Array;
  readonly atMs: number;
}

interface Asked {
  readonly request: XcpRequest;
  /** How often the command itself was sent. */
  readonly tries: number;
  readonly beganMs: number;
  readonly busySinceMs: number | undefined;
}

/** What is on its way: the command, SYNCH before a repeat, or what comes behind SYNCH. */
type Part =
  | { readonly kind: 'command' }
  | { readonly kind: 'synch'; readonly tries: number }
  | { readonly kind: 'before'; readonly index: number };

type Phase =
  | { readonly kind: 'idle' }
  | {
      readonly kind: 'sending';
      readonly asked: Asked;
      readonly part: Part;
      readonly id: number;
      /** Packets that came before the confirmation of our frame. */
      readonly early: readonly Packet[];
    }
  | {
      readonly kind: 'waiting';
      readonly asked: Asked;
      readonly part: Part;
      readonly sentMs: number;
      readonly dueMs: number;
    }
  | { readonly kind: 'pausing'; readonly asked: Asked; readonly dueMs: number };

export interface MasterState {
  readonly nextId: number;
  readonly phase: Phase;
  /** The answer to an abandoned command may still come, and no answer names its command: SYNCH comes first. */
  readonly doubtful: boolean;
}

export interface MasterStep {
  readonly state: MasterState;
  readonly effects: readonly MasterEffect[];
}

export const initialMasterState: MasterState = {
  nextId: 0,
  phase: { kind: 'idle' },
  doubtful: false,
};

/** How much the time stamps of an echo and of a received frame may differ. */
const EARLY_MS = 2;
const SYNCH_TRIES = 3;
const SYNCH = Uint8Array.of(0xfc);
const CONNECT = 0xff;

/** When the next `tick` is due, and the standard's name of the timer that ends then. */
export function masterDue(
  state: MasterState,
): { readonly dueMs: number; readonly name: string } | undefined {
  const { phase } = state;
  if (phase.kind === 'pausing') return { dueMs: phase.dueMs, name: 'T7' };
  if (phase.kind !== 'waiting') return undefined;
  return { dueMs: phase.dueMs, name: timerFor(phase.asked, phase.part) };
}

export function stepMaster(
  state: MasterState,
  input: MasterInput,
  nowMs: number,
  timing: XcpTiming,
): MasterStep {
  switch (input.kind) {
    case 'ask':
      if (state.phase.kind !== 'idle') throw new Error('one command at a time');
      return begin(state, input.request, nowMs);
    case 'sent':
      return confirmed(state, input.id, input.atMs, nowMs, timing);
    case 'unsent':
      return unsent(state, input.id, input.reason);
    case 'received':
      return received(state, { data: input.data, atMs: input.atMs }, nowMs, timing);
    case 'abort':
      if (state.phase.kind === 'idle') return quiet(state);
      return end({ ...state, doubtful: true }, transport(input.reason, true));
    case 'tick':
      return tick(state, nowMs);
    default:
      return assertNever(input);
  }
}

function begin(state: MasterState, request: XcpRequest, nowMs: number): MasterStep {
  const asked: Asked = { request, tries: 0, beganMs: nowMs, busySinceMs: undefined };
  const isSynch = byteAt(request.bytes, 0) === byteAt(SYNCH, 0);
  // CONNECT begins a new session, and is repeated until it is answered.
  const isConnect = byteAt(request.bytes, 0) === CONNECT;
  const first: Part =
    isSynch || (state.doubtful && !isConnect) ? { kind: 'synch', tries: 1 } : { kind: 'command' };
  return send(state, asked, first);
}

function send(state: MasterState, asked: Asked, part: Part): MasterStep {
  const id = state.nextId;
  const tries = asked.tries + (part.kind === 'command' ? 1 : 0);
  return {
    state: {
      ...state,
      nextId: id + 1,
      phase: { kind: 'sending', asked: { ...asked, tries }, part, id, early: [] },
    },
    effects: [{ kind: 'send', id, bytes: bytesOf(asked, part) }],
  };
}

function bytesOf({ request }: Asked, part: Part): Uint8Array {
  if (part.kind === 'synch') return SYNCH;
  return (part.kind === 'before' ? request.before?.[part.index] : undefined) ?? request.bytes;
}

function timerFor({ request }: Asked, part: Part): XcpTimer {
  return part.kind === 'command' ? request.timer : 'T1';
}

function timeoutMs(timer: XcpTimer, timing: XcpTiming): number {
  switch (timer) {
    case 'T1':
      return timing.t1Ms;
    case 'T3':
      return timing.t3Ms;
    case 'T4':
      return timing.t4Ms;
    case 'T5':
      return timing.t5Ms;
    case 'T6':
      return timing.t6Ms;
    default:
      return assertNever(timer);
  }
}

/** The time-out begins when the frame was on the wire. */
function confirmed(
  state: MasterState,
  id: number,
  atMs: number,
  nowMs: number,
  timing: XcpTiming,
): MasterStep {
  const { phase } = state;
  if (phase.kind !== 'sending' || phase.id !== id) return quiet(state);
  const { asked, part, early } = phase;
  const dueMs = atMs + timeoutMs(timerFor(asked, part), timing);
  let step = quiet({ ...state, phase: { kind: 'waiting', asked, part, sentMs: atMs, dueMs } });
  for (const packet of early) {
    const next =
      packet.atMs < atMs - EARLY_MS
        ? stray(step.state, packet.data, 'it came before the command was on the wire')
        : received(step.state, packet, nowMs, timing);
    step = { state: next.state, effects: [...step.effects, ...next.effects] };
  }
  return step;
}

function unsent(state: MasterState, id: number, reason: string): MasterStep {
  const { phase } = state;
  if (phase.kind !== 'sending' || phase.id !== id) return quiet(state);
  return end(state, transport(reason, true));
}

function received(
  state: MasterState,
  packet: Packet,
  nowMs: number,
  timing: XcpTiming,
): MasterStep {
  const { phase } = state;
  const { data } = packet;
  if (data.length === 0) return stray(state, data, 'it is empty');
  switch (byteAt(data, 0)) {
    case PacketId.response:
    case PacketId.error:
      break;
    case PacketId.event:
      return event(state, packet, timing);
    case PacketId.service:
      return stray(state, data, 'it is a service request');
    default:
      return stray(state, data, 'it is measurement data');
  }
  if (phase.kind === 'sending') {
    return quiet({ ...state, phase: { ...phase, early: [...phase.early, packet] } });
  }
  if (phase.kind !== 'waiting') return stray(state, data, 'no command is open');
  const isError = byteAt(data, 0) === PacketId.error;
  if (isError && data.length < 2) return stray(state, data, 'it is an error without a code');
  const code = isError ? byteAt(data, 1) : undefined;
  const { asked, part } = phase;
  if (part.kind === 'synch') {
    // XCP 1.0 part 2: SYNCH is answered by ERR_CMD_SYNCH; everything before it belongs to older commands.
    return code === XcpError.cmdSynch
      ? synchronised({ ...state, doubtful: false }, asked, packet)
      : stray(state, data, 'it is the late answer to an earlier command');
  }
  if (code === XcpError.cmdSynch) return stray(state, data, 'it is the late answer to SYNCH');
  if (code !== undefined && isBusyError(code)) return busy(state, asked, code, nowMs, timing);
  if (code !== undefined) {
    return end(state, { kind: 'error', code, repeated: asked.tries > 1 });
  }
  if (part.kind === 'before') return afterSynch(state, asked, part.index + 1);
  return end(state, { kind: 'positive', data, atMs: packet.atMs });
}

function synchronised(state: MasterState, asked: Asked, packet: Packet): MasterStep {
  return byteAt(asked.request.bytes, 0) === byteAt(SYNCH, 0)
    ? end(state, { kind: 'positive', data: packet.data, atMs: packet.atMs })
    : afterSynch(state, asked, 0);
}

/** What comes before a repeat is not needed where the command was not sent yet. */
function afterSynch(state: MasterState, asked: Asked, index: number): MasterStep {
  const left = asked.tries > 0 && index < (asked.request.before?.length ?? 0);
  return send(state, asked, left ? { kind: 'before', index } : { kind: 'command' });
}

function event(state: MasterState, { data, atMs }: Packet, timing: XcpTiming): MasterStep {
  const { phase } = state;
  if (phase.kind !== 'waiting' || data[1] !== EV_CMD_PENDING) {
    return stray(state, data, 'it is an event');
  }
  const { asked, part } = phase;
  const limitMs = asked.beganMs + timing.busyLimitMs;
  const dueMs = Math.max(
    phase.dueMs,
    Math.min(atMs + timeoutMs(timerFor(asked, part), timing), limitMs),
  );
  return quiet({ ...state, phase: { ...phase, dueMs } });
}

function busy(
  state: MasterState,
  asked: Asked,
  code: number,
  nowMs: number,
  timing: XcpTiming,
): MasterStep {
  const busySinceMs = asked.busySinceMs ?? nowMs;
  const leftMs = timing.busyLimitMs - (nowMs - busySinceMs);
  if (leftMs <= 0) return end(state, { kind: 'busy', code, waitedMs: nowMs - busySinceMs });
  const dueMs = nowMs + Math.min(timing.t7Ms, leftMs);
  return quiet({
    ...state,
    phase: { kind: 'pausing', asked: { ...asked, busySinceMs }, dueMs },
  });
}

function tick(state: MasterState, nowMs: number): MasterStep {
  const { phase } = state;
  const due = masterDue(state);
  if (due === undefined || nowMs < due.dueMs) return quiet(state);
  if (phase.kind === 'pausing') {
    // A refused command was not carried out, so the repeat counts for nothing.
    const asked = { ...phase.asked, tries: phase.asked.tries - 1 };
    return send(state, asked, { kind: 'command' });
  }
  if (phase.kind !== 'waiting') return quiet(state);
  const { asked, part } = phase;
  if (part.kind === 'synch' && part.tries < SYNCH_TRIES) {
    return send(state, asked, { kind: 'synch', tries: part.tries + 1 });
  }
  if (part.kind !== 'synch' && asked.tries < asked.request.tries) {
    return send(state, asked, { kind: 'synch', tries: 1 });
  }
  return end(
    { ...state, doubtful: true },
    {
      kind: 'silent',
      timer: timerFor(asked, part),
      waitedMs: nowMs - asked.beganMs,
      tries: asked.tries,
    },
  );
}

function end(state: MasterState, reply: XcpReply): MasterStep {
  return {
    state: { ...state, phase: { kind: 'idle' } },
    effects: [{ kind: 'settle', reply }],
  };
}

function stray(state: MasterState, data: Uint8Array, reason: string): MasterStep {
  return { state, effects: [{ kind: 'stray', data, reason }] };
}

function transport(reason: string, closed: boolean): XcpReply {
  return { kind: 'transport', reason, closed };
}

function quiet(state: MasterState): MasterStep {
  return { state, effects: [] };
}
