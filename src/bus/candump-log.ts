// The log format of candump -l, which canplayer and log2asc read: `(1700000000.123456) vcan0 7E8#0662F195`.

import type { Clock } from '../core/clock.ts';
import type { CanBus, Subscription } from './can-bus.ts';
import { type CanFrame, frameText, parseFrameText } from './can-frame.ts';
import { CAN_EFF_MASK, CAN_ERR_FLAG } from './linux-frame.ts';

/** An error frame as candump writes it: the class bits of linux/can/error.h and their 8 bytes of detail. */
interface ErrorEntry {
  readonly errorClass: number;
  readonly detail: Uint8Array;
}

/** One line of a log. */
export type LogEntry = {
  /** Milliseconds since 1970-01-01T00:00:00Z; the log has microseconds. */
  readonly wallMs: number;
  readonly interfaceName: string;
} & ({ readonly frame: CanFrame } | { readonly error: ErrorEntry });

/** One line without its end. */
export function formatLogEntry(entry: LogEntry): string {
  const micros = Math.max(0, Math.round(entry.wallMs * 1000));
  const seconds = String(Math.floor(micros / 1e6)).padStart(10, '0');
  const fraction = String(micros % 1e6).padStart(6, '0');
  const text = 'frame' in entry ? frameText(entry.frame) : errorText(entry.error);
  return `(${seconds}.${fraction}) ${entry.interfaceName} ${text}`;
}

function errorText({ errorClass, detail }: ErrorEntry): string {
  const id = ((CAN_ERR_FLAG | (errorClass & CAN_EFF_MASK)) >>> 0).toString(16).toUpperCase();
  return `${id}#${Buffer.from(detail).toString('hex').toUpperCase()}`;
}

/**
 * Undefined for an empty line, a comment or a damaged line. The time may have 1 to 9 decimals; a direction at the end of a
 * line and a raw DLC (`_E` behind 8 bytes of data) are ignored.
 */
export function parseLogLine(line: string): LogEntry | undefined {
  const match = /^\((\d+)\.(\d{1,9})\)\s+(\S+)\s+([0-9A-Fa-f]+#\S*)(?:\s+[RT]\b.*)?\s*$/.exec(line);
  if (match === null) return undefined;
  const [, seconds, fraction = '', interfaceName = '', text = ''] = match;
  const wallMs = Number(seconds) * 1000 + Number(fraction.padEnd(9, '0')) / 1e6;
  const head = { wallMs, interfaceName };
  const error = parseErrorText(text);
  if (error !== undefined) return { ...head, error };
  const frame = parseFrameText(withoutRawDlc(text));
  return frame === undefined ? undefined : { ...head, frame };
}

/** ISO 11898-1 8.4.2.4: a classic frame of 8 bytes may have a DLC of 9 to 15. */
function withoutRawDlc(text: string): string {
  return text.replace(/^([0-9A-Fa-f]+#(?:[0-9A-Fa-f]{16}|R8))_[9A-Fa-f]$/, '$1');
}

function parseErrorText(text: string): ErrorEntry | undefined {
  const match = /^([23][0-9A-Fa-f]{7})#((?:[0-9A-Fa-f]{2}){0,8})$/.exec(text);
  if (match === null) return undefined;
  const [, errorClass = '', detail = ''] = match;
  return {
    errorClass: Number.parseInt(errorClass, 16) & CAN_EFF_MASK,
    detail: Uint8Array.from(Buffer.from(detail, 'hex')),
  };
}

export interface TraceWriterOptions {
  readonly bus: CanBus;
  readonly clock: Clock;
  /** Takes one line without its end. */
  readonly sink: (line: string) => void;
}

/** Writes every frame on the bus, those of this process included, from the construction to `close`. */
export class TraceWriter {
  readonly #subscription: Subscription;
  #frames = 0;

  constructor({ bus, clock, sink }: TraceWriterOptions) {
    // A space would end the field; the name of a local bus has none.
    const interfaceName = bus.name;
    // Read once: the wall clock has whole milliseconds and can be set, which must not change the distance of frames.
    const offsetMs = clock.wallMs() - clock.nowMs();
    this.#subscription = bus.monitor(({ frame, atMs }) => {
      this.#frames++;
      const wallMs = offsetMs + atMs;
      sink(formatLogEntry({ wallMs, interfaceName, frame }));
    });
  }

  /** Lines written so far. */
  get frames(): number {
    return this.#frames;
  }

  close(): void {
    this.#subscription.close();
  }
}
