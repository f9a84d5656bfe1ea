// The canonical form of a memory image: what is signed, stored and sent. docs/image-files.md describes it to the byte.

import { createHash } from 'node:crypto';
import { asciiBytes, bytesToUint, concatBytes, hexNumber } from '../core/bytes.ts';
import { InputError } from '../core/errors.ts';
import { MOST_SEGMENTS } from './image-builder.ts';
import type { SegmentMap } from './image-source.ts';
import { ADDRESS_END, type MemoryImage, rangesOf, type SegmentRange } from './memory-image.ts';

/** Begins the canonical form of an image with gaps; an image of one segment is its bytes and nothing else. */
const CANONICAL_MAGIC = asciiBytes('can-ota segments');

const ENTRY_BYTES = 8;
/** Behind the magic and the number of segments, 4 bytes. */
const TABLE_AT = CANONICAL_MAGIC.length + 4;

/** bytes before the data of an image with the largest number of segments */
export const LONGEST_MAP_BYTES = TABLE_AT + MOST_SEGMENTS * ENTRY_BYTES;

export type SegmentMapResult =
  | { readonly ok: true; readonly map: SegmentMap }
  /** The payload claims to have a segment map, and the map is wrong. */
  | { readonly ok: false; readonly reason: string };

/**
 * The bytes that a release stores and that its digest is taken of. A view of the segment where there is one segment.
 * Throws InputError for a single segment that begins as a segment map does.
 */
export function canonicalPayload(image: MemoryImage): Uint8Array {
  return concatOne(partsOf(image));
}

/** SHA-256 of `canonicalPayload`, lower-case hexadecimal, without making the payload. */
export function canonicalDigest(image: MemoryImage): string {
  const hash = createHash('sha256');
  for (const part of partsOf(image)) hash.update(part);
  return hash.digest('hex');
}

export function hasCanonicalMagic(bytes: Uint8Array): boolean {
  return CANONICAL_MAGIC.every((byte, index) => bytes[index] === byte);
}

/** The image of a payload with several segments; undefined for any other payload. Throws InputError for a wrong map. */
export function readCanonical(bytes: Uint8Array): MemoryImage | undefined {
  if (!hasCanonicalMagic(bytes)) return undefined;
  const tableBytes = tableLength(bytes, bytes.length);
  const result =
    typeof tableBytes === 'string'
      ? ({ ok: false, reason: tableBytes } as const)
      : parseTable(bytes.subarray(TABLE_AT, TABLE_AT + tableBytes), bytes.length);
  if (!result.ok) throw new InputError('segment map', result.reason);
  let at = result.map.dataOffset;
  const segments = result.map.segments.map(({ address, length }) => {
    const segment = { address, bytes: bytes.subarray(at, at + length) };
    at += length;
    return segment;
  });
  return { segments };
}

/**
 * Reads the head of a payload of `length` bytes; undefined where it has no segment map, so that its bytes are one
 * segment. `read` gives exactly the bytes that are asked for. At most 512 KiB are read.
 */
export async function readSegmentMap(
  read: (offset: number, length: number) => Promise<Uint8Array>,
  length: number,
): Promise<SegmentMapResult | undefined> {
  const head = await read(0, Math.min(TABLE_AT, length));
  if (!hasCanonicalMagic(head)) return undefined;
  const tableBytes = tableLength(head, length);
  if (typeof tableBytes === 'string') return { ok: false, reason: tableBytes };
  return parseTable(await read(TABLE_AT, tableBytes), length);
}

function partsOf(image: MemoryImage): readonly Uint8Array[] {
  const data = image.segments.map(({ bytes }) => bytes);
  const [only] = data;
  if (only !== undefined && data.length === 1) {
    if (hasCanonicalMagic(only)) {
      throw new InputError(
        'image',
        'its data begin with "can-ota segments", as the segment map of an image with gaps does',
      );
    }
    return data;
  }
  return [headOf(rangesOf(image)), ...data];
}

function headOf(ranges: readonly SegmentRange[]): Uint8Array {
  const head = new Uint8Array(TABLE_AT + ranges.length * ENTRY_BYTES);
  head.set(CANONICAL_MAGIC);
  const view = new DataView(head.buffer);
  view.setUint32(CANONICAL_MAGIC.length, ranges.length);
  for (const [index, { address, length }] of ranges.entries()) {
    const at = TABLE_AT + index * ENTRY_BYTES;
    view.setUint32(at, address);
    view.setUint32(at + 4, length);
  }
  return head;
}

function concatOne(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  return only !== undefined && parts.length === 1 ? only : concatBytes(...parts);
}

/** bytes of the table, or what is wrong with its length */
function tableLength(head: Uint8Array, payloadLength: number): number | string {
  if (head.length < TABLE_AT) return 'it ends within the number of segments';
  const count = bytesToUint(head.subarray(CANONICAL_MAGIC.length, TABLE_AT));
  if (count < 2 || count > MOST_SEGMENTS) {
    return `it has ${count} segments, 2 to ${MOST_SEGMENTS} are possible`;
  }
  const tableBytes = count * ENTRY_BYTES;
  if (TABLE_AT + tableBytes > payloadLength) {
    return `its table of ${count} segments is cut off: the payload has ${payloadLength} bytes`;
  }
  return tableBytes;
}

function parseTable(table: Uint8Array, payloadLength: number): SegmentMapResult {
  const segments: SegmentRange[] = [];
  const dataOffset = TABLE_AT + table.length;
  let end = -1;
  let total = 0;
  for (let at = 0; at < table.length; at += ENTRY_BYTES) {
    const address = bytesToUint(table.subarray(at, at + 4));
    const length = bytesToUint(table.subarray(at + 4, at + ENTRY_BYTES));
    const which = `segment ${segments.length + 1} at ${hexNumber(address, 8)}`;
    if (length === 0) return { ok: false, reason: `${which} has no bytes` };
    if (address <= end) {
      return {
        ok: false,
        reason: `${which} does not lie behind the one before with a gap between`,
      };
    }
    end = address + length;
    if (end > ADDRESS_END) return { ok: false, reason: `${which} ends behind the last address` };
    total += length;
    segments.push({ address, length });
  }
  if (dataOffset + total !== payloadLength) {
    return {
      ok: false,
      reason: `its segments have ${total} bytes, the payload has ${payloadLength - dataOffset} behind the table`,
    };
  }
  return { ok: true, map: { segments, dataOffset } };
}
