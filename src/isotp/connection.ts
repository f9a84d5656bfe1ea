// The connection below UDS: messages to and from one peer. `IsoTpChannel` implements it; a test may do so without frames.

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

/** N_USData indications. All times are on the clock of the bus. */
export interface ConnectionListener {
  /** A whole message. The array belongs to the listener. */
  onMessage(message: Uint8Array, atMs: number): void;
  /** A first frame has come: a longer message of `length` bytes is under way (UDS stops P2 here). */
  onFirstFrame?(length: number, atMs: number): void;
  /** A first frame has come that `screen` refuses: no flow control is sent. `start` is its payload. */
  onUnwanted?(start: Uint8Array, length: number, atMs: number): void;
  /** A message under way was lost. */
  onReceiveError?(result: NResult, reason: string, atMs: number): void;
}

export interface IsoTpConnection {
  /** Messages are sent one after the other, in order. Throws RangeError for a message that is too long. */
  send(message: Uint8Array, done?: (result: SendResult) => void): void;
  listen(listener: ConnectionListener): void;
  /**
   * Sets the test whether a message that begins with `start` is wanted, called for each first frame, and for a single
   * frame in the middle of a message. An unwanted first frame gets no flow control, and an unwanted frame does not end
   * the message under way. Without a screen every message is wanted. A connection without frames has no `screen`.
   */
  screen?(wanted: (start: Uint8Array) => boolean): void;
  /** Ends all messages under way in both directions; pending sends end with CLOSED. */
  close(): void;
}
