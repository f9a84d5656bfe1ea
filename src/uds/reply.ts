// What the tester learns after a request. Refused, malformed, unexpected and silent are told apart.

import type { NResult } from '../isotp/connection.ts';

export type UdsReply =
  /** `data` is the whole response, response SID included. */
  | { readonly kind: 'positive'; readonly data: Uint8Array; readonly atMs: number }
  /** Refused: 7F <sid> <nrc>. Never responsePending: the client waits that out. `pended`: it came behind one. */
  | {
      readonly kind: 'negative';
      readonly sid: number;
      readonly nrc: number;
      readonly pended?: true;
    }
  /** No positive response was asked for (bit 7) and none came within P2, as it should be. */
  | { readonly kind: 'suppressed' }
  /** `pending`: it said responsePending until the total time for that was over. */
  | {
      readonly kind: 'silent';
      readonly timer: 'P2' | 'P2*';
      readonly waitedMs: number;
      readonly pending?: true;
    }
  /** Belongs to the request but breaks its format. */
  | { readonly kind: 'malformed'; readonly data: Uint8Array; readonly reason: string }
  /**
   * Answers something else that we did not ask. `spoiled`: it came before our message was complete, which an ECU gives up
   * then (ISO 15765-2, table 23).
   */
  | {
      readonly kind: 'unexpected';
      readonly data: Uint8Array;
      readonly reason: string;
      readonly spoiled?: true;
    }
  | { readonly kind: 'transport'; readonly result: NResult; readonly reason: string };

/** Per request; what is missing comes from the client's configuration. */
export interface RequestOptions {
  /** Longest total wait although the ECU keeps answering 0x78. */
  readonly pendingLimitMs?: number;
  readonly signal?: AbortSignal;
}

/** What drivers need of a UDS client: one request at a time, in order, and tester present in between. */
export interface UdsRequester {
  request(request: Uint8Array, options?: RequestOptions): Promise<UdsReply>;
  /** Functional request without an answer (always sent with suppressed positive response). */
  broadcast(request: Uint8Array): Promise<void>;
  /** Starts or ends the cyclic functional 3E 80 that keeps a session (S3 client, 2 s). */
  keepAlive(on: boolean): void;
}
