// What the author of an ECU hands to `UdsServer`: handlers, and what they answer.

import type { Nrc } from './nrc.ts';

/**
 * What a handler answers. `positive` is the whole response, response SID included (the `encodeResponse` of
 * `services/` builds it). `afterSent` runs once the answer has left, or failed to leave, or was not wanted:
 * the place for an ECU reset.
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
   * The message came inside of service 84 and was authenticated: by whose key, as the ECU names it. No session and no
   * level of SecurityAccess is asked for then.
   */
  readonly authority?: string;
}

/** Extra conditions of one sub-function, beside those of its service. */
export interface SubFunctionRule {
  /** Sessions in which it exists; all of the service's when missing. Else 0x7E. */
  readonly sessions?: readonly number[];
  /** Else 0x33. */
  readonly security?: number;
  /** Bytes of the whole request, at least. Else 0x13. */
  readonly minLength?: number;
}

export interface ServiceHandler {
  /** Sessions in which the service exists; all when missing. Else 0x7F. */
  readonly sessions?: readonly number[] | undefined;
  /**
   * By sub-function without bit 7; any other gets 0x12. Missing: the server does not look at the sub-function
   * (bit 7 of services that have one still suppresses the positive response).
   */
  readonly subFunctions?: Readonly<Record<number, SubFunctionRule>>;
  /** Level of SecurityAccess that must be unlocked. Else 0x33. A getter is asked with every request. */
  readonly security?: number | undefined;
  /** False: functional requests are not answered at all. Default true. */
  readonly functional?: boolean;
  /** Bytes of the whole request, SID included. Else 0x13. */
  readonly minLength: number;
  /**
   * `request` has bit 7 of its sub-function cleared. Takes longer than P2? The server says responsePending until
   * the promise settles. A throw becomes a negative response and a line in the log.
   */
  handle(request: Uint8Array, context: ServiceContext): Reply | Promise<Reply>;
}

/** Keyed by service identifier. */
export type ServiceHandlers = Readonly<Partial<Record<number, ServiceHandler>>>;

/** Why a session began. `reset`: power-on or `UdsServer.reset`. */
export type SessionReason = 'request' | 'S3' | 'reset';

export interface ServerTiming {
  /** P2server: the answer or the first responsePending leaves before. Told in the answer to 10. */
  readonly p2Ms: number;
  /** P2*server: the next responsePending or the answer leaves before. Told in the answer to 10. */
  readonly p2StarMs: number;
  /** S3server: without a request the session falls back to the default one. */
  readonly s3Ms: number;
  /** A handler that is still busy after this long is answered for with generalReject. */
  readonly pendingLimitMs: number;
}

/** ISO 14229-2 table 4. */
export const DEFAULT_SERVER_TIMING: ServerTiming = {
  p2Ms: 50,
  p2StarMs: 5000,
  s3Ms: 5000,
  pendingLimitMs: 600_000,
};
