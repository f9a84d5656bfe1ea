// Memory images: sizes, gaps, write units.

import { describe, expect, it } from 'vitest';
import { fromHex } from '../../src/core/bytes.ts';
import { singleSegment } from '../../src/image/image-builder.ts';
import {
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
  });

  it('is one segment of raw data', () => {
    expect(shown({ image: singleSegment(0x10, fromHex('0102'), 'f') })).toEqual(['00000010:0102']);
    expect(refusal(() => singleSegment(0xffff_ffff, fromHex('0102'), 'f'))).toBe(
      'f: raw data: 2 bytes at 0xFFFFFFFF end behind the last address, 0xFFFFFFFF',
    );
  });
});
