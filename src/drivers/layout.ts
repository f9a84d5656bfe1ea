// Where an image goes in the memory of an ECU: the ranges that are erased, and those that are downloaded.

import { createHash } from 'node:crypto';
import type { Target } from '../campaign/ports.ts';
import { hexNumber } from '../core/bytes.ts';
import { itemAt } from '../core/present.ts';
import type { ImageSource, SegmentMap } from '../image/image-source.ts';
import type { SegmentRange } from '../image/memory-image.ts';
import { usesName } from '../vehicle/byte-template.ts';
import { regionsOf } from '../vehicle/memory.ts';
import type { VehicleEcu } from '../vehicle/schema.ts';
import { type Exchanged, failure } from './exchange.ts';

type EcuMemory = VehicleEcu['memory'];

/** bytes */
export interface MemoryRange {
  readonly address: number;
  readonly size: number;
}

/** What one RequestDownload announces, and what is carried for it. */
export interface DownloadRange extends MemoryRange {
  readonly source: ImageSource;
}

export interface Layout {
  readonly erase: readonly MemoryRange[];
  /** By rising address; one for an image without a map. */
  readonly ranges: readonly DownloadRange[];
  /** Bytes that are carried. */
  readonly carried: number;
}

const ERASED = 0xff;
const PIECE_BYTES = 64 * 1024;

/** Why an ECU that takes one range at its own address does not take the image; undefined: it does. */
function misplacedText({ name, memory }: VehicleEcu, { map }: ImageSource): string | undefined {
  const [first, second] = map?.segments ?? [];
  if (second !== undefined) {
    return (
      `the image for ${name} has ${map?.segments.length} segments, and its bootloader takes one range: fill the gaps with ` +
      '"can-ota image convert FILE --out NEW.bin --fill 0xFF" (or set programming.segments for an ECU of another make)'
    );
  }
  return first === undefined || first.address === memory.address
    ? undefined
    : `the image for ${name} begins at ${hexNumber(first.address, 8)}, the bank at ${hexNumber(memory.address, 8)} ` +
        '(memory.address): nothing was sent; correct the vehicle file, or take the right image';
}

/** The argument of `layOut` for a target. */
export function encryptedOf({
  encryption,
  plain,
}: Pick<Target, 'encryption' | 'plain'>): number | undefined {
  return encryption === undefined ? undefined : plain?.length;
}

/** Bytes of the source, or the byte that fills the room between them. */
type Piece =
  | { readonly kind: 'data'; readonly from: number; readonly length: number }
  | { readonly kind: 'fill'; readonly value: number; readonly length: number };

interface OpenRange {
  readonly address: number;
  size: number;
  readonly pieces: Piece[];
}

/**
 * The layout by the vehicle file; an image that has no place in the ECU's memory is a failure before anything is sent.
 * `encrypted`: the length of what is inside of an encrypted image.
 */
