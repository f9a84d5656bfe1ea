// What holds for every memory image: written and read it is the same, whatever the records, gaps and write units are.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  canonicalDigest,
  canonicalPayload,
  readCanonical,
  readSegmentMap,
} from '../../src/image/canonical.ts';
import { writeIntelHex } from '../../src/image/formats/intel-hex.ts';
import { writeRaw } from '../../src/image/formats/raw.ts';
import { writeSRecord } from '../../src/image/formats/s-record.ts';
import { buildImage, MOST_SEGMENTS } from '../../src/image/image-builder.ts';
import {
  fillGaps,
  type MemoryImage,
  rangesOf,
  spanOf,
  totalBytes,
} from '../../src/image/memory-image.ts';
import { memorySource } from '../../src/image/memory-source.ts';
import { readImage } from '../../src/image/read-image.ts';
import { hexLine, makeElf, makeVbf, packLzss, refusal, shown, sLine } from './support.ts';

/** Gaps of at least one byte between segments, anywhere in 32 bits, often over a border of 64 KiB. */
const image: fc.Arbitrary<MemoryImage> = fc
  .record({
    base: fc.oneof(
      fc.constantFrom(0, 1, 0xfff0, 0xffff, 0x10_0000 - 5, 0x0800_0000, 0xffff_0000),
      fc.integer({ min: 0, max: 0xffff_0000 }),
    ),
    parts: fc.array(
      fc.record({
        gap: fc.integer({ min: 1, max: 300 }),
        bytes: fc.uint8Array({ minLength: 1, maxLength: 120 }),
      }),
      { minLength: 1, maxLength: 6 },
    ),
  })
  .map(({ base, parts }) => {
    let address = base;
    return {
      segments: parts.map(({ gap, bytes }) => {
        const segment = { address: address + gap, bytes };
        address += gap + bytes.length;
        return segment;
      }),
    };
  });

const start = fc.option(fc.integer({ min: 0, max: 0xffff_ffff }));
const RUNS = { numRuns: 400 };

/** Every byte by its address. */
function bytesOf({ segments }: MemoryImage): Map<number, number> {
  return new Map(
    segments.flatMap(({ address, bytes }) =>
      Array.from(bytes, (byte, index) => [address + index, byte] as const),
    ),
  );
}

/** `count` bytes of a segment as pieces of at most `most`, in an order that `shuffle` gives. */
function pieces({ segments }: MemoryImage, most: number, shuffle: readonly number[]) {
  const all = segments.flatMap(({ address, bytes }) =>
    Array.from({ length: Math.ceil(bytes.length / most) }, (_, index) => ({
      address: address + index * most,
      hex: Buffer.from(bytes.subarray(index * most, (index + 1) * most)).toString('hex'),
    })),
  );
  return all
    .map((piece, index) => ({ piece, rank: shuffle[index % shuffle.length] ?? 0 }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ piece }) => piece);
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

