// Error frames of drivers -> the state of the bus.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readErrorFrame } from '../../src/bus/error-frame.ts';
import { fromHex } from '../../src/core/bytes.ts';

const read = (errorClass: number, detail: string): ReturnType<typeof readErrorFrame> =>
  readErrorFrame(errorClass, fromHex(detail));

describe('error frames', () => {
  it('tell the state of the controller', () => {
    expect(read(0x040, '0000000000000000').state).toBe('bus-off');
    expect(read(0x004, '0008000000000000').state).toBe('warning');
    expect(read(0x004, '0020000000000000').state).toBe('passive');
    expect(read(0x004, '0040000000000000').state).toBe('active');
    expect(read(0x100, '0000000000000000').state).toBe('active');
  });

  it('say nothing about the state where they do not know', () => {
    expect(read(0x088, '0000040000000000')).toEqual({
      state: undefined,
      receiveOverflow: false,
      reason: 'stuff error; bus error',
    });
    expect(read(0x020, '').reason).toContain('no node acknowledged');
  });

  it('let bus-off win over everything else in the frame', () => {
    expect(read(0x144, '0040000000000000').state).toBe('bus-off');
  });

  it('tell that received frames were lost', () => {
    expect(read(0x004, '0001000000000000')).toMatchObject({
      state: undefined,
      receiveOverflow: true,
    });
  });

  it('give the error counters', () => {
    expect(read(0x204, '0020000000008710').reason).toContain('tx 135, rx 16');
  });

  it('are readable whatever stands in them', () => {
    fc.assert(
      fc.property(fc.nat(0x1fffffff), fc.uint8Array({ maxLength: 64 }), (errorClass, detail) => {
        expect(readErrorFrame(errorClass, detail).reason).not.toBe('');
      }),
    );
  });
});
