// Collects records for the main thread: few messages, in order, without loss while the main thread is busy.

import type { CanFrame } from './can-frame.ts';
import { writeTime } from './control-record.ts';
import { CAN_MTU, CANFD_MTU, encodeFrame, markEcho } from './linux-frame.ts';
import type { FromThread } from './socketcan-protocol.ts';

/** How many batches may be sent before the main thread has acknowledged the first. */
const MAX_UNACKNOWLEDGED = 2;
const FIRST_BYTES = 4096;

export class RecordBatch {
  readonly #maxBytes: number;
  readonly #say: (message: FromThread, transfer?: ArrayBuffer[]) => void;
  #bytes = new Uint8Array(FIRST_BYTES);
  #used = 0;
  #toldMs = Number.NaN;
  #unacknowledged = 0;
  #scheduled = false;
  #dropped = 0;

  constructor(maxBytes: number, say: (message: FromThread, transfer?: ArrayBuffer[]) => void) {
    this.#maxBytes = maxBytes;
    this.#say = say;
  }

  /** Adds a frame. Echoes are never dropped: each is the outcome of a frame. */
  add(frame: CanFrame, atMs: number, echo: boolean): void {
    if (this.#used >= this.#maxBytes && !echo) {
      this.#dropped++;
      return;
    }
    this.#reserve(CAN_MTU + CANFD_MTU);
    if (atMs !== this.#toldMs) {
      this.#toldMs = atMs;
      writeTime(this.#bytes, this.#used, atMs);
      this.#used += CAN_MTU;
    }
    const length = encodeFrame(frame, this.#bytes, this.#used);
    markEcho(this.#bytes, this.#used, echo);
    this.#used += length;
    if (this.#scheduled) return;
    // All frames that the socket had in this turn go into one batch.
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#unacknowledged < MAX_UNACKNOWLEDGED) this.flush();
    });
  }

  acknowledged(): void {
    this.#unacknowledged--;
    if (!this.#scheduled && this.#unacknowledged < MAX_UNACKNOWLEDGED) this.flush();
  }

  /** Sends all records at once, for a message that must not overtake them. */
  flush(): void {
    if (this.#used > 0) {
      const records = this.#bytes.slice(0, this.#used);
      this.#used = 0;
      // The buffer has grown while the main thread was busy: it is not kept.
      if (this.#bytes.length > 64 * FIRST_BYTES) this.#bytes = new Uint8Array(FIRST_BYTES);
      this.#unacknowledged++;
      this.#say({ kind: 'records', records }, [records.buffer]);
    }
    if (this.#dropped > 0) {
      const frames = this.#dropped;
      this.#dropped = 0;
      this.#say({
        kind: 'lost',
        frames,
        reason: `frames came while ${this.#maxBytes} bytes already waited for the main thread`,
      });
    }
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(this.#bytes.length * 2);
    larger.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = larger;
  }
}
