// Motorola S-records: S0 header, S1 to S3 data, S5 and S6 counts, S7 to S9 start address and end.

import { asciiBytes, hexNumber } from '../../core/bytes.ts';
import { InputError } from '../../core/errors.ts';
import { printable } from '../../core/text-table.ts';
import { buildImage, type PieceSink } from '../image-builder.ts';
import type { ImageFact, LoadedImage } from '../loaded-image.ts';
import { type MemoryImage, spanOf } from '../memory-image.ts';
import {
  decodeHex,
  digitFault,
  forEachRecord,
  hexPair,
  lineText,
  NO_DIGITS,
  type RecordFormat,
} from './record-lines.ts';
import { recordsOf, textPieces } from './record-writer.ts';

/** Bytes of the address field by the digit of the type; 4 is reserved. */
const ADDRESS_BYTES: readonly number[] = [2, 2, 3, 4, 0, 2, 3, 4, 3, 2];
/** `S`, type, length */
const HEAD_CHARS = 4;

export const S_RECORD: RecordFormat = {
  name: 'S-record',
  mark: '"S" and a digit',
  isStart: (bytes, at) => {
    const type = bytes[at + 1] ?? 0;
    return (bytes[at] === 0x53 || bytes[at] === 0x73) && type >= 0x30 && type <= 0x39;
  },
  isWhole: () => false,
};

/** Throws InputError with the line. */
export function readSRecord(bytes: Uint8Array, name: string): LoadedImage {
  const reader = new SRecordReader(bytes, name);
  const image = buildImage(name, lineText, (sink) => reader.read(sink));
  return { format: 's-record', image, start: reader.start, facts: reader.facts() };
}

class SRecordReader {
  readonly #bytes: Uint8Array;
  readonly #name: string;
  /** The data of all records, one behind the other. */
  readonly #data: Uint8Array;
  readonly #scratch = new Uint8Array(255);
  #filled = 0;
  #header: string | undefined;
  #dataRecords = 0;
  #widest = 0;
  #lastLine = 0;
  #last: 'data' | 'count' | 'end' = 'data';
  start: number | null = null;

  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = bytes;
    this.#name = name;
    this.#data = new Uint8Array(bytes.length >> 1);
  }

  read(sink: PieceSink): void {
    this.#filled = 0;
    this.#header = undefined;
    this.#dataRecords = 0;
    this.#widest = 0;
    this.#last = 'data';
    this.start = null;
    forEachRecord(this.#bytes, this.#name, S_RECORD, (at, line) => this.#record(at, line, sink));
    // Some programs end with the count; that it is right shows that nothing is missing.
    if (this.#last === 'data') {
      throw new InputError(
        this.#name,
        'ends without S7, S8 or S9 and without a count (S5, S6): the file is cut off, or its last line, such as S9030000FC, was left out',
      );
    }
  }

  facts(): readonly ImageFact[] {
    const title = printable(this.#header ?? '').trim();
    return [
      ...(title === '' ? [] : [{ name: 'header', value: title }]),
      { name: 'records', value: `${this.#dataRecords} with ${8 * this.#widest} bit addresses` },
    ];
  }

  /** Returns the offset behind the record. */
  #record(at: number, line: number, sink: PieceSink): number {
    const bytes = this.#bytes;
    if (this.#last === 'end') {
      throw this.#fault(
        line,
        `a record behind the last one, line ${this.#lastLine}: are these two files in one?`,
      );
    }
    const type = (bytes[at + 1] ?? 0) - 0x30;
    const addressBytes = ADDRESS_BYTES[type] ?? 0;
    if (addressBytes === 0) {
      throw this.#fault(line, 'S4 is reserved: expected S0 to S3 or S5 to S9');
    }
    const count = hexPair(bytes, at + 2);
    const length = count - addressBytes - 1;
    if (count <= 0xff && length < 0) {
      throw this.#fault(
        line,
        `its length is ${count}: address and checksum of an S${type} record have ${addressBytes + 1} bytes`,
      );
    }
    const isData = type >= 1 && type <= 3;
    const dataAt = at + HEAD_CHARS + 2 * addressBytes;
    const checksumAt = dataAt + 2 * length;
    const checksum = hexPair(bytes, checksumAt);
    const isComplete = (count | checksum) <= 0xff;
    const addressSum = isComplete
      ? decodeHex(bytes, at + HEAD_CHARS, addressBytes, this.#scratch, 0)
      : NO_DIGITS;
    const address = uint(this.#scratch, addressBytes);
    const target = isData ? this.#data : this.#scratch;
    const dataSum = isComplete
      ? decodeHex(bytes, dataAt, length, target, isData ? this.#filled : 0)
      : NO_DIGITS;
    if (addressSum === NO_DIGITS || dataSum === NO_DIGITS) {
      const digits = count <= 0xff ? 2 * count + 2 : 2;
      throw this.#fault(line, digitFault(bytes, at, 2, digits) ?? 'it cannot be read');
    }
    const expected = ~(count + addressSum + dataSum) & 0xff;
    if (checksum !== expected) {
      throw this.#fault(
        line,
        `checksum ${hexByte(checksum)}, ${hexByte(expected)} is right for its bytes`,
      );
    }
    if (isData) {
      if (this.#last === 'count') {
        throw this.#fault(
          line,
          `data behind the count of line ${this.#lastLine}: are these two files in one?`,
        );
      }
      sink.add(address, this.#data, this.#filled, length, line);
      this.#filled += length;
      this.#dataRecords++;
      if (addressBytes > this.#widest) this.#widest = addressBytes;
    } else this.#setFact(type, address, length, line);
    this.#lastLine = line;
    return checksumAt + 2;
  }

  #setFact(type: number, address: number, length: number, line: number): void {
    if (type === 0) {
      this.#header ??= Buffer.from(this.#scratch.subarray(0, length)).toString('latin1');
      return;
    }
    if (length > 0)
      throw this.#fault(line, `an S${type} record has no data, this one ${length} bytes`);
    if (type >= 7) {
      this.start = address;
      this.#last = 'end';
      return;
    }
    if (address !== this.#dataRecords) {
      throw this.#fault(
        line,
        `it counts ${address} data records, the file has ${this.#dataRecords} before it`,
      );
    }
    this.#last = 'count';
  }

  #fault(line: number, message: string): InputError {
    return new InputError(this.#name, `${lineText(line)}: ${message}`);
  }
}

