// struct can_frame and struct canfd_frame: literals as the kernel writes them on x86, and round trips.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exactFilter, filterAccepts } from '../../src/bus/can-bus.ts';
import { classicFrame, fdFrame } from '../../src/bus/can-frame.ts';
import {
  CAN_MTU,
  CANFD_ESI,
  CANFD_MTU,
  decodeErrorFrame,
  decodeFrame,
  encodeErrorFrame,
  encodeFrame,
  isEcho,
  isErrorPassiveSender,
  isErrorRecord,
  kernelFilter,
  markEcho,
  readWord,
  recordFault,
  recordLength,
} from '../../src/bus/linux-frame.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { anyFrame } from '../support/frames.ts';

const encoded = (frame: Parameters<typeof encodeFrame>[0]): string => {
  const bytes = new Uint8Array(CANFD_MTU).fill(0xa5);
  return toHex(bytes.subarray(0, encodeFrame(frame, bytes, 0)));
};

describe('struct can_frame', () => {
  it('has the layout of linux/can.h', () => {
    expect(encoded(classicFrame(0x7e8, fromHex('0662F195')))).toBe(
      'e8070000 04 00 00 00 0662f19500000000'.replaceAll(' ', ''),
    );
    expect(encoded(classicFrame(0x18da10f1, fromHex('02'), true))).toBe(
      'f110da98 01 00 00 00 0200000000000000'.replaceAll(' ', ''),
    );
    expect(encoded({ ...classicFrame(0x123, new Uint8Array(0)), remote: true })).toBe(
      '23010040 00 00 00 00 0000000000000000'.replaceAll(' ', ''),
    );
    expect(encoded(fdFrame(0x7e0, fromHex('0102')))).toBe(
      `e0070000 02 05 00 00 0102${'00'.repeat(62)}`.replaceAll(' ', ''),
    );
  });

  it('survives a round trip at any place of a stream', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { minLength: 1, maxLength: 5 }), (frames) => {
        const stream = new Uint8Array(frames.length * CANFD_MTU);
        let end = 0;
        for (const frame of frames) end += encodeFrame(frame, stream, end);
        let at = 0;
        for (const frame of frames) {
          expect(recordFault(stream, at)).toBeUndefined();
          expect(decodeFrame(stream, at)).toEqual(frame);
          expect(isErrorRecord(stream, at) || isEcho(stream, at)).toBe(false);
          at += recordLength(stream, at)!;
        }
        expect(at).toBe(end);
      }),
    );
  });

  it('says for any bytes whether they are a frame, and what is wrong with them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: CANFD_MTU, maxLength: CANFD_MTU }), (bytes) => {
        if (recordFault(bytes, 0) !== undefined) return;
        const again = new Uint8Array(CANFD_MTU);
        expect(encodeFrame(decodeFrame(bytes, 0), again, 0)).toBe(recordLength(bytes, 0));
        expect(readWord(again, 0)).toBe(readWord(bytes, 0));
      }),
    );
    expect(recordFault(fromHex('00080000 00000000 0000000000000000'), 0)).toContain('0x800');
    expect(recordFault(fromHex('00010000 09000000 0000000000000000'), 0)).toContain('9 bytes');
    expect(recordFault(fromHex('00010000 09040000 0000000000000000'), 0)).toContain('9 bytes');
    expect(recordFault(fromHex('00010040 00040000 0000000000000000'), 0)).toContain('remote');
    expect(recordFault(fromHex('40000020 08000000 0000000000000000'), 0)).toContain('error frame');
  });

  it('waits for the eight bytes that tell the length', () => {
    expect(recordLength(new Uint8Array(7), 0)).toBeUndefined();
    expect(recordLength(new Uint8Array(8), 0)).toBe(CAN_MTU);
  });

  it('ignores the requested length of a remote frame', () => {
    expect(decodeFrame(fromHex('23010040 08000000 0000000000000000'), 0).data).toHaveLength(0);
  });

  it('marks echoes and reads ESI', () => {
    const bytes = new Uint8Array(CANFD_MTU);
    encodeFrame(fdFrame(1, new Uint8Array(0)), bytes, 0);
    expect(isErrorPassiveSender(bytes, 0)).toBe(false);
    bytes[5]! |= CANFD_ESI;
    expect(isErrorPassiveSender(bytes, 0)).toBe(true);
    markEcho(bytes, 0, true);
    expect(isEcho(bytes, 0)).toBe(true);
    markEcho(bytes, 0, false);
    expect(isEcho(bytes, 0)).toBe(false);
  });
});

describe('filters', () => {
  it('have the width and the remote bit in the mask', () => {
    expect(kernelFilter(exactFilter(0x7e8, false))).toEqual({ id: 0x7e8, mask: 0xc00007ff });
    expect(kernelFilter(exactFilter(0x18daf110, true))).toEqual({
      id: 0x98daf110,
      mask: 0xdfffffff,
    });
  });

  it('let through in the kernel what they let through here', () => {
    const filter = fc.record({
      id: fc.integer({ min: 0, max: 0x1fffffff }),
      mask: fc.constantFrom(0, 0x700, 0x7ff, 0x1fffffff, 0x1fff0000),
      extended: fc.boolean(),
    });
    fc.assert(
      fc.property(filter, anyFrame, (wanted, frame) => {
        const inWidth = {
          ...wanted,
          id: wanted.extended ? wanted.id : wanted.id & 0x7ff,
          mask: wanted.extended ? wanted.mask : wanted.mask & 0x7ff,
        };
        const bytes = new Uint8Array(CANFD_MTU);
        encodeFrame(frame, bytes, 0);
        const { id, mask } = kernelFilter(inWidth);
        // af_can: received & mask == wanted & mask
        expect((readWord(bytes, 0) & mask) === (id & mask)).toBe(filterAccepts(inWidth, frame));
      }),
    );
  });
});

describe('error frames', () => {
  it('survive a round trip', () => {
    const bytes = new Uint8Array(CAN_MTU);
    encodeErrorFrame(0x44, fromHex('0010000000008100'), bytes, 0);
    expect(toHex(bytes)).toBe('44000020080000000010000000008100');
    expect(isErrorRecord(bytes, 0)).toBe(true);
    expect(decodeErrorFrame(bytes, 0)).toEqual({
      errorClass: 0x44,
      detail: fromHex('0010000000008100'),
    });
  });
});
