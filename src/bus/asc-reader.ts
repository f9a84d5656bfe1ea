// Reads the ASCII logs of Vector's tools (ASC): classic and CAN FD frames, remote frames and error frames.

import { type CanFrame, frameFault } from './can-frame.ts';
import type { LogEntry } from './candump-log.ts';

const HEADER =
  /^(?:date\s|base\s+(?:hex|dec)|(?:no )?internal events|\/\/|(?:begin|end) trigger ?block)/i;
const BASE = /^base\s+(hex|dec)(?:\s+timestamps\s+(absolute|relative))?/i;
/** `date Wed Apr 16 09:21:13.713 am 2014`; the milliseconds and the half of the day may be missing. */
const DATE =
  /^date\s+\S+\s+(\S{3})\S*\s+(\d{1,2})\s+(\d{1,2}):(\d{2}):(\d{2}(?:\.\d+)?)(?:\s+(am|pm))?\s+(\d{4})/i;
const EVENT = /^\s*(\d+\.\d+)\s+(\S.*)$/;
/** `1  7E0  Rx  d 8 03 22 F1 90 ...` */
const CLASSIC = /^(\d+)\s+([0-9A-Fa-f]+)(x?)\s+(Rx|Tx|TxRq)\s+([dr])(?:\s+(.*))?$/;
/** `CANFD 1 Rx 7E0 [name] 1 0 8 8 03 22 ...`: BRS, ESI, DLC, length, data, duration, bits, flags */
const FD =
  /^CANFD\s+(\d+)\s+(Rx|Tx|TxRq)\s+([0-9A-Fa-f]+)(x?)\s+(?:(?![01]\s+[01]\s)\S+\s+)?([01])\s+[01]\s+([0-9A-Fa-f]+)\s+(\d+)(?:\s+(.*))?$/;
const ERROR_FRAME = /^(?:CANFD\s+)?(\d+)\s+(?:(?:Rx|Tx)\s+)?ErrorFrame\b/;
/** linux/can/error.h: CAN_ERR_BUSERROR, an error frame of unknown reason. */
const BUS_ERROR = 0x80;
/** Flags of a CANFD event. */
const FLAG_REMOTE = 0x10;
const FLAG_FD = 0x1000;

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/** The lines of one log in their order. Vector's times have no zone: they are taken as UTC. */
export class AscReader {
  #isAsc = false;
  #base = 16;
  #isRelative = false;
  #startMs = 0;
  #elapsedMs = 0;

  /** `other`: a header, a comment, or an event that is no frame. Undefined: damaged, or no line of such a log. */
  line(text: string): LogEntry | 'other' | undefined {
    const line = text.replace(/^\uFEFF/, '').trimEnd();
    if (HEADER.test(line.trimStart())) return this.#header(line.trimStart());
    if (!this.#isAsc) return undefined;
    const [, seconds, event] = EVENT.exec(line) ?? [];
    if (seconds === undefined || event === undefined) return undefined;
    const ms = Number(seconds) * 1000;
    this.#elapsedMs = this.#isRelative ? this.#elapsedMs + ms : ms;
    return this.#event(event, this.#startMs + this.#elapsedMs);
  }

  #header(line: string): 'other' {
    const base = BASE.exec(line);
    if (base !== null) {
      this.#base = base[1]?.toLowerCase() === 'dec' ? 10 : 16;
      this.#isRelative = base[2]?.toLowerCase() === 'relative';
    }
    if (base !== null || /^date\s/i.test(line)) this.#isAsc = true;
    this.#startMs = dateMs(line) ?? this.#startMs;
    return 'other';
  }

  #event(event: string, wallMs: number): LogEntry | 'other' | undefined {
    const error = ERROR_FRAME.exec(event);
    if (error !== null) {
      const interfaceName = error[1] ?? '';
      return { wallMs, interfaceName, error: { errorClass: BUS_ERROR, detail: new Uint8Array(8) } };
    }
    const isClassic = CLASSIC.test(event);
    // A status, a statistic, a marker, a message of another bus.
    if (!isClassic && !/^CANFD\s/.test(event)) return 'other';
    const read = isClassic ? this.#classic(event) : this.#fd(event);
    if (read === undefined || read === 'other') return read;
    const { interfaceName, frame } = read;
    return frameFault(frame) === undefined ? { wallMs, interfaceName, frame } : undefined;
  }

  #classic(event: string): Found | 'other' | undefined {
    const [, interfaceName = '', id = '', wide, direction, kind, rest = ''] =
      CLASSIC.exec(event) ?? [];
    // A request to the controller; the frame itself follows as Tx.
    if (direction === 'TxRq') return 'other';
    const head = { id: this.#number(id), extended: wide === 'x', fd: false, brs: false };
    if (kind === 'r') {
      return { interfaceName, frame: { ...head, data: new Uint8Array(), remote: true } };
    }
    const [dlc = '', ...words] = rest.split(/\s+/);
    if (!/^[0-9A-Fa-f]$/.test(dlc)) return undefined;
    const data = this.#bytes(words, Math.min(8, Number.parseInt(dlc, 16)));
    return data && { interfaceName, frame: { ...head, data, remote: false } };
  }

  #fd(event: string): Found | 'other' | undefined {
    const [, interfaceName = '', direction, id, wide, brs, , length = '', rest = ''] =
      FD.exec(event) ?? [];
    if (id === undefined) return undefined;
    if (direction === 'TxRq') return 'other';
    const count = Number(length);
    const words = rest.split(/\s+/).filter((word) => word !== '');
    const data = this.#bytes(words, count);
    if (data === undefined) return undefined;
    const flags = Number.parseInt(words[count + 2] ?? '', 16);
    const fd = Number.isNaN(flags) || (flags & FLAG_FD) !== 0;
    const remote = !fd && (flags & FLAG_REMOTE) !== 0;
    const frame: CanFrame = {
      ...{ id: this.#number(id), extended: wide === 'x' },
      ...{ data: remote ? new Uint8Array() : data, fd, brs: fd && brs === '1', remote },
    };
    return { interfaceName, frame };
  }

  #number(text: string): number {
    return Number.parseInt(text, this.#base);
  }

  /** The first `count` words as bytes; undefined where one of them is none. */
  #bytes(words: readonly string[], count: number): Uint8Array | undefined {
    const form = this.#base === 16 ? /^[0-9A-Fa-f]{1,2}$/ : /^\d{1,3}$/;
    const data = words.slice(0, count);
    if (data.length < count || !data.every((word) => form.test(word))) return undefined;
    const values = data.map((word) => this.#number(word));
    return values.every((value) => value <= 0xff) ? Uint8Array.from(values) : undefined;
  }
}

interface Found {
  readonly interfaceName: string;
  readonly frame: CanFrame;
}

/** Undefined where the month is in another language, or the line has no date. */
function dateMs(line: string): number | undefined {
  const match = DATE.exec(line);
  if (match === null) return undefined;
  const [, name = '', day, hour = '', minute, second, half, year] = match;
  const month = MONTHS.indexOf(name.toLowerCase());
  if (month < 0) return undefined;
  const hours =
    half === undefined
      ? Number(hour)
      : (Number(hour) % 12) + (half.toLowerCase() === 'pm' ? 12 : 0);
  return Date.UTC(Number(year), month, Number(day), hours, Number(minute)) + Number(second) * 1000;
}
