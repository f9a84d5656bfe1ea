// Where an image goes: ranges of one download each, gaps, write units, sectors, and images that have no place.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Layout, layOut } from '../../src/drivers/layout.ts';
import type { ImageSource } from '../../src/image/image-source.ts';
import type { SegmentRange } from '../../src/image/memory-image.ts';
import { ecuOf, imageOf } from './support.ts';

const MAP = Uint8Array.of(0xee, 0xee, 0xee);

/** Each byte of the data is the low byte of its address. */
function imageAt(...segments: SegmentRange[]): ImageSource {
  const data = segments.flatMap(({ address, length }) =>
    Array.from({ length }, (_, index) => (address + index) & 0xff),
  );
  const image = imageOf(Uint8Array.of(...MAP, ...data));
  return { ...image, map: { segments, dataOffset: MAP.length } };
}

const EACH = { programming: { segments: 'each' } };
const at = (address: number, length: number): SegmentRange => ({ address, length });

function laidOut(image: ImageSource, memory: Record<string, unknown>): Layout {
  const layout = layOut(ecuOf({ ...EACH, memory }), image, undefined);
  if (!layout.ok) throw new Error(layout.reason);
  return layout.value;
}

async function ranges(image: ImageSource, memory: Record<string, unknown>) {
  return Promise.all(
    laidOut(image, memory).ranges.map(async ({ address, size, source }) => {
      expect(source.length).toBe(size);
      const bytes = await source.read(0, size);
      return `${address.toString(16)} ${Buffer.from(bytes).toString('hex')}`;
    }),
  );
}

describe('the ranges', () => {
  const two = imageAt(at(0x12, 3), at(0x20, 2));
  const base = { address: 0, bankSize: 0x1000 };

  it('are the segments, and their gaps are left alone', async () => {
    expect(await ranges(two, base)).toEqual(['12 121314', '20 2021']);
    expect(laidOut(two, base)).toMatchObject({
      erase: [
        { address: 0x12, size: 3 },
        { address: 0x20, size: 2 },
      ],
      carried: 5,
    });
  });

  it('are one where gaps are filled', async () => {
    const filled = await ranges(two, { ...base, gaps: { fill: 0xaa } });
    expect(filled).toEqual([`12 121314${'aa'.repeat(11)}2021`]);
  });

  it('are one where the gap is short enough to be bridged', async () => {
    expect(await ranges(two, { ...base, gaps: { bridge: 10 } })).toHaveLength(2);
    expect(await ranges(two, { ...base, gaps: { bridge: 11, fill: 0 } })).toEqual([
      `12 121314${'00'.repeat(11)}2021`,
    ]);
  });

  it('are whole write units', async () => {
    expect(await ranges(two, { ...base, writeUnit: 8 })).toEqual([
      '10 ffff121314ffffff',
      '20 2021ffffffffffff',
    ]);
  });

  it('share a write unit', async () => {
    const near = imageAt(at(0x11, 1), at(0x13, 1), at(0x17, 2));
    expect(await ranges(near, { ...base, writeUnit: 8 })).toEqual([
      `10 ff11ff13ffffff1718${'ff'.repeat(7)}`,
    ]);
  });

  it('of an image without a map begin at the address of the vehicle file', async () => {
    const plain = imageOf(Uint8Array.of(1, 2, 3));
    expect(await ranges(plain, { address: '0x8000', bankSize: 16 })).toEqual(['8000 010203']);
  });

  it('are one for a bootloader that takes one range, and for an encrypted image', () => {
    const refused = layOut(ecuOf(), two, undefined);
    expect(refused.ok ? '' : refused.reason).toContain(
      'has 2 segments, and its bootloader takes one',
    );
    const elsewhere = layOut(ecuOf(), imageAt(at(0x12, 3)), undefined);
    expect(elsewhere.ok ? '' : elsewhere.reason).toContain(
      'begins at 0x00000012, the bank at 0x08000000',
    );
    expect(layOut(ecuOf(), imageAt(at(0x0800_0000, 3)), undefined).ok).toBe(true);
    const encrypted = layOut(ecuOf(EACH), imageOf(new Uint8Array(100)), 80);
    expect(encrypted).toMatchObject({
      value: { erase: [{ size: 80 }], ranges: [{ size: 80 }], carried: 100 },
    });
  });
});

