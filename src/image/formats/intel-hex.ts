// Intel HEX (Intel, "Hexadecimal Object File Format Specification", revision A, 1988).

import { hexNumber } from '../../core/bytes.ts';
import { InputError } from '../../core/errors.ts';
import { buildImage, type PieceSink } from '../image-builder.ts';
import type { LoadedImage } from '../loaded-image.ts';
import type { MemoryImage } from '../memory-image.ts';
import {
  decodeHex,
  digitFault,
  forEachRecord,
  hexPair,
  isHexDigit,
  lineText,
  NO_DIGITS,
  type RecordFormat,
} from './record-lines.ts';
import { recordsOf, textPieces } from './record-writer.ts';

const COLON = 0x3a;
/** `:`, length, address, type */
const HEAD_CHARS = 9;

/** Types of records, and how many data bytes each has. */
const RecordType = {
  data: 0,
  endOfFile: 1,
  extendedSegmentAddress: 2,
  startSegmentAddress: 3,
  extendedLinearAddress: 4,
  startLinearAddress: 5,
} as const;
const FIXED_LENGTHS: Readonly<Record<number, number>> = { 1: 0, 2: 2, 3: 4, 4: 2, 5: 4 };

export const INTEL_HEX: RecordFormat = {
  name: 'Intel HEX',
  mark: '":"',
  isStart: (bytes, at) => bytes[at] === COLON,
  isWhole: (bytes, at, end) => {
    const count = hexPair(bytes, at + 1);
    if (count > 0xff) return false;
    let last = at + HEAD_CHARS + 2 * count + 2;
    for (let digit = at + 1; digit < last; digit++) if (!isHexDigit(bytes[digit])) return false;
    while (last < end && bytes[last] === 0x20) last++;
    return last === end;
  },
};

/** Throws InputError with the line. */
export function readIntelHex(bytes: Uint8Array, name: string): LoadedImage {
  const reader = new HexReader(bytes, name);
  const image = buildImage(name, lineText, (sink) => reader.read(sink));
  const { start, records, addresses } = reader;
  return {
    format: 'intel-hex',
    image,
    start,
    facts: [
      { name: 'records', value: String(records) },
      { name: 'addresses', value: addresses },
    ],
  };
}

