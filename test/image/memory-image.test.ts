// Memory images: sizes, gaps, write units.

import { describe, expect, it } from 'vitest';
import { fromHex } from '../../src/core/bytes.ts';
import { singleSegment } from '../../src/image/image-builder.ts';
import {
  alignWrites,
  fillGaps,
  type MemoryImage,
  rangesOf,
  spanOf,
  totalBytes,
} from '../../src/image/memory-image.ts';
import { refusal, shown } from './support.ts';

function imageOf(...segments: readonly (readonly [number, string])[]): MemoryImage {
  return { segments: segments.map(([address, hex]) => ({ address, bytes: fromHex(hex) })) };
}

const IMAGE = imageOf([0x102, '0102'], [0x106, '03'], [0x120, '04']);

describe('memory image', () => {
  it('has a size and a span', () => {
    expect(totalBytes(IMAGE)).toBe(4);
    expect(spanOf(IMAGE)).toEqual({ address: 0x102, length: 0x1f });
    expect(rangesOf(IMAGE)[1]).toEqual({ address: 0x106, length: 1 });
  });

  it.each([
    [{ kind: 'keep' }, ['00000102:0102', '00000106:03', '00000120:04']],
    [{ kind: 'bridge', atMost: 1, value: 0xff }, ['00000102:0102', '00000106:03', '00000120:04']],
    [{ kind: 'bridge', atMost: 2, value: 0xff }, ['00000102:0102ffff03', '00000120:04']],
    [{ kind: 'bridge', atMost: 25, value: 0 }, [`00000102:0102000003${'00'.repeat(25)}04`]],
    [{ kind: 'fill', value: 0xff }, [`00000102:0102ffff03${'ff'.repeat(25)}04`]],
  ] as const)('treats gaps as %o', (policy, expected) => {
    expect(shown({ image: fillGaps(IMAGE, policy) })).toEqual(expected);
    expect(shown({ image: IMAGE })).toEqual(['00000102:0102', '00000106:03', '00000120:04']);
  });

  it('does not allocate what is too large', () => {
    const wide = imageOf([0, '01'], [0xffff_0000, '02']);
    expect(refusal(() => fillGaps(wide, { kind: 'fill', value: 0xff }, 1 << 20))).toBe(
      'memory image: filling the gaps makes 4294901761 bytes (4.0 GiB) of 2, at most 1048576 are possible',
    );
    expect(refusal(() => alignWrites(imageOf([0, '01']), 1 << 21, 0, 1 << 20))).toContain(
      'writing units of 2097152 bytes makes 2097152 bytes',
    );
  });

  it.each([
    [1, ['00000102:0102', '00000106:03', '00000120:04']],
    [4, ['00000100:ffff0102ffff03ff', '00000120:04ffffff']],
    [8, ['00000100:ffff0102ffff03ff', '00000120:04ffffffffffffff']],
    [3, ['00000102:0102ffff03ff', '00000120:04ffff']],
  ])('aligns to units of %i bytes', (unit, expected) => {
    expect(shown({ image: alignWrites(IMAGE, unit, 0xff) })).toEqual(expected);
  });

  it('aligns up to the last address and no further', () => {
    const last = imageOf([0xffff_fffe, '01']);
    expect(shown({ image: alignWrites(last, 4, 0) })).toEqual(['fffffffc:00000100']);
    expect(refusal(() => alignWrites(last, 7, 0))).toContain('behind the last address');
    expect(() => alignWrites(last, 0, 0)).toThrow(RangeError);
  });

  it('is one segment of raw data', () => {
    expect(shown({ image: singleSegment(0x10, fromHex('0102'), 'f') })).toEqual(['00000010:0102']);
    expect(refusal(() => singleSegment(0xffff_ffff, fromHex('0102'), 'f'))).toBe(
      'f: raw data: 2 bytes at 0xFFFFFFFF end behind the last address, 0xFFFFFFFF',
    );
  });
});
