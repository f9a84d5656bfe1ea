// The limit that the frame bits allow: figures that are known, and bounds that must hold.

import { describe, expect, it } from 'vitest';
import { transferLimit } from '../../src/bus/transfer-limit.ts';

const block = { bitrate: 500_000, blockLength: 4095 };

describe('the limit of TransferData', () => {
  it('is 29.9 kB/s at 500 kbit/s with blocks of 4095 bytes', () => {
    const limit = transferLimit({ ...block, fd: false, txDl: 8 });
    expect(limit.bytesPerSecond / 1000).toBeCloseTo(29.9, 1);
    // FF with 6 bytes, 585 CF with 7, FC, response.
    expect(limit.framesPerBlock).toBe(1 + 585 + 1 + 1);
    expect(limit.formula).toContain('4093 bytes');
  });

  it('is about 177 and 345 kB/s with CAN FD at 2 and 5 Mbit/s', () => {
    const fd = { ...block, fd: true, txDl: 64 };
    const two = transferLimit({ ...fd, dataBitrate: 2_000_000 });
    expect(two.bytesPerSecond / 1000).toBeGreaterThan(175);
    expect(two.bytesPerSecond / 1000).toBeLessThan(181);
    const five = transferLimit({ ...fd, dataBitrate: 5_000_000 });
    expect(five.bytesPerSecond / 1000).toBeGreaterThan(343);
    expect(five.bytesPerSecond / 1000).toBeLessThan(354);
    // FF with 62 bytes, 64 CF with 63 and one with the last byte.
    expect(five.framesPerBlock).toBe(1 + 65 + 1 + 1);
  });

  it('counts a flow control for every started block of BS frames', () => {
    const without = transferLimit({ ...block, fd: false, txDl: 8 });
    const withBs = transferLimit({ ...block, fd: false, txDl: 8, blockSize: 8 });
    // 585 CF: 73 groups of 8 and one of 1.
    expect(withBs.framesPerBlock - without.framesPerBlock).toBe(73);
    expect(withBs.bytesPerSecond).toBeLessThan(without.bytesPerSecond);
  });

  it('waits STmin between consecutive frames', () => {
    const without = transferLimit({ ...block, fd: false, txDl: 8 });
    const withStMin = transferLimit({ ...block, fd: false, txDl: 8, stMinMs: 1 });
    expect(withStMin.blockMs - without.blockMs).toBeCloseTo(584, 9);
  });

  it('is lower with 29 bit identifiers and with an address byte, higher with long blocks', () => {
    const base = transferLimit({ ...block, fd: false, txDl: 8 }).bytesPerSecond;
    const extended = transferLimit({ ...block, fd: false, txDl: 8, extended: true });
    const mixed = transferLimit({ ...block, fd: false, txDl: 8, addressBytes: 1 });
    const long = transferLimit({ bitrate: 500_000, blockLength: 65_535, fd: false, txDl: 8 });
    expect(extended.bytesPerSecond).toBeLessThan(base);
    expect(mixed.bytesPerSecond).toBeLessThan(base);
    expect(long.bytesPerSecond).toBeGreaterThan(base);
  });

  it('carries a block that fits a single frame without flow control', () => {
    expect(transferLimit({ bitrate: 500_000, fd: false, txDl: 8, blockLength: 7 })).toMatchObject({
      framesPerBlock: 2,
    });
    expect(transferLimit({ bitrate: 500_000, fd: true, txDl: 64, blockLength: 62 })).toMatchObject({
      framesPerBlock: 2,
    });
  });

  it('refuses what cannot be', () => {
    expect(() => transferLimit({ ...block, fd: false, txDl: 64 })).toThrow(RangeError);
    expect(() => transferLimit({ ...block, fd: true, txDl: 63 })).toThrow(RangeError);
    expect(() => transferLimit({ ...block, fd: false, txDl: 8, blockLength: 2 })).toThrow(
      RangeError,
    );
  });
});
