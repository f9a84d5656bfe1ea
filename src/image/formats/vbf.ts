// VBF files of Ford, Volvo, Jaguar Land Rover and Geely: a header in text, then blocks with address, length, data and CRC-16.

import { crc32 } from 'node:zlib';
import { hexNumber } from '../../core/bytes.ts';
import { InputError } from '../../core/errors.ts';
import { LARGEST_IMAGE_BYTES, LARGEST_IMAGE_TEXT } from '../../core/image-limit.ts';
import { defined } from '../../core/optional.ts';
import { itemAt } from '../../core/present.ts';
import { printable } from '../../core/text-table.ts';
import { buildImage } from '../image-builder.ts';
import type { ImageFact, LoadedImage, VbfBlock, VbfFile } from '../loaded-image.ts';
import { ADDRESS_END, type SegmentRange } from '../memory-image.ts';
import { crc16 } from './crc16.ts';
import { unpackLzss } from './lzss.ts';
import { quotedText, readVbfHeader, type VbfHeaderText } from './vbf-header.ts';

const PLAIN = 0x00;
const LZSS = 0x10;
/** Volvo's second method; there is no decoder for it here. */
const LZMA = 0x20;

/** Address and length before the data of a block, CRC-16 behind them. */
const BLOCK_HEAD = 8;
const BLOCK_CRC = 2;

interface StoredBlock {
  readonly address: number;
  readonly stored: Uint8Array;
  readonly crc: number;
}

/** Throws InputError with the line of the header or the number of the block, from 1. */
export function readVbf(bytes: Uint8Array, name: string): LoadedImage {
  const header = readVbfHeader(bytes, name);
  const fault = (message: string): InputError => new InputError(name, `VBF: ${message}`);
  const number = (entry: string): number | undefined => {
    const text = header.entries.get(entry)?.[0];
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!/^(0[xX][0-9A-Fa-f]+|[0-9]+)$/.test(text) || value >= ADDRESS_END) {
      throw fault(`${entry} is ${quotedText(text)}: expected a number of 32 bits`);
    }
    return value;
  };
  const dataFormat = number('data_format_identifier') ?? PLAIN;
  requireDataFormat(dataFormat, fault);
  const bodyAt = bodyOffset(bytes, header.end, number('file_checksum'), fault);
  const blocks: VbfBlock[] = [];
  const unpackedBlocks: Uint8Array[] = [];
  let total = 0;
  for (const stored of blocksOf(bytes, bodyAt, fault)) {
    const place = blocks.length + 1;
    const { data, block } = unpacked(stored, place, dataFormat, LARGEST_IMAGE_BYTES - total, fault);
    total += data.length;
    unpackedBlocks.push(data);
    blocks.push(block);
  }
  const vbf: VbfFile = {
    version: printable(header.version),
    ...defined({
      partNumber: textOf(header, 'sw_part_number'),
      partType: textOf(header, 'sw_part_type'),
      ecuAddress: number('ecu_address'),
      call: number('call'),
    }),
    erase: eraseList(header, fault),
    dataFormat,
    blocks,
    header: new Map(
      [...header.entries].map(([entry, parts]) => [entry, printable(parts.join(' '))]),
    ),
  };
  return {
    format: 'vbf',
    image: buildImage(
      name,
      (place) => `block ${place}`,
      (sink) => {
        for (const [index, { address, length }] of blocks.entries()) {
          sink.add(address, itemAt(unpackedBlocks, index), 0, length, index + 1);
        }
      },
    ),
    start: vbf.call ?? null,
    facts: factsOf(vbf, bytes.length - bodyAt),
    vbf,
  };
}

function requireDataFormat(format: number, fault: (message: string) => InputError): void {
  if (format === PLAIN || format === LZSS) return;
  const text = hexNumber(format, 2);
  if ((format & 0x0f) !== 0) throw fault(`data format ${text} is encrypted, which cannot be read`);
  const what = format === LZMA ? ' (LZMA of Volvo)' : '';
  throw fault(`data format ${text}${what} cannot be read: expected 0x00 (plain) or 0x10 (LZSS)`);
}

/**
 * Where the blocks begin. Most writers put them right behind the brace, some behind a line end, which could be an
 * address, too: the file's checksum, or the lengths of the blocks, decide.
 */
