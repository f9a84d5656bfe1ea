// Collects records for the main thread: few messages, in order, and none lost while it is busy.

import type { CanFrame } from './can-frame.ts';
import { writeTime } from './control-record.ts';
import { CAN_MTU, CANFD_MTU, encodeFrame, markEcho } from './linux-frame.ts';
import type { FromThread } from './socketcan-protocol.ts';

/** Batches on their way to a main thread that has not said that it dealt with them. */
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

  /** Echoes are never dropped: each is the outcome of a frame. */
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
    // Everything that the socket had in this turn goes together.
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

  /** At once, whatever is under way: before a message that must not overtake the records. */
  flush(): void {
    if (this.#used > 0) {
      const records = this.#bytes.slice(0, this.#used);
      this.#used = 0;
      // Grown for a busy main thread: not kept for quiet times.
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