describe('what is erased', () => {
  const memory = {
    regions: [
      { address: 0x1000, size: 0x1000, eraseUnit: 256 },
      { address: 0x8000, size: 0x100 },
    ],
  };

  it('are whole sectors, each once', () => {
    const image = imageAt(at(0x1010, 4), at(0x10f0, 0x20), at(0x1400, 1), at(0x8004, 2));
    expect(laidOut(image, memory).erase).toEqual([
      { address: 0x1000, size: 0x200 },
      { address: 0x1400, size: 0x100 },
      { address: 0x8004, size: 2 },
    ]);
  });

  it('may be the regions, or a list', () => {
    const image = imageAt(at(0x1010, 4));
    expect(laidOut(image, { ...memory, erase: 'regions' }).erase).toEqual([
      { address: 0x1000, size: 0x1000 },
      { address: 0x8000, size: 0x100 },
    ]);
    const list = [{ address: 0x1000, size: 0x800 }];
    expect(laidOut(image, { ...memory, erase: list }).erase).toEqual(list);
  });
});

describe('an image outside of the memory', () => {
  it.each([
    [at(0x0fff, 2), '0x00000FFF to 0x00001000'],
    [at(0x1fff, 2), '0x00001FFF to 0x00002000'],
    [at(0x4000, 1), '0x00004000 to 0x00004000'],
  ])('is refused with its place', (segment, place) => {
    const ecu = ecuOf({
      ...EACH,
      memory: {
        regions: [
          { address: 0x1000, size: 0x1000 },
          { address: 0x8000, size: 0x100 },
        ],
      },
    });
    const refused = layOut(ecu, imageAt(segment), undefined);
    expect(refused).toMatchObject({ ok: false, code: 'IMAGE_MISPLACED' });
    expect(refused.ok ? '' : refused.reason).toContain(
      `has bytes at ${place}, outside of its memory (0x00001000 to 0x00001FFF, 0x00008000 to 0x000080FF): nothing was sent`,
    );
  });
});

it('an image whose write units or gaps leave its region is refused', () => {
  const regions = [
    { address: 0x1004, size: 0x0c },
    { address: 0x2000, size: 0x10 },
  ];
  for (const memory of [
    { regions, writeUnit: 8 },
    { regions, gaps: { fill: 0xff } },
  ]) {
    const refused = layOut(
      ecuOf({ ...EACH, memory }),
      imageAt(at(0x1005, 2), at(0x2000, 2)),
      undefined,
    );
    expect(refused).toMatchObject({ ok: false, code: 'IMAGE_MISPLACED' });
    expect(refused.ok ? '' : refused.reason).toContain('is not inside of one region');
  }
});

describe('any segments', () => {
  const anySegments = fc
    .array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 30 })), {
      minLength: 1,
      maxLength: 8,
    })
    .map((pairs) => {
      let next = 0x100;
      return pairs.map(([gap, length]) => {
        const segment = at(next + gap, length);
        next = segment.address + length;
        return segment;
      });
    });

  it('end at their addresses, read in pieces of any length', async () => {
    await fc.assert(
      fc.asyncProperty(
        anySegments,
        fc.constantFrom(1, 2, 8, 32),
        fc.constantFrom<unknown>('keep', { fill: 0xff }, { bridge: 12 }),
        fc.integer({ min: 1, max: 17 }),
        async (segments, writeUnit, gaps, piece) => {
          const memory = { address: 0, bankSize: 0x10000, writeUnit, gaps };
          const { ranges: all, carried } = laidOut(imageAt(...segments), memory);
          const flash = new Map<number, number>();
          for (const { address, size, source } of all) {
            expect(address % writeUnit).toBe(0);
            expect(size % writeUnit).toBe(0);
            for (let offset = 0; offset < size; offset += piece) {
              const bytes = await source.read(offset, piece);
              expect(bytes.length).toBe(Math.min(piece, size - offset));
              for (const [index, byte] of bytes.entries()) {
                expect(flash.has(address + offset + index)).toBe(false);
                flash.set(address + offset + index, byte);
              }
            }
          }
          expect(flash.size).toBe(carried);
          for (const { address, length } of segments) {
            for (let index = address; index < address + length; index++) {
              expect(flash.get(index)).toBe(index & 0xff);
              flash.delete(index);
            }
          }
          expect([...flash.values()].every((byte) => byte === 0xff)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });
});
