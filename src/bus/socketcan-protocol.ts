// What the thread that owns the sockets of a SocketCAN interface and the bus object in the main thread say.

import type { BusErrorCode, BusState, CanFilter, SendFailure } from './can-bus.ts';

export interface SocketCanThreadOptions {
  readonly interfaceName: string;
  /** `vcan`: every accepted frame was on the wire, in order, even if its echo got lost. */
  readonly virtual: boolean;
  /**
   * The package does not say whether a received frame was CAN FD. One with more than 8 bytes was; a shorter
   * one is reported as CAN FD (with BRS) when this is set, as CAN 2.0 otherwise.
   */
  readonly shortFramesAreFd: boolean;
  /** Bytes of frames that may wait for a busy main thread; what comes then is lost, counted and said. */
  readonly maxWaitingBytes: number;
  /** Set to 1 and notified when the sockets are closed: a process that exits has no event loop to hear it by. */
  readonly stopped: Int32Array;
}

export type ToThread =
  /** Records of struct can_frame, to be sent in order. */
  | { readonly kind: 'send'; readonly records: Uint8Array }
  | { readonly kind: 'listen'; readonly filters: readonly CanFilter[] | undefined }
  /** A batch of records was dealt with. */
  | { readonly kind: 'ack' }
  | { readonly kind: 'close' };

export type FromThread =
  | { readonly kind: 'open' }
  | { readonly kind: 'refused'; readonly code: BusErrorCode; readonly reason: string }
  /** As from the broker of a local bus: time records, echoes, frames. */
  | { readonly kind: 'records'; readonly records: Uint8Array }
  /** The `count` oldest frames without outcome will not be confirmed. */
  | {
      readonly kind: 'failed';
      readonly count: number;
      readonly code: SendFailure;
      readonly reason: string;
    }
  | {
      readonly kind: 'state';
      readonly state: BusState;
      readonly reason: string;
      readonly atMs: number;
    }
  | { readonly kind: 'lost'; readonly frames: number; readonly reason: string };
