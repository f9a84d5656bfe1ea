// What Intel HEX and S-record files have in common: lines of hexadecimal records with comments, blank lines and any line end.

import { InputError } from '../../core/errors.ts';

const TAB = 0x09;
const LF = 0x0a;
const VERTICAL_TAB = 0x0b;
const FORM_FEED = 0x0c;
const CR = 0x0d;
const SPACE = 0x20;

/** In `DIGITS`: not a digit. Two digits make a byte, and with one of these a number above 0xFF. */
const NO_DIGIT = 0x100;

const DIGITS = Uint16Array.from({ length: 256 }, (_, code) => {
  const text = String.fromCharCode(code);
  return /[0-9A-Fa-f]/.test(text) ? Number.parseInt(text, 16) : NO_DIGIT;
});

export function isHexDigit(byte: number | undefined): boolean {
  return byte !== undefined && DIGITS[byte] !== NO_DIGIT;
}

/** The byte of two hexadecimal digits at `at`; above 0xFF where one of them is no digit, or the file ends. */
export function hexPair(bytes: Uint8Array, at: number): number {
  const high = DIGITS[bytes[at] ?? 0] ?? NO_DIGIT;
  const low = DIGITS[bytes[at + 1] ?? 0] ?? NO_DIGIT;
  return (high << 4) | low;
}

/** Of `decodeHex`: a character is no digit, or the file ends. */
export const NO_DIGITS = -1;

/** Decodes `count` bytes at `at` into `target`, as many as it has room for. The sum of the bytes, or NO_DIGITS. */
export function decodeHex(
  bytes: Uint8Array,
  at: number,
  count: number,
  target: Uint8Array,
  offset: number,
): number {
  let sum = 0;
  let seen = 0;
  let from = at;
  for (let index = offset; index < offset + count; index++) {
    const value = hexPair(bytes, from);
    seen |= value;
    sum += value;
    target[index] = value;
    from += 2;
  }
  return seen > 0xff ? NO_DIGITS : sum;
}

export interface RecordFormat {
  /** For messages: `Intel HEX`. */
  readonly name: string;
  /** For messages: what a record begins with. */
  readonly mark: string;
  /** Does a record begin here? */
  readonly isStart: (bytes: Uint8Array, at: number) => boolean;
  /** Is the text from `at` to `end` one whole record? It finds a first record that stands behind a comment. */
  readonly isWhole: (bytes: Uint8Array, at: number, end: number) => boolean;
}

export function lineText(line: number): string {
  return `line ${line}`;
}

/**
 * Calls `read` with every record; it returns the offset behind the record. Lines before the first record are comments;
 * later ones are comments where they begin with `;`, `#` or `//`. Throws InputError with the line for anything else.
 */
export function forEachRecord(
  bytes: Uint8Array,
  name: string,
  format: RecordFormat,
  read: (at: number, line: number) => number,
): void {
  const first = firstRecord(bytes, format);
  if (first.damaged !== undefined) {
    throw new InputError(
      name,
      `line ${first.damaged}: ${format.name} record without its beginning, ${format.mark}: the file is damaged`,
    );
  }
  if (first.at === undefined) throw new InputError(name, `holds no ${format.name} record`);
  let { at, line } = first;
  while (at < bytes.length) {
    const byte = bytes[at];
    if (byte === LF) {
      line++;
      at++;
    } else if (byte === CR) {
      line++;
      at += bytes[at + 1] === LF ? 2 : 1;
    } else if (byte === SPACE || byte === TAB) {
      at++;
    } else if (format.isStart(bytes, at)) {
      at = afterRecord(bytes, read(at, line), name, line);
    } else if (isComment(bytes, at)) {
      at = lineEnd(bytes, at);
    } else if (isPadding(bytes, at)) {
      return;
    } else {
      throw new InputError(
        name,
        `line ${line}: ${quoted(bytes, at)} is no ${format.name} record: expected ${format.mark}`,
      );
    }
  }
}

export interface FirstRecord {
  /** Offset of its mark; undefined: there is no record, or text ends before there is one. */
  readonly at?: number;
  /** Of the record, from 1. */
  readonly line: number;
  /** A line that looks like a record which lost its first characters. */
  readonly damaged?: number;
}

