// Reads what candump prints: its log (-l, -L) and its view on a terminal, with any of its time stamps.

import { type CanFrame, fdLength, frameFault } from './can-frame.ts';
import { type LogEntry, parseLogLine } from './candump-log.ts';
import { CAN_EFF_MASK } from './linux-frame.ts';

/** `  can0  RX B -  7E0   [8]  03 22 F1 90`, behind a time stamp or not; two digits of length: CAN FD. */
const VIEW =
  /^\s*(?:\(([^)]*)\)\s+)?(\S+)\s+(?:(?:RX|TX)\s+([-B])\s+[-E]\s+)?([0-9A-Fa-f]{8}|[0-9A-Fa-f]{3})\s+\[(\d{1,2})\](?:\s+(.*))?$/;
const DATE = /^(\d{4})-(\d{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2}\.\d{1,9})$/;
const SECONDS = /^\d+\.\d{1,9}$/;
/** Smaller times do not count from 1970: they count from the first line, or from the line before (-td). */
const ABSOLUTE_MS = 1e11;
const BYTE_ORDER_MARK = '\uFEFF';

/** The lines of one log, in their order: where they have no time, or the time since the line before, it is made of theirs. */
export class CandumpReader {
  #wallMs = 0;
  #toldMs = 0;
  /** Times are distances (-td): they went back once. */
  #isDelta = false;

  /** Undefined for an empty line, a comment or a damaged line. */
  line(text: string): LogEntry | undefined {
    const line = text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
    const entry = parseLogLine(line) ?? parseViewLine(line);
    if (entry === undefined) return undefined;
    const { wallMs } = entry;
    if (wallMs !== undefined) this.#advance(wallMs);
    return { ...entry, wallMs: this.#wallMs };
  }

  #advance(toldMs: number): void {
    if (toldMs < ABSOLUTE_MS && toldMs < this.#toldMs) this.#isDelta = true;
    const isDelta = this.#isDelta && toldMs < ABSOLUTE_MS;
    this.#wallMs = isDelta ? this.#wallMs + toldMs : toldMs;
    this.#toldMs = toldMs;
  }
}

type UntimedEntry = LogEntry extends infer Each
  ? Each extends unknown
    ? Omit<Each, 'wallMs'> & { readonly wallMs: number | undefined }
    : never
  : never;

function parseViewLine(line: string): UntimedEntry | undefined {
  const match = VIEW.exec(line.trimEnd());
  if (match === null) return undefined;
  const [, stamp, interfaceName = '', switched, idText = '', length = '', rest = ''] = match;
  const wallMs = stamp === undefined ? undefined : parseStamp(stamp);
  if (stamp !== undefined && wallMs === undefined) return undefined;
  const head = { wallMs, interfaceName };
  const id = Number.parseInt(idText, 16);
  if (/\bERRORFRAME$/.test(rest)) {
    const detail = bytesOf(rest.replace(/\s*ERRORFRAME$/, ''), 8);
    return detail && { ...head, error: { errorClass: id & CAN_EFF_MASK, detail } };
  }
  const remote = rest === 'remote request';
  const count = Number(length);
  const data = remote ? new Uint8Array() : bytesOf(rest, count);
  if (data === undefined) return undefined;
  const fd = length.length === 2;
  const frame: CanFrame = {
    ...{ id, extended: idText.length === 8, data, fd, brs: fd && switched === 'B', remote },
  };
  if (fd && count > 0 && fdLength(Math.min(count, 64)) !== count) return undefined;
  return frameFault(frame) === undefined ? { ...head, frame } : undefined;
}

/** The first `count` bytes; what follows is their text (-a). Undefined where there are fewer. */
function bytesOf(text: string, count: number): Uint8Array | undefined {
  const match = new RegExp(`^((?:[0-9A-Fa-f]{2}\\s*){${count}})(?:'.*')?$`).exec(text.trim());
  return match === null
    ? undefined
    : Uint8Array.from(Buffer.from((match[1] ?? '').replaceAll(/\s/g, ''), 'hex'));
}

/** Milliseconds: since 1970, or since another line. Dates have no zone: they are taken as UTC. */
function parseStamp(stamp: string): number | undefined {
  if (SECONDS.test(stamp)) return Number(stamp) * 1000;
  const date = DATE.exec(stamp);
  if (date === null) return undefined;
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = date
    .slice(1)
    .map(Number);
  return Date.UTC(year, month - 1, day, hour, minute) + second * 1000;
}
