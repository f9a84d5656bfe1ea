// Flash files made by hand: records with right checksums, ELF and VBF files field by field, an LZSS packer.

import { crc32 } from 'node:zlib';
import { asciiBytes, concatBytes, fromHex, uintToBytes } from '../../src/core/bytes.ts';
import { InputError } from '../../src/core/errors.ts';
import { crc16 } from '../../src/image/formats/crc16.ts';
import type { LoadedImage } from '../../src/image/loaded-image.ts';

/** `:` and the checksum are added to `digits`. */
export function hexLine(digits: string): string {
  const bytes = fromHex(digits);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  return `:${digits}${((-sum & 0xff) + 0x100).toString(16).slice(1).toUpperCase()}`;
}

/** Length and checksum are added. */
export function sLine(type: number, digits: string): string {
  const body = fromHex(digits);
  const bytes = [body.length + 1, ...body];
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  const text = [...bytes, ~sum & 0xff].map((byte) => (byte + 0x100).toString(16).slice(1));
  return `S${type}${text.join('').toUpperCase()}`;
}

export function lines(...all: readonly string[]): Uint8Array {
  return asciiBytes(`${all.join('\n')}\n`);
}

/** `08000000:0102`, as one text for each segment. */
export function shown({ image }: Pick<LoadedImage, 'image'>): string[] {
  return image.segments.map(({ address, bytes }) => {
    const at = address.toString(16).padStart(8, '0');
    return `${at}:${Buffer.from(bytes).toString('hex')}`;
  });
}

/** The message of the InputError that `run` throws; any other error goes through. */
export function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
  throw new Error('nothing was refused');
}

interface ElfSegment {
  readonly type?: number;
  readonly address: number;
  readonly bytes: Uint8Array;
  /** Of the header, where it lies. */
  readonly filesz?: number;
  readonly offset?: number;
}

export interface ElfFields {
  readonly is64?: boolean;
  readonly big?: boolean;
  readonly type?: number;
  readonly entry?: number;
  readonly phnum?: number;
  readonly segments: readonly ElfSegment[];
}

/** ELF header, program headers, bytes of the segments. p_vaddr is not p_paddr. */
export function makeElf(fields: ElfFields): Uint8Array {
  const { is64 = false, big = false, segments } = fields;
  const little = !big;
  const headerBytes = is64 ? 64 : 52;
  const entryBytes = is64 ? 56 : 32;
  const dataAt = headerBytes + segments.length * entryBytes;
  const length = segments.reduce((sum, { bytes }) => sum + bytes.length, dataAt);
  const file = new Uint8Array(length);
  const view = new DataView(file.buffer);
  const word = (at: number, value: number): void =>
    is64 ? view.setBigUint64(at, BigInt(value), little) : view.setUint32(at, value, little);
  file.set([0x7f, 0x45, 0x4c, 0x46, is64 ? 2 : 1, big ? 2 : 1, 1]);
  view.setUint16(16, fields.type ?? 2, little);
  view.setUint16(18, 40, little);
  view.setUint32(20, 1, little);
  word(24, fields.entry ?? 0);
  word(is64 ? 32 : 28, headerBytes);
  view.setUint16(is64 ? 52 : 40, headerBytes, little);
  view.setUint16(is64 ? 54 : 42, entryBytes, little);
  view.setUint16(is64 ? 56 : 44, fields.phnum ?? segments.length, little);
  let at = dataAt;
  for (const [index, { type = 1, address, bytes, filesz, offset }] of segments.entries()) {
    const header = headerBytes + index * entryBytes;
    view.setUint32(header, type, little);
    word(header + (is64 ? 8 : 4), offset ?? at);
    word(header + (is64 ? 16 : 8), 0x2000_0000);
    word(header + (is64 ? 24 : 12), address);
    word(header + (is64 ? 32 : 16), filesz ?? bytes.length);
    word(header + (is64 ? 40 : 20), bytes.length + 64);
    file.set(bytes, at);
    at += bytes.length;
  }
  return file;
}

export interface VbfFields {
  /** Lines of the header, without file_checksum. */
  readonly header?: readonly string[];
  readonly blocks: readonly {
    readonly address: number;
    readonly stored: Uint8Array;
    /** What the CRC-16 is taken of; `stored` where it is left out. */
    readonly data?: Uint8Array;
    readonly crc?: number;
  }[];
  /** Between header and blocks. */
  readonly gap?: string;
  readonly checksum?: number | null;
}

export function makeVbf({ header = [], blocks, gap = '', checksum }: VbfFields): Uint8Array {
  const body = concatBytes(
    ...blocks.flatMap(({ address, stored, data = stored, crc = crc16(data) }) => [
      uintToBytes(address, 4),
      uintToBytes(stored.length, 4),
      stored,
      uintToBytes(crc, 2),
    ]),
  );
  const sum = checksum === undefined ? crc32(body) : checksum;
  const text = [
    'vbf_version = 2.6;',
    'header {',
    ...header.map((line) => `  ${line}`),
    ...(sum === null ? [] : [`  file_checksum = 0x${sum.toString(16)};`]),
    '}',
  ];
  return concatBytes(asciiBytes(text.join('\r\n') + gap), body);
}

/** Greedy; refers to at most the last 1,023 bytes. `end` appends position 0, which ends the data. */
export function packLzss(data: Uint8Array, end = false): Uint8Array {
  const bits: number[] = [];
  const put = (value: number, count: number): void => {
    for (let bit = count - 1; bit >= 0; bit--) bits.push((value >> bit) & 1);
  };
  for (let at = 0; at < data.length; ) {
    let best = 0;
    let from = 0;
    // Position 1,024 does not fit into 10 bits: a place that is 1,023 in the ring cannot be named.
    for (let start = Math.max(0, at - 1023); start < at; start++) {
      if ((start & 1023) === 1023) continue;
      let length = 0;
      while (
        length < 17 &&
        at + length < data.length &&
        data[start + length] === data[at + length]
      ) {
        length++;
      }
      if (length > best) {
        best = length;
        from = start;
      }
    }
    if (best >= 2) {
      put(0, 1);
      put((from & 1023) + 1, 10);
      put(best - 2, 4);
      at += best;
    } else {
      put(1, 1);
      put(data[at] ?? 0, 8);
      at++;
    }
  }
  if (end) put(0, 15);
  while (bits.length % 8 !== 0) bits.push(0);
  return Uint8Array.from({ length: bits.length / 8 }, (_, byte) =>
    bits.slice(byte * 8, byte * 8 + 8).reduce((value, bit) => value * 2 + bit, 0),
  );
}
