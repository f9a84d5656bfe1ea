// Types for the author of an ECU on `UdsServer`: handlers and their answers.

import type { Nrc } from './nrc.ts';

/**
 * The answer of a handler. `positive` is the whole response, response SID included (the `encodeResponse` of `services/`
 * builds it). `afterSent` runs when the answer was sent, could not be sent, or was suppressed: the place for an ECU
 * reset.
 */
export type Reply =
  | { readonly positive: Uint8Array; readonly afterSent?: () => void }
  | { readonly nrc: Nrc; readonly afterSent?: () => void };

export interface ServiceContext {
  readonly session: number;
  /** The unlocked level of SecurityAccess, 0 when locked. */
  readonly securityLevel: number;
  readonly functional: boolean;
  /** When the request was complete. */
  readonly nowMs: number;
  /**
   * Set for a message inside of service 84 that was authenticated: the ECU's name of the key. Such a message needs no
   * session and no level of SecurityAccess.
   */
  readonly authority?: string;
}

/** Conditions of one sub-function in addition to those of its service. */
export interface SubFunctionRule {
  /** Sessions in which it exists, otherwise 0x7E; when missing, all sessions of the service. */
  readonly sessions?: readonly number[];
  /** Level that must be unlocked, otherwise 0x33. */
  readonly security?: number;
  /** Least length of the whole request in bytes, otherwise 0x13. */
  readonly minLength?: number;
}

export interface ServiceHandler {
  /** Sessions in which the service exists, otherwise 0x7F; when missing, all. */
  readonly sessions?: readonly number[] | undefined;
  /**
   * Rules by sub-function without bit 7; any other sub-function gets 0x12. Missing: the server does not check the
   * sub-function (bit 7 of services that have one still suppresses the positive response).
   */
  readonly subFunctions?: Readonly<Record<number, SubFunctionRule>>;
  /** Level of SecurityAccess that must be unlocked, otherwise 0x33. A getter is read for every request. */
  readonly security?: number | undefined;
  /** False: functional requests are not answered at all. Default true. */
  readonly functional?: boolean;
  /** Least length of the whole request in bytes, SID included, otherwise 0x13. */
  readonly minLength: number;
  /**
   * Whether the work may hold the process for longer than P2 (a verification, a digest, an erase): responsePending then
   * leaves before it begins. `request` as for `handle`. Missing: never.
   */
  isCostly?(request: Uint8Array): boolean;
  /**
   * `request` has bit 7 of its sub-function cleared. If the promise takes longer than P2, the server sends responsePending
   * until it settles. An exception becomes a negative response and a line in the log.
   */
  handle(request: Uint8Array, context: ServiceContext): Reply | Promise<Reply>;
}

/** Handlers by service identifier. */
export type ServiceHandlers = Readonly<Partial<Record<number, ServiceHandler>>>;

/** Why a session began. `reset`: power-on or `UdsServer.reset`. */
export type SessionReason = 'request' | 'S3' | 'reset';

export interface ServerTiming {
  /** P2server: the answer or the first responsePending is sent within this time. Declared in the answer to 10. */
  readonly p2Ms: number;
  /** P2*server: the next responsePending or the answer is sent within this time. Declared in the answer to 10. */
  readonly p2StarMs: number;
  /** S3server: without a request for this time the server returns to the default session. */
  readonly s3Ms: number;
  /** A handler that is busy for longer than this is answered with generalReject. */
  readonly pendingLimitMs: number;
}

/** Times of ISO 14229-2 table 4. */
export const DEFAULT_SERVER_TIMING: ServerTiming = {
  p2Ms: 50,
  p2StarMs: 5000,
  s3Ms: 5000,
  pendingLimitMs: 600_000,
};