export function layOut(
  ecu: VehicleEcu,
  image: ImageSource,
  encrypted: number | undefined,
): Exchanged<Layout> {
  const { memory, programming } = ecu;
  if (image.mapFault !== undefined) {
    return failure(
      'IMAGE_INVALID',
      `the segment map of the image for ${ecu.name} is damaged: ${image.mapFault}; nothing was sent; release the image again`,
    );
  }
  if (programming.segments === 'one' || encrypted !== undefined) {
    const misplaced = misplacedText(ecu, image);
    if (misplaced !== undefined) return failure('IMAGE_MISPLACED', misplaced);
    const range = { address: memory.address, size: encrypted ?? image.length };
    const erase = eraseRanges([range], memory);
    return {
      ok: true,
      value: { erase, ranges: [{ ...range, source: image }], carried: image.length },
    };
  }
  const map = image.map ?? {
    segments: [{ address: memory.address, length: image.length }],
    dataOffset: 0,
  };
  const isLimited = image.map !== undefined || memory.regions !== undefined;
  const outside = isLimited
    ? map.segments.find((segment) => !isInside(segment, memory))
    : undefined;
  if (outside !== undefined) {
    return failure(
      'IMAGE_MISPLACED',
      `the image for ${ecu.name} has bytes at ${rangeText(outside.address, outside.length)}, outside of its memory ` +
        `(${regionsOf(memory)
          .map(({ address, size }) => rangeText(address, size))
          .join(
            ', ',
          )}): nothing was sent; correct memory.regions (or address and bankSize) in the vehicle file, or take the right image`,
    );
  }
  const ranges = viewOfSegments({ ...image, map }, memory);
  const cut = isLimited
    ? ranges.find(({ address, size }) => !isInside({ address, length: size }, memory))
    : undefined;
  if (cut !== undefined) {
    return failure(
      'IMAGE_MISPLACED',
      `the image for ${ecu.name} needs ${rangeText(cut.address, cut.size)} in whole write units or with its gaps filled, ` +
        'which is not inside of one region of its memory: nothing was sent; correct memory.writeUnit, gaps or regions',
    );
  }
  const erase = eraseRanges(ranges, memory);
  const tooFar = [...ranges, ...erase].find((range) => !fitsWidths(range, programming));
  if (tooFar !== undefined) {
    const { addressBytes, sizeBytes } = programming;
    return failure(
      'IMAGE_MISPLACED',
      `the image for ${ecu.name} has bytes at ${rangeText(tooFar.address, tooFar.size)}: ${addressBytes} bytes of address and ` +
        `${sizeBytes} of length (programming.addressBytes and sizeBytes) cannot say that; nothing was sent`,
    );
  }
  return {
    ok: true,
    value: {
      erase,
      ranges,
      carried: ranges.reduce((sum, { size }) => sum + size, 0),
    },
  };
}

function fitsWidths(
  { address, size }: MemoryRange,
  { addressBytes, sizeBytes }: VehicleEcu['programming'],
): boolean {
  return address < 2 ** (8 * addressBytes) && size < 2 ** (8 * sizeBytes);
}

/** SHA-256 of what is sent, hexadecimal: of all ranges, and of each by its address. */
export interface SentDigests {
  readonly whole: string;
  readonly each: ReadonlyMap<number, string>;
}

/**
 * What an ECU can compute over its memory: the digest of the image where that is sent as it is, otherwise the digests of the
 * ranges, for which the image is read once.
 */
export async function sentDigests(
  { programming: { checkMemory, checkMemoryArgument, checkMemoryWhen } }: VehicleEcu,
  { ranges }: Layout,
  image: ImageSource,
  plainSha256: string,
): Promise<SentDigests> {
  const isAsked =
    checkMemory !== 'skip' &&
    (checkMemoryArgument === 'sha256' || usesName(checkMemoryArgument, ['sha256']));
  const isWhole = checkMemoryWhen === 'once' && ranges.every(({ source }) => source === image);
  const each = new Map<number, string>();
  if (!isAsked || isWhole) return { whole: plainSha256, each };
  const whole = createHash('sha256');
  for (const { address, source } of ranges) {
    const own = createHash('sha256');
    for (let at = 0; at < source.length; at += PIECE_BYTES) {
      const bytes = await source.read(at, Math.min(PIECE_BYTES, source.length - at));
      own.update(bytes);
      whole.update(bytes);
    }
    each.set(address, own.digest('hex'));
  }
  return { whole: whole.digest('hex'), each };
}

/** The ranges of an image, wherever they lie. */
export function viewOfSegments(
  image: ImageSource & { readonly map: SegmentMap },
  memory: EcuMemory,
): DownloadRange[] {
  return downloadRanges(image.map, memory).map((range) => ({
    address: range.address,
    size: range.size,
    source: viewOf(image, range),
  }));
}

function isInside({ address, length }: SegmentRange, memory: EcuMemory): boolean {
  return regionsOf(memory).some(
    (region) => address >= region.address && address + length <= region.address + region.size,
  );
}

