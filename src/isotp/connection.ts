// What UDS stands on: messages to and from one peer. `IsoTpChannel` implements it; a test may do so without frames.

/** N_Result of ISO 15765-2 8.3.7, and BUS for a bus that is down. */
export type NResult =
  | 'N_OK'
  | 'N_TIMEOUT_A'
  | 'N_TIMEOUT_Bs'
  | 'N_TIMEOUT_Cr'
  | 'N_WRONG_SN'
  | 'N_INVALID_FS'
  | 'N_UNEXP_PDU'
  | 'N_WFT_OVRN'
  | 'N_BUFFER_OVFLW'
  | 'N_ERROR'
  | 'BUS'
  | 'CLOSED';

/** What became of a message handed to `send`. Exactly one per message. */
export interface SendResult {
  readonly result: NResult;
  /** When the last frame was on the wire (its echo was seen): P2 starts here. */
  readonly atMs: number;
  readonly reason: string;
}

/** N_USData indications. All on the clock of the bus. */
export interface ConnectionListener {
  /** A whole message. The array belongs to the listener. */
  onMessage(message: Uint8Array, atMs: number): void;
  /** A first frame has come: a longer message of `length` bytes is under way (UDS stops P2 here). */
  onFirstFrame?(length: number, atMs: number): void;
  /** A first frame has come that `screen` does not want: no flow control is sent. `start` is what it carries. */
  onUnwanted?(start: Uint8Array, length: number, atMs: number): void;
  /** A message under way was lost. */
  onReceiveError?(result: NResult, reason: string, atMs: number): void;
}

export interface IsoTpConnection {
  /** Messages are sent one after the other, in order. A too long one throws RangeError. */
  send(message: Uint8Array, done?: (result: SendResult) => void): void;
  listen(listener: ConnectionListener): void;
  /**
   * Whether a message that begins with `start` is wanted; asked for each first frame, and for a single frame that
   * comes in the middle of a message. A first frame that is not wanted gets no flow control, and neither of the two
   * ends the message under way. Without a screen every message is wanted. A connection that has no frames has none.
   */
  screen?(wanted: (start: Uint8Array) => boolean): void;
  /** Abandons what is under way in both directions; pending sends end with CLOSED. */
  close(): void;
}
