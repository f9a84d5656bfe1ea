// What the UDS client knows between two steps of client-engine.ts: its configuration, the open request, its inputs and effects.

import type { NResult, SendResult } from '../isotp/connection.ts';
import type { UdsReply } from './reply.ts';
import type { ToldTiming } from './session-timing.ts';

export interface ClientTiming {
  /** P2client: from the end of the request to the start of the answer. */
  readonly p2Ms: number;
  /** P2*client: from a responsePending to the next one or the start of the answer. */
  readonly p2StarMs: number;
  /** Longest total wait although the ECU keeps saying responsePending. */
  readonly pendingLimitMs: number;
}

export interface ClientConfig {
  readonly timing: ClientTiming;
  /** S3client: 2000 ms. */
  readonly s3Ms: number;
  /** Tester present goes to all ECUs at its own pace; otherwise to this one, between requests. */
  readonly functionalKeepAlive: boolean;
}

export interface Message {
  readonly data: Uint8Array;
  readonly atMs: number;
}

export interface Asked {
  /** Of this attempt: confirmations of older ones are told apart by it. */
  readonly id: number;
  readonly request: Uint8Array;
  readonly pendingLimitMs: number;
}

export interface Waiting {
  readonly kind: 'waiting';
  readonly asked: Asked;
  readonly sentMs: number;
  readonly timer: 'P2' | 'P2*';
  readonly dueMs: number;
  /** Length of the answer whose first frame has come: the deadline is the one of the whole wait. */
  readonly receiving: number | undefined;
  /** The ECU has said responsePending: an answer must follow, suppressed or not. */
  readonly pended: boolean;
  /** It got its time again for a long answer to somebody else: once, since the next one was asked for behind ours. */
  readonly extended: boolean;
  /**
   * The first message since the request was handed to `send` that answers nothing we asked, told when nothing
   * better comes: an ECU that serves somebody else may have lost our request.
   */
  readonly foreign: Foreign | undefined;
}

export interface Foreign {
  readonly data: Uint8Array;
  readonly reason: string;
  /** It came before our message was complete. */
  readonly spoiled?: true;
}

export type Phase =
  | { readonly kind: 'idle' }
  /** Messages that overtake the confirmation are judged when it is here. */
  | {
      readonly kind: 'sending';
      readonly asked: Asked;
      readonly early: readonly Message[];
      readonly firstFrame: { readonly length: number; readonly atMs: number } | undefined;
      readonly foreign: Foreign | undefined;
    }
  | Waiting;

/** A request that ended without its answer, which may still come. */
export interface Abandoned {
  readonly request: Uint8Array;
  readonly untilMs: number;
}

export interface ClientState {
  readonly phase: Phase;
  readonly abandoned: readonly Abandoned[];
  /** Undefined: nobody wants the session kept. */
  readonly keepAliveDueMs: number | undefined;
  /** What the ECU declared for the session that it is in. */
  readonly told: ToldTiming;
  readonly nextId: number;
}

export type ClientInput =
  | { readonly kind: 'request'; readonly request: Uint8Array; readonly pendingLimitMs: number }
  | { readonly kind: 'sent'; readonly id: number; readonly result: SendResult }
  | { readonly kind: 'response'; readonly message: Uint8Array; readonly atMs: number }
  | { readonly kind: 'first-frame'; readonly length: number; readonly atMs: number }
  /** The first frame of a message that `isWanted` refused. */
  | {
      readonly kind: 'unwanted';
      readonly start: Uint8Array;
      readonly length: number;
      readonly atMs: number;
    }
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
  | {
      readonly kind: 'discarded';
      /** `late`: to an older request of ours. `foreign`: to no request of ours. */
      readonly answer: 'late' | 'foreign';
      readonly message: Uint8Array;
      readonly reason: string;
    };

export interface ClientStep {
  readonly state: ClientState;
  readonly effects: readonly ClientEffect[];
}

export const initialClientState: ClientState = {
  phase: { kind: 'idle' },
  abandoned: [],
  keepAliveDueMs: undefined,
  told: {},
  nextId: 1,
};

/** The larger of what the ECU declared and what is configured. */
export function p2Of({ told }: ClientState, { timing }: ClientConfig): number {
  return Math.max(timing.p2Ms, told.p2Ms ?? 0);
}

export function p2StarOf({ told }: ClientState, { timing }: ClientConfig): number {
  return Math.max(timing.p2StarMs, told.p2StarMs ?? 0);
}
