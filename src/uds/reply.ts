// The result of a request for the tester. Refused, malformed, unexpected and silent are told apart.

import type { NResult } from '../isotp/connection.ts';

export type UdsReply =
  /** `data` is the whole response, response SID included. */
  | { readonly kind: 'positive'; readonly data: Uint8Array; readonly atMs: number }
  /** Refused: 7F <sid> <nrc>. Never responsePending, which the client waits out. `pended`: it came after one. */
  | {
      readonly kind: 'negative';
      readonly sid: number;
      readonly nrc: number;
      readonly pended?: true;
    }
  /** The request suppressed the positive response (bit 7), and no answer came within P2, as expected. */
  | { readonly kind: 'suppressed' }
  /** `pending`: the ECU answered responsePending until the total time for it was over. */
  | {
      readonly kind: 'silent';
      readonly timer: 'P2' | 'P2*';
      readonly waitedMs: number;
      readonly pending?: true;
    }
  /** An answer to the request with a wrong format. */
  | { readonly kind: 'malformed'; readonly data: Uint8Array; readonly reason: string }
  /**
   * An answer to a request that is not ours. `spoiled`: it came before our request was complete, and the ECU then gives up
   * our request (ISO 15765-2, table 23).
   */
  | {
      readonly kind: 'unexpected';
      readonly data: Uint8Array;
      readonly reason: string;
      readonly spoiled?: true;
    }
  | { readonly kind: 'transport'; readonly result: NResult; readonly reason: string };

/** Options of one request; missing ones come from the client's configuration. */
export interface RequestOptions {
  /** Longest total wait although the ECU keeps answering 0x78. */
  readonly pendingLimitMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * `this-ecu`: 3E 80 to this ECU, where it was not asked anything for S3client. `all-ecus`: functional, every S3client,
 * where there is a functional address.
 */
export type KeepAlive = 'off' | 'this-ecu' | 'all-ecus';

/** The part of a UDS client that drivers need: one request at a time, in order, and tester present in between. */
export interface UdsRequester {
  request(request: Uint8Array, options?: RequestOptions): Promise<UdsReply>;
  /** Functional request without an answer (always sent with suppressed positive response). */
  broadcast(request: Uint8Array): Promise<void>;
  /** Whose session is kept by 3E 80 from now on (S3client, 2 s). */
  keepAlive(whom: KeepAlive): void;
}