class HexReader {
  readonly #bytes: Uint8Array;
  readonly #name: string;
  /** The data of all records, one behind the other. */
  readonly #data: Uint8Array;
  readonly #scratch = new Uint8Array(4);
  #filled = 0;
  #base = 0;
  #startLine = 0;
  #endLine: number | undefined;
  start: number | null = null;
  records = 0;
  addresses: '16 bit' | 'segmented' | 'linear' = '16 bit';

  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = bytes;
    this.#name = name;
    this.#data = new Uint8Array(bytes.length >> 1);
  }

  read(sink: PieceSink): void {
    this.#filled = 0;
    this.#base = 0;
    this.#endLine = undefined;
    this.start = null;
    this.records = 0;
    this.addresses = '16 bit';
    forEachRecord(this.#bytes, this.#name, INTEL_HEX, (at, line) => this.#record(at, line, sink));
    if (this.#endLine === undefined) {
      throw new InputError(
        this.#name,
        'has no end of file record (:00000001FF): the file is cut off, or it was not written to its end',
      );
    }
  }

  /** Returns the offset behind the record. */
  #record(at: number, line: number, sink: PieceSink): number {
    const bytes = this.#bytes;
    if (this.#endLine !== undefined) {
      throw this.#fault(
        line,
        `a record behind the end of file record of line ${this.#endLine}: are these two files in one?`,
      );
    }
    const count = hexPair(bytes, at + 1);
    const high = hexPair(bytes, at + 3);
    const low = hexPair(bytes, at + 5);
    const type = hexPair(bytes, at + 7);
    const checksumAt = at + HEAD_CHARS + 2 * count;
    const checksum = hexPair(bytes, checksumAt);
    const isData = type === RecordType.data;
    const target = isData ? this.#data : this.#scratch;
    const offset = isData ? this.#filled : 0;
    const isComplete = (count | high | low | type | checksum) <= 0xff;
    const sum = isComplete ? decodeHex(bytes, at + HEAD_CHARS, count, target, offset) : NO_DIGITS;
    if (sum === NO_DIGITS) throw this.#fault(line, recordFault(bytes, at));
    const expected = -(count + high + low + type + sum) & 0xff;
    if (checksum !== expected) {
      throw this.#fault(
        line,
        `checksum ${hexText(checksum)}, ${hexText(expected)} is right for its bytes`,
      );
    }
    this.records++;
    if (isData) this.#addData((high << 8) | low, count, line, sink);
    else this.#setMode(type, (high << 8) | low, count, line);
    return checksumAt + 2;
  }

  #addData(offset: number, count: number, line: number, sink: PieceSink): void {
    // Intel: addresses of a segment wrap within its 64 KiB, linear ones go on.
    const beforeWrap = this.addresses === 'segmented' ? Math.min(count, 0x1_0000 - offset) : count;
    sink.add(this.#base + offset, this.#data, this.#filled, beforeWrap, line);
    if (beforeWrap < count) {
      sink.add(this.#base, this.#data, this.#filled + beforeWrap, count - beforeWrap, line);
    }
    this.#filled += count;
  }

  #setMode(type: number, address: number, count: number, line: number): void {
    const expected = FIXED_LENGTHS[type];
    if (expected === undefined) {
      throw this.#fault(line, `record type ${hexText(type)}: expected 00 to 05`);
    }
    if (count !== expected) {
      throw this.#fault(
        line,
        `a record of type 0${type} has ${expected} data bytes, this one ${count}`,
      );
    }
    const value = new DataView(this.#scratch.buffer);
    switch (type) {
      case RecordType.endOfFile:
        this.#endLine = line;
        // Of the time before types 03 and 05: the end record's own address.
        if (address !== 0 && this.start === null) this.#setStart(address, line);
        break;
      case RecordType.extendedSegmentAddress:
        this.#base = value.getUint16(0) * 16;
        this.addresses = 'segmented';
        break;
      case RecordType.startSegmentAddress:
        this.#setStart(value.getUint16(0) * 16 + value.getUint16(2), line);
        break;
      case RecordType.extendedLinearAddress:
        this.#base = value.getUint16(0) * 0x1_0000;
        this.addresses = 'linear';
        break;
      default:
        this.#setStart(value.getUint32(0), line);
    }
  }

  #setStart(value: number, line: number): void {
    if (this.start !== null && this.start !== value) {
      throw this.#fault(
        line,
        `start address ${hexNumber(value, 8)}, but line ${this.#startLine} says ${hexNumber(this.start, 8)}`,
      );
    }
    this.start = value;
    this.#startLine = line;
  }

  #fault(line: number, message: string): InputError {
    return new InputError(this.#name, `${lineText(line)}: ${message}`);
  }
}

/**
 * Records of 32 data bytes, linear addresses, a start address where there is one. Lines end with `\n`; they come in
 * pieces of about 64 KiB.
 */
export function writeIntelHex(
  image: MemoryImage,
  start: number | null,
): Generator<Uint8Array, void> {
  return textPieces(hexLines(image, start));
}

function* hexLines(image: MemoryImage, start: number | null): Generator<string, void> {
  let high = 0;
  for (const { address, bytes } of recordsOf(image)) {
    const upper = Math.floor(address / 0x1_0000);
    if (upper !== high) {
      yield hexRecord(0, RecordType.extendedLinearAddress, [upper >> 8, upper & 0xff]);
      high = upper;
    }
    yield hexRecord(address & 0xffff, RecordType.data, bytes);
  }
  if (start !== null) {
    const bytes = [start >>> 24, (start >>> 16) & 0xff, (start >>> 8) & 0xff, start & 0xff];
    yield hexRecord(0, RecordType.startLinearAddress, bytes);
  }
  yield hexRecord(0, RecordType.endOfFile, []);
}

function hexRecord(offset: number, type: number, data: ArrayLike<number>): string {
  const record = Buffer.from([
    data.length,
    offset >> 8,
    offset & 0xff,
    type,
    ...Array.from(data),
    0,
  ]);
  let sum = 0;
  for (const byte of record) sum += byte;
  record[record.length - 1] = -sum & 0xff;
  return `:${record.toString('hex').toUpperCase()}`;
}

/** Why the record at `at` could not be decoded. */
function recordFault(bytes: Uint8Array, at: number): string {
  const head = digitFault(bytes, at, 1, HEAD_CHARS + 1);
  if (head !== undefined) return head;
  const count = hexPair(bytes, at + 1);
  return digitFault(bytes, at, 1, 2 * count + HEAD_CHARS + 1) ?? 'it cannot be read';
}

function hexText(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0');
}