/** Extended to whole write units, and joined where the vehicle file has the gap between two filled. */
function downloadRanges({ segments, dataOffset }: SegmentMap, memory: EcuMemory): OpenRange[] {
  const { writeUnit } = memory;
  const ranges: OpenRange[] = [];
  let from = dataOffset;
  for (const { address, length } of segments) {
    const start = Math.floor(address / writeUnit) * writeUnit;
    const last = ranges.at(-1);
    const end = last === undefined ? 0 : last.address + last.size;
    const filler = last === undefined ? undefined : gapFiller(Math.max(0, start - end), memory);
    let range: OpenRange;
    if (last !== undefined && filler !== undefined) {
      // Where both lie in one write unit, what was filled behind the first is taken back.
      addFill(last, address - end, filler);
      range = last;
    } else {
      range = { address: start, size: 0, pieces: [] };
      addFill(range, address - start, ERASED);
      ranges.push(range);
    }
    range.pieces.push({ kind: 'data', from, length });
    range.size += length;
    from += length;
    addFill(range, (writeUnit - (range.size % writeUnit)) % writeUnit, ERASED);
  }
  return ranges;
}

/** The byte by which two ranges with such a gap become one; undefined: they stay apart. */
function gapFiller(gap: number, { gaps }: EcuMemory): number | undefined {
  if (gap === 0) return ERASED;
  if (gaps === 'keep') return undefined;
  if ('bridge' in gaps) return gap <= gaps.bridge ? gaps.fill : undefined;
  return gaps.fill;
}

/** A negative length takes back what was filled before. */
function addFill(range: OpenRange, length: number, value: number): void {
  if (length === 0) return;
  if (length < 0) {
    const filled = range.pieces.pop();
    if (filled?.kind !== 'fill' || filled.length < -length) {
      throw new RangeError('the segments of an image overlap');
    }
    range.size -= filled.length;
    addFill(range, filled.length + length, filled.value);
    return;
  }
  range.pieces.push({ kind: 'fill', value, length });
  range.size += length;
}

/** By rising address, sectors whole, and nothing twice. */
function eraseRanges(loaded: readonly MemoryRange[], memory: EcuMemory): MemoryRange[] {
  const { erase } = memory;
  if (Array.isArray(erase)) return [...erase];
  if (erase === 'regions') {
    return regionsOf(memory).map(({ address, size }) => ({ address, size }));
  }
  const wanted: MemoryRange[] = [];
  for (const { address, size } of loaded) {
    const unit =
      memory.regions?.find(
        (region) => address >= region.address && address < region.address + region.size,
      )?.eraseUnit ?? 1;
    const start = Math.floor(address / unit) * unit;
    const end = Math.ceil((address + size) / unit) * unit;
    const last = wanted.at(-1);
    // Only sectors are joined: an ECU that names no unit may expect each range as it is downloaded.
    if (last !== undefined && unit > 1 && start <= last.address + last.size) {
      wanted[wanted.length - 1] = {
        address: last.address,
        size: Math.max(last.address + last.size, end) - last.address,
      };
    } else {
      wanted.push({ address: start, size: end - start });
    }
  }
  return wanted;
}

/** The bytes of one range, read from the image piece by piece. */
function viewOf(image: ImageSource, { pieces, size }: OpenRange): ImageSource {
  const only = pieces.length === 1 ? itemAt(pieces, 0) : undefined;
  if (only?.kind === 'data' && only.from === 0 && only.length === image.length) return image;
  return {
    length: size,
    sha256: image.sha256,
    read: async (offset, length) => {
      const bytes = new Uint8Array(Math.max(0, Math.min(length, size - offset)));
      let filled = 0;
      let start = 0;
      for (const piece of pieces) {
        const skip = offset + filled - start;
        start += piece.length;
        if (skip >= piece.length || filled >= bytes.length) continue;
        const count = Math.min(piece.length - skip, bytes.length - filled);
        if (piece.kind === 'fill') {
          bytes.fill(piece.value, filled, filled + count);
        } else {
          const read = await image.read(piece.from + skip, count);
          bytes.set(read, filled);
          // The file became shorter meanwhile: what is there so far.
          if (read.length < count) return bytes.subarray(0, filled + read.length);
        }
        filled += count;
      }
      return bytes;
    },
  };
}

function rangeText(address: number, size: number): string {
  return `${hexNumber(address, 8)} to ${hexNumber(address + size - 1, 8)}`;
}
