// What a file is, by its content: one of the formats of flash files, something else that has a name, text, or none of these.

import { foreignKind } from './foreign-kind.ts';
import { INTEL_HEX } from './formats/intel-hex.ts';
import { firstRecord, isHexDigit, lineEnd, type RecordFormat } from './formats/record-lines.ts';
import { S_RECORD } from './formats/s-record.ts';
import { isVbf } from './formats/vbf-header.ts';
import type { ImageFormat } from './loaded-image.ts';

export type Recognised =
  /** Its reader says what is wrong with it. `isBinary`: records stand among bytes that are no text. */
  | {
      readonly kind: 'format';
      readonly format: Exclude<ImageFormat, 'raw'>;
      readonly isBinary?: boolean;
    }
  /** Never an image as it is. */
  | { readonly kind: 'foreign'; readonly what: string; readonly advice?: string }
  /** Several lines of readable text. */
  | { readonly kind: 'text' }
  /** Bytes, or one line of text. */
  | { readonly kind: 'unknown' };

/** How far a format is looked for behind bytes that are no text. */
const SAMPLE = 4096;
const TEXT_SAMPLE = 1 << 16;

/** `bytes` are the whole file, or its first MiB. */
export function recognise(bytes: Uint8Array): Recognised {
  if (startsWith(bytes, [0x7f, 0x45, 0x4c, 0x46])) return { kind: 'format', format: 'elf' };
  const text = textOf(bytes);
  const isBinary = text === undefined;
  if (isRecords(bytes, INTEL_HEX, isHexRecord)) {
    return { kind: 'format', format: 'intel-hex', isBinary };
  }
  if (isRecords(bytes, S_RECORD, isSRecord)) {
    return { kind: 'format', format: 's-record', isBinary };
  }
  if (isVbf(bytes)) return { kind: 'format', format: 'vbf' };
  const foreign = foreignKind(bytes, text);
  if (foreign !== undefined) return { kind: 'foreign', ...foreign };
  const lines = (text ?? '').split(/[\r\n]+/).filter((line) => line.trim() !== '');
  return { kind: lines.length > 1 ? 'text' : 'unknown' };
}

/** Also what is damaged: a record anywhere in the first 4 KiB, or an end record as last line. */
function isRecords(
  bytes: Uint8Array,
  format: RecordFormat,
  isRecord: (bytes: Uint8Array, at: number) => boolean,
): boolean {
  const { at, damaged } = firstRecord(bytes, format);
  if (damaged !== undefined) return hasRecordLine(bytes, Math.min(bytes.length, 1 << 20), isRecord);
  if (at !== undefined && isRecord(bytes, at)) return true;
  return hasRecordLine(bytes, Math.min(bytes.length, SAMPLE), isRecord) || endsAs(bytes, isRecord);
}

function hasRecordLine(
  bytes: Uint8Array,
  end: number,
  isRecord: (bytes: Uint8Array, at: number) => boolean,
): boolean {
  for (let at = 0; at < end; at++) {
    const before = bytes[at - 1];
    if ((before === undefined || before === 0x0a || before === 0x0d) && isRecord(bytes, at)) {
      return true;
    }
  }
  return false;
}

/** Is the last line a record with nothing but digits? */
function endsAs(bytes: Uint8Array, isRecord: (bytes: Uint8Array, at: number) => boolean): boolean {
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d)) end--;
  let at = end;
  while (at > 0 && end - at < 100 && bytes[at - 1] !== 0x0a && bytes[at - 1] !== 0x0d) at--;
  if (end - at < 10 || end - at >= 100 || !isRecord(bytes, at)) return false;
  for (let digit = at + 2; digit < end; digit++) if (!isHexDigit(bytes[digit])) return false;
  return true;
}

function isHexRecord(bytes: Uint8Array, at: number): boolean {
  return INTEL_HEX.isStart(bytes, at) && digitsFrom(bytes, at + 1) >= 8;
}

function isSRecord(bytes: Uint8Array, at: number): boolean {
  return S_RECORD.isStart(bytes, at) && digitsFrom(bytes, at + 2) >= 8;
}

/** How many of the next 10 characters of the line are hexadecimal digits. */
function digitsFrom(bytes: Uint8Array, at: number): number {
  const end = Math.min(lineEnd(bytes.subarray(0, at + 10), at), at + 10);
  let digits = 0;
  for (let index = at; index < end; index++) if (isHexDigit(bytes[index])) digits++;
  return digits;
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, index) => bytes[index] === byte);
}

/** The first 64 KiB, where they are readable text in UTF-8 or ASCII. */
function textOf(bytes: Uint8Array): string | undefined {
  const head = bytes.subarray(0, TEXT_SAMPLE);
  for (const byte of head) {
    if (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d && byte !== 0x0c) {
      return undefined;
    }
  }
  try {
    // A character that the sample cuts is no mistake.
    return new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true });
  } catch {
    return undefined;
  }
}