/** Looks for the first record behind lines of text. A control character ends the search: it is no text. */
export function firstRecord(bytes: Uint8Array, format: RecordFormat): FirstRecord {
  let line = 1;
  let at = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  while (at < bytes.length) {
    while (bytes[at] === SPACE || bytes[at] === TAB) at++;
    if (format.isStart(bytes, at)) return { at, line };
    const end = textEnd(bytes, at);
    if (end < bytes.length && bytes[end] !== CR && bytes[end] !== LF) return { line };
    for (let inside = at + 1; inside < end; inside++) {
      if (format.isStart(bytes, inside) && format.isWhole(bytes, inside, end)) {
        return { at: inside, line };
      }
    }
    if (isHexLine(bytes, at, end)) return { line, damaged: line };
    at = bytes[end] === CR && bytes[end + 1] === LF ? end + 2 : end + 1;
    line++;
  }
  return { line };
}

/** What stands in a line from `at` on, for a message. */
function quoted(bytes: Uint8Array, at: number): string {
  const end = Math.min(lineEnd(bytes, at), at + 40);
  const text = Buffer.from(bytes.subarray(at, end)).toString('latin1');
  return JSON.stringify(text.replaceAll(/[^\x20-\x7e]/g, '?'));
}

/** Offset of the line end at or behind `at`; the length of the file where it ends first. */
export function lineEnd(bytes: Uint8Array, at: number): number {
  let end = at;
  while (end < bytes.length && bytes[end] !== LF && bytes[end] !== CR) end++;
  return end;
}

/** As `lineEnd`, but blanks at the end of the line do not count. */
function trimmedEnd(bytes: Uint8Array, at: number): number {
  let end = lineEnd(bytes, at);
  while (end > at && (bytes[end - 1] === SPACE || bytes[end - 1] === TAB)) end--;
  return end;
}

/**
 * What is wrong with the characters of the record at `at`: its mark has `markLength` characters, and `digits`
 * hexadecimal digits are expected behind it. Undefined where they are there.
 */
export function digitFault(
  bytes: Uint8Array,
  at: number,
  markLength: number,
  digits: number,
): string | undefined {
  const end = trimmedEnd(bytes, at);
  const begin = at + markLength;
  for (let index = begin; index < Math.min(end, begin + digits); index++) {
    if (isHexDigit(bytes[index])) continue;
    const character = quoted(bytes.subarray(index, index + 1), 0);
    return `character ${index - at + 1} of the record is ${character}, a hexadecimal digit is expected`;
  }
  const found = end - begin;
  return found < digits ? `it is cut off: ${found} of ${digits} digits are there` : undefined;
}

function afterRecord(bytes: Uint8Array, at: number, name: string, line: number): number {
  const byte = bytes[at];
  if (byte === CR || byte === LF || byte === undefined) return at;
  const end = trimmedEnd(bytes, at);
  if (end <= at || isPadding(bytes, at)) return end;
  throw new InputError(name, `line ${line}: ${quoted(bytes, at)} stands behind the record`);
}

function isComment(bytes: Uint8Array, at: number): boolean {
  const byte = bytes[at];
  return byte === 0x3b || byte === 0x23 || (byte === 0x2f && bytes[at + 1] === 0x2f);
}

/** Ctrl-Z of CP/M and DOS, or zeros, up to the end of the file. */
function isPadding(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] !== 0x1a && bytes[at] !== 0) return false;
  return bytes.subarray(at).every((byte) => byte === 0x1a || byte === 0);
}

/** Not of a text: control characters, and FF, which erased memory holds and no encoding of comments has. */
function isControl(byte: number): boolean {
  return (
    (byte < SPACE && byte !== TAB && byte !== FORM_FEED && byte !== VERTICAL_TAB) || byte === 0xff
  );
}

/** Offset of the line end, or of a control character before it. */
function textEnd(bytes: Uint8Array, at: number): number {
  let end = at;
  while (end < bytes.length && !isControl(bytes[end] ?? 0)) end++;
  return end;
}

/** One word of at least ten characters, most of them hexadecimal digits. */
function isHexLine(bytes: Uint8Array, at: number, end: number): boolean {
  const length = end - at;
  if (length < 10 || length > 600) return false;
  let digits = 0;
  for (let index = at; index < end; index++) {
    if (bytes[index] === SPACE || bytes[index] === TAB) return false;
    if (isHexDigit(bytes[index])) digits++;
  }
  return digits >= 0.8 * length;
}