describe('a memory image', () => {
  it('written as Intel HEX or S-records and read is the same', () => {
    fc.assert(
      fc.property(image, start, (given, startAddress) => {
        const texts = [writeIntelHex(given, startAddress), writeSRecord(given, startAddress)];
        for (const [index, text] of texts.entries()) {
          const found = readImage(Buffer.concat([...text]), 'fw');
          expect(shown(found)).toEqual(shown({ image: given }));
          // S-records always say one.
          expect(found.start).toBe(index === 1 ? (startAddress ?? 0) : startAddress);
        }
      }),
      RUNS,
    );
  });

  it('has one digest, whatever the length and the order of records, and whatever the format', () => {
    const shuffle = fc.array(fc.nat(1000), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(image, fc.integer({ min: 1, max: 40 }), shuffle, (given, most, order) => {
        const digest = canonicalDigest(given);
        const parts = pieces(given, most, order);
        const hexText = [
          ...parts.flatMap(({ address, hex: data }) => [
            hexLine(`02000004${hex(Math.floor(address / 0x1_0000), 4)}`),
            hexLine(`${hex(data.length / 2, 2)}${hex(address % 0x1_0000, 4)}00${data}`),
          ]),
          ':00000001FF',
        ];
        const sText = [
          ...parts.map(({ address, hex: data }) => sLine(3, hex(address, 8) + data)),
          'S70500000000FA',
        ];
        const segments = given.segments;
        const packed = segments.map(({ address, bytes }) => ({
          address,
          stored: packLzss(bytes),
          data: bytes,
        }));
        const files = [
          Buffer.from(hexText.join('\r\n')),
          Buffer.from(sText.join('\n')),
          makeElf({ segments, is64: most % 2 === 0, big: most % 3 === 0 }),
          makeVbf({ blocks: segments.map(({ address, bytes }) => ({ address, stored: bytes })) }),
          makeVbf({ header: ['data_format_identifier = 0x10;'], blocks: packed }),
        ];
        for (const file of files) {
          expect(canonicalDigest(readImage(file, 'fw').image)).toBe(digest);
        }
      }),
      RUNS,
    );
  });

  it('is what its canonical payload says', async () => {
    await fc.assert(
      fc.asyncProperty(image, async (given) => {
        const payload = canonicalPayload(given);
        const found = readCanonical(payload);
        const map = await readSegmentMap(
          (offset, length) => Promise.resolve(payload.subarray(offset, offset + length)),
          payload.length,
        );
        if (given.segments.length === 1) {
          expect(found).toBeUndefined();
          expect(map).toBeUndefined();
          return;
        }
        expect(shown({ image: found ?? { segments: [] } })).toEqual(shown({ image: given }));
        const dataOffset = payload.length - totalBytes(given);
        expect(map).toEqual({ ok: true, map: { segments: rangesOf(given), dataOffset } });
      }),
      RUNS,
    );
  });

  it('keeps its bytes when gaps are filled and writes are aligned, and gets only fill besides', () => {
    const policy = fc.oneof(
      fc.constant({ kind: 'keep' } as const),
      fc.constant({ kind: 'fill', value: 0xee } as const),
      fc.nat(300).map((atMost) => ({ kind: 'bridge', atMost, value: 0xee }) as const),
    );
    fc.assert(
      fc.property(image, policy, (given, gaps) => {
        const before = bytesOf(given);
        const filled = fillGaps(given, gaps);
        const after = bytesOf(filled);
        const wrong = [...after].filter(
          ([address, byte]) => byte !== (before.get(address) ?? 0xee),
        );
        const lost = [...before.keys()].filter((address) => !after.has(address));
        expect({ wrong, lost }).toEqual({ wrong: [], lost: [] });
        let end = -1;
        for (const { address, length } of rangesOf(filled)) {
          expect(address).toBeGreaterThan(end);
          end = address + length;
        }
        if (gaps.kind === 'fill') expect(filled.segments.length).toBe(1);
        if (gaps.kind === 'bridge') {
          for (const [index, { address }] of filled.segments.entries()) {
            const last = filled.segments[index - 1];
            if (last !== undefined) {
              expect(address - last.address - last.bytes.length).toBeGreaterThan(gaps.atMost);
            }
          }
        }
      }),
      RUNS,
    );
  });

  it('is written as raw data with its gaps filled', () => {
    fc.assert(
      fc.property(image, fc.nat(255), (given, fill) => {
        const raw = Buffer.concat([...writeRaw(given, fill)]);
        const { address, length } = spanOf(given);
        expect(raw.length).toBe(length);
        const expected = bytesOf(given);
        for (let at = 0; at < length; at++)
          expect(raw[at]).toBe(expected.get(address + at) ?? fill);
      }),
      { numRuns: 100 },
    );
  });

  it('is read as a source over all its segments', async () => {
    await fc.assert(
      fc.asyncProperty(image, fc.nat(800), fc.nat(800), async (given, offset, length) => {
        const source = memorySource(given);
        const whole = Buffer.concat(given.segments.map(({ bytes }) => bytes));
        const { segments, dataOffset } = source.map;
        const found = await source.read(dataOffset + offset, length);
        expect(Buffer.from(found).equals(whole.subarray(offset, offset + length))).toBe(true);
        expect(source.length).toBe(dataOffset + whole.length);
        expect(segments).toEqual(rangesOf(given));
      }),
      RUNS,
    );
  });

  it('refuses a byte that is there twice, and names both places', () => {
    fc.assert(
      fc.property(image, fc.nat(1000), (given, pick) => {
        const segment = given.segments[pick % given.segments.length];
        if (segment === undefined) return;
        const at = segment.address + (pick % segment.bytes.length);
        const twice = (): MemoryImage =>
          buildImage(
            'fw',
            (place) => `piece ${place}`,
            (sink) => {
              for (const [index, { address, bytes }] of given.segments.entries()) {
                sink.add(address, bytes, 0, bytes.length, index);
              }
              sink.add(at, Uint8Array.of(1), 0, 1, 99);
            },
          );
        const index = given.segments.indexOf(segment);
        const address = `0x${hex(at, 8).toUpperCase()}`;
        expect(twice).toThrow(`fw: piece ${index} and piece 99 both hold the byte at ${address}`);
      }),
      RUNS,
    );
  });

  it('is refused with more segments than tables hold', () => {
    const data = Uint8Array.of(1);
    const build = (count: number) =>
      buildImage('f', String, (sink) => {
        for (let index = 0; index < count; index++) sink.add(index * 2, data, 0, 1, index);
      });
    expect(build(MOST_SEGMENTS).segments.length).toBe(MOST_SEGMENTS);
    expect(refusal(() => build(MOST_SEGMENTS + 1))).toContain('more than 65536 segments');
  });
});
