// Splits a stream of struct can_frame records: echoes, frames of other nodes, control records.

import type { CanFrame } from './can-frame.ts';
import { Control, controlCode, controlTimeMs } from './control-record.ts';
import { decodeFrame, isEcho, isErrorRecord, recordFault, recordLength } from './linux-frame.ts';

/** Called for each record; times are those of the last time record. */
export interface RecordEvents {
  readonly onEcho: (atMs: number) => void;
  readonly onFrame: (frame: CanFrame, atMs: number) => void;
  readonly onControl: (code: number, bytes: Uint8Array, at: number) => void;
  /** The stream cannot be understood; it is not read any further. */
  readonly onFault: (fault: string) => void;
}

const NOTHING = new Uint8Array(0);

export class RecordReader {
  readonly #events: RecordEvents;
  #rest: Uint8Array = NOTHING;
  #atMs = 0;
  #stopped = false;

  constructor(events: RecordEvents) {
    this.#events = events;
  }

  /** Reads nothing more, not even the rest of the current chunk. */
  stop(): void {
    this.#stopped = true;
  }

  /** Reads `chunk`, which may end inside a record. No reference to it is kept. */
  push(chunk: Uint8Array): void {
    let bytes = chunk;
    if (this.#rest.length > 0) {
      bytes = Buffer.concat([this.#rest, chunk]);
      this.#rest = NOTHING;
    }
    let at = 0;
    while (!this.#stopped) {
      const length = recordLength(bytes, at);
      if (length === undefined || at + length > bytes.length) break;
      if (isErrorRecord(bytes, at)) {
        const code = controlCode(bytes, at);
        if (code === Control.time) this.#atMs = controlTimeMs(bytes, at);
        else this.#events.onControl(code, bytes, at);
      } else if (isEcho(bytes, at)) {
        this.#events.onEcho(this.#atMs);
      } else {
        const fault = recordFault(bytes, at);
        if (fault !== undefined) {
          this.#stopped = true;
          this.#events.onFault(fault);
          return;
        }
        this.#events.onFrame(decodeFrame(bytes, at), this.#atMs);
      }
      at += length;
    }
    if (at < bytes.length) this.#rest = bytes.slice(at);
  }
}
