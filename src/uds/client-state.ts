// The state of the UDS client between two steps of client-engine.ts: configuration, open request, inputs and effects.

import type { NResult, SendResult } from '../isotp/connection.ts';
import type { KeepAlive, UdsReply } from './reply.ts';
import type { ToldTiming } from './session-timing.ts';

export interface ClientTiming {
  /** P2client: from the end of the request to the start of the answer. */
  readonly p2Ms: number;
  /** P2*client: from a responsePending to the next one or the start of the answer. */
  readonly p2StarMs: number;
  /** Longest total wait while the ECU keeps answering responsePending. */
  readonly pendingLimitMs: number;
}

export interface ClientConfig {
  readonly timing: ClientTiming;
  /** S3client: 2000 ms. */
  readonly s3Ms: number;
}

export interface Message {
  readonly data: Uint8Array;
  readonly atMs: number;
}

export interface Asked {
  /** Number of this attempt, which tells its confirmation from those of older attempts. */
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
  /** Length of the answer whose first frame has come; `dueMs` then covers the whole wait. */
  readonly receiving: number | undefined;
  /** The ECU has said responsePending: an answer must follow, suppressed or not. */
  readonly pended: boolean;
  /** The wait was extended once, because the ECU sent a long answer to another tester before it could answer us. */
  readonly extended: boolean;
  /**
   * The first message since `send` that does not answer our requests. It becomes the reply if no answer comes: an ECU that
   * serves another tester may have lost our request.
   */
  readonly foreign: Foreign | undefined;
}

export interface Foreign {
  readonly data: Uint8Array;
  readonly reason: string;
  /** It came before our request was complete. */
  readonly spoiled?: true;
}

export type Phase =
  | { readonly kind: 'idle' }
  /** Messages that overtake the confirmation are kept in `early` until it arrives. */
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
  /** Undefined: no session is kept. */
  readonly keepAlive:
    | { readonly whom: Exclude<KeepAlive, 'off'>; readonly dueMs: number }
    | undefined;
  /** The times that the ECU declared for its present session. */
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
  | { readonly kind: 'keep-alive'; readonly whom: KeepAlive }
  | { readonly kind: 'tick' };

export type ClientEffect =
  /** Send, then feed `sent` with this id. */
  | { readonly kind: 'send'; readonly id: number; readonly message: Uint8Array }
  | { readonly kind: 'settle'; readonly reply: UdsReply }
  /** Send 3E 80; its confirmation is of no interest. */
  | { readonly kind: 'tester-present'; readonly whom: Exclude<KeepAlive, 'off'> }
  | {
      readonly kind: 'discarded';
      /** `late`: answers an older request of ours. `foreign`: answers no request of ours. */
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
  keepAlive: undefined,
  told: {},
  nextId: 1,
};

/** The larger of the declared and the configured time. */
export function p2Of({ told }: ClientState, { timing }: ClientConfig): number {
  return Math.max(timing.p2Ms, told.p2Ms ?? 0);
}

export function p2StarOf({ told }: ClientState, { timing }: ClientConfig): number {
  return Math.max(timing.p2StarMs, told.p2StarMs ?? 0);
}