/**
 * S1, S2 or S3 records of 32 data bytes, the shortest that hold all addresses, S0 before and the matching S9, S8 or S7
 * behind them, with a count between where it fits into one. Lines end with `\n`; they come in pieces of about 64 KiB.
 */
export function writeSRecord(
  image: MemoryImage,
  start: number | null,
): Generator<Uint8Array, void> {
  return textPieces(sLines(image, start));
}

function* sLines(image: MemoryImage, start: number | null): Generator<string, void> {
  const { address: first, length } = spanOf(image);
  const highest = Math.max(first + length - 1, start ?? 0);
  const width = highest <= 0xffff ? 2 : highest <= 0xff_ffff ? 3 : 4;
  const nothing = new Uint8Array(0);
  yield sRecord(0, 2, 0, asciiBytes('can-ota'));
  let records = 0;
  for (const { address, bytes } of recordsOf(image)) {
    yield sRecord(width - 1, width, address, bytes);
    records++;
  }
  if (records <= 0xffff) yield sRecord(5, 2, records, nothing);
  else if (records <= 0xff_ffff) yield sRecord(6, 3, records, nothing);
  yield sRecord(11 - width, width, start ?? 0, nothing);
}

function sRecord(type: number, width: number, address: number, data: Uint8Array): string {
  const record = Buffer.alloc(1 + width + data.length + 1);
  record[0] = record.length - 1;
  record.writeUIntBE(address, 1, width);
  record.set(data, 1 + width);
  let sum = 0;
  for (const byte of record) sum += byte;
  record[record.length - 1] = ~sum & 0xff;
  return `S${type}${record.toString('hex').toUpperCase()}`;
}

function uint(bytes: Uint8Array, length: number): number {
  let value = 0;
  for (let index = 0; index < length; index++) value = value * 256 + (bytes[index] ?? 0);
  return value;
}

function hexByte(byte: number): string {
  return hexNumber(byte, 2).slice(2);
}