function bodyOffset(
  bytes: Uint8Array,
  headerEnd: number,
  checksum: number | undefined,
  fault: (message: string) => InputError,
): number {
  let blanksEnd = headerEnd;
  while ([0x20, 0x09, 0x0a, 0x0d].includes(bytes[blanksEnd] ?? 0)) blanksEnd++;
  const places = blanksEnd === headerEnd ? [headerEnd] : [headerEnd, blanksEnd];
  if (checksum === undefined) {
    return places.find((place) => endsWithBlock(bytes, place)) ?? headerEnd;
  }
  const place = places.find((each) => crc32(bytes.subarray(each)) === checksum);
  if (place !== undefined) return place;
  // A block that is cut off says more than the checksum.
  blocksOf(bytes, places.find((each) => endsWithBlock(bytes, each)) ?? headerEnd, fault);
  throw fault(
    `file_checksum is ${hexNumber(checksum, 8)}, ${hexNumber(crc32(bytes.subarray(headerEnd)), 8)} is right for the ${bytes.length - headerEnd} bytes behind the header: the file is damaged`,
  );
}

function endsWithBlock(bytes: Uint8Array, from: number): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = from;
  while (at + BLOCK_HEAD <= bytes.length) at += BLOCK_HEAD + view.getUint32(at + 4) + BLOCK_CRC;
  return at === bytes.length;
}

function blocksOf(
  bytes: Uint8Array,
  from: number,
  fault: (message: string) => InputError,
): StoredBlock[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const blocks: StoredBlock[] = [];
  for (let at = from; at < bytes.length; ) {
    const which = `block ${blocks.length + 1}`;
    const left = bytes.length - at - BLOCK_HEAD - BLOCK_CRC;
    if (left < 0) throw fault(`${which} is cut off within its address and length`);
    const address = view.getUint32(at);
    const length = view.getUint32(at + 4);
    if (length > left) {
      throw fault(
        `${which} at ${hexNumber(address, 8)} has ${length} bytes, and only ${left} are left: the file is cut off`,
      );
    }
    const dataAt = at + BLOCK_HEAD;
    const stored = bytes.subarray(dataAt, dataAt + length);
    blocks.push({ address, stored, crc: view.getUint16(dataAt + length) });
    at = dataAt + length + BLOCK_CRC;
  }
  return blocks;
}

function unpacked(
  { address, stored, crc }: StoredBlock,
  place: number,
  dataFormat: number,
  most: number,
  fault: (message: string) => InputError,
): { readonly data: Uint8Array; readonly block: VbfBlock } {
  const data = dataFormat === LZSS ? unpackLzss(stored, most) : stored;
  if (data === undefined || data.length > most) {
    throw fault(`block ${place} and those before it hold more than ${LARGEST_IMAGE_TEXT}`);
  }
  const right = crc16(data);
  if (crc !== right) {
    throw fault(
      `block ${place} at ${hexNumber(address, 8)}: CRC-16 ${hexNumber(crc, 4)}, ${hexNumber(right, 4)} is right for its ${data.length} bytes`,
    );
  }
  return { data, block: { address, stored, length: data.length, crc16: crc } };
}

function eraseList(
  header: VbfHeaderText,
  fault: (message: string) => InputError,
): readonly SegmentRange[] {
  const numbers = (header.entries.get('erase') ?? []).map(Number);
  if (numbers.some((each) => !Number.isInteger(each)) || numbers.length % 2 !== 0) {
    throw fault('erase: expected pairs of numbers, { { address, length }, ... }');
  }
  const list: SegmentRange[] = [];
  for (let at = 0; at < numbers.length; at += 2) {
    const address = numbers[at] ?? 0;
    const length = numbers[at + 1] ?? 0;
    if (address < 0 || length < 1 || address + length > ADDRESS_END) {
      throw fault(
        `erase: ${length} bytes at ${hexNumber(address, 8)} are not within the 32-bit addresses`,
      );
    }
    list.push({ address, length });
  }
  return list;
}

function textOf(header: VbfHeaderText, entry: string): string | undefined {
  const text = header.entries.get(entry)?.[0];
  return text === undefined ? undefined : printable(text);
}

function factsOf(vbf: VbfFile, bodyBytes: number): readonly ImageFact[] {
  const facts: ImageFact[] = [{ name: 'VBF version', value: vbf.version }];
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') facts.push({ name, value });
  };
  const hex = (value: number | undefined): string | undefined =>
    value === undefined ? undefined : hexNumber(value);
  add('part number', vbf.partNumber);
  add('part type', vbf.partType === 'SBL' ? 'SBL, a second boot loader' : vbf.partType);
  add('ECU address', hex(vbf.ecuAddress));
  add('call', hex(vbf.call));
  add(
    'erase',
    vbf.erase.map(({ address, length }) => `${hexNumber(address, 8)} ${length}`).join(', '),
  );
  add('data format', vbf.dataFormat === LZSS ? '0x10, LZSS' : '0x00, plain');
  add('blocks', `${vbf.blocks.length}, ${bodyBytes} bytes in the file`);
  return facts;
}
