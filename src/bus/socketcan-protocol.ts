// Messages between the thread that owns the sockets of a SocketCAN interface and the bus object in the main thread.

import type { BusErrorCode, BusState, CanFilter, SendFailure } from './can-bus.ts';

export interface SocketCanThreadOptions {
  readonly interfaceName: string;
  /** `vcan`: every accepted frame was on the wire, in order, even if its echo was lost. */
  readonly virtual: boolean;
  /**
   * How short frames are reported, because the package does not say whether a received frame was CAN FD: as CAN FD (with
   * BRS) when set, otherwise as CAN 2.0. A frame with more than 8 bytes was CAN FD.
   */
  readonly shortFramesAreFd: boolean;
  /** Bytes of frames that may wait for a busy main thread; further frames are lost, counted and reported. */
  readonly maxWaitingBytes: number;
  /** Set to 1 and notified when the sockets are closed: a process that exits has no event loop for a message. */
  readonly stopped: Int32Array;
}

export type ToThread =
  /** Records of struct can_frame, to be sent in order. */
  | { readonly kind: 'send'; readonly records: Uint8Array }
  | { readonly kind: 'listen'; readonly filters: readonly CanFilter[] | undefined }
  /** A batch of records was handled. */
  | { readonly kind: 'ack' }
  | { readonly kind: 'close' };

export type FromThread =
  | { readonly kind: 'open' }
  | { readonly kind: 'refused'; readonly code: BusErrorCode; readonly reason: string }
  /** Records as the broker of a local bus sends them: time records, echoes, frames. */
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
