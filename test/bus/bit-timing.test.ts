// Bits on the wire against counting by hand, an independent calculation with strings, and random frames.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  averageFrameBits,
  crc15,
  dlcOf,
  frameBits,
  frameDurationMs,
} from '../../src/bus/bit-timing.ts';
import { type CanFrame, classicFrame, FD_LENGTHS, fdFrame } from '../../src/bus/can-frame.ts';
import { anyFrame } from '../support/frames.ts';

const binary = (value: number, width: number): string => value.toString(2).padStart(width, '0');

/** The CRC by long division of polynomials, as a string of bits. */
function divide(bits: string, polynomial: string): string {
  const work = [...(bits + '0'.repeat(polynomial.length - 1))];
  for (let at = 0; at < bits.length; at++) {
    if (work[at] === '0') continue;
    for (let bit = 0; bit < polynomial.length; bit++) {
      work[at + bit] = work[at + bit] === polynomial[bit] ? '0' : '1';
    }
  }
  return work.slice(bits.length).join('');
}

/** Stuffing by searching for five equal bits in what was already written. */
function stuff(bits: string): string {
  let out = '';
  let run = '';
  for (const bit of bits) {
    out += bit;
    run = run.endsWith(bit) ? run + bit : bit;
    if (run.length === 5) {
      run = bit === '0' ? '1' : '0';
      out += run;
    }
  }
  return out;
}

function naiveBits(frame: CanFrame): { nominal: number; data: number } {
  const dlc = binary(frame.data.length <= 8 ? frame.data.length : 0, 4);
  const data = [...frame.data].map((byte) => binary(byte, 8)).join('');
  const remote = frame.remote ? '1' : '0';
  const id = frame.extended
    ? `${binary(frame.id >>> 18, 11)}11${binary(frame.id & 0x3ffff, 18)}${remote}`
    : `${binary(frame.id, 11)}${remote}0`;
  if (!frame.fd) {
    const plain = `0${id}${frame.extended ? '00' : '0'}${dlc}${data}`;
    // x^15+x^14+x^10+x^8+x^7+x^4+x^3+1, ISO 11898-1 10.4.2.6
    const crc = divide(plain, '1100010110011001');
    return { nominal: stuff(plain + crc).length + 10 + 3, data: 0 };
  }
  const fdDlc = binary(FD_LENGTHS.indexOf(frame.data.length as 0), 4);
  const head = `0${id}10${frame.brs ? 1 : 0}`;
  const whole = `${head}0${fdDlc}${data}`;
  const stuffedHead = stuff(head).length;
  // A stuff bit after the very last bit gives way to the fixed one.
  const stuffedWhole = stuff(whole.slice(0, -1)).length + 1;
  const crcField = frame.data.length <= 16 ? 6 + 4 + 17 : 7 + 4 + 21;
  const dataPhase = stuffedWhole - stuffedHead + crcField + 1;
  return frame.brs
    ? { nominal: stuffedHead + 9 + 3, data: dataPhase }
    : { nominal: stuffedHead + 9 + 3 + dataPhase, data: 0 };
}

describe('bits of a frame', () => {
  it('counts 34 dominant bits with 6 stuff bits by hand', () => {
    // SOF, 11 bits of identifier, RTR, IDE, r0, DLC and the CRC of zeros: 34 zeros, a stuff bit after each 5.
    expect(frameBits(classicFrame(0, new Uint8Array(0)))).toEqual({
      nominal: 34 + 6 + 13,
      data: 0,
    });
  });

  it('counts an alternating frame by hand', () => {
    // 0 10101010101 000 0001 01010101: five zeros before the sixth and the 1 of the DLC, one stuff bit. The CRC
    // 111100010010111 follows a 1: five ones, the second stuff bit. 27 + 15 + 2, and 13 bits that are not stuffed.
    const plain = `0${binary(0x555, 11)}000000101010101`;
    expect(divide(plain, '1100010110011001')).toBe('111100010010111');
    expect(frameBits(classicFrame(0x555, Uint8Array.of(0x55))).nominal).toBe(27 + 15 + 2 + 13);
  });

  it('counts the remote frame of the highest identifier by hand', () => {
    // 0 11111(0)11111(0)1 1(RTR) 0 0 000(1)0: two runs of ones and one of zeros; none in the CRC 101010011101010.
    const frame = { ...classicFrame(0x7ff, new Uint8Array(0)), remote: true };
    expect(stuff('0111111111111000000')).toBe('0111110111110110000010');
    expect(divide('0111111111111000000', '1100010110011001')).toBe('101010011101010');
    expect(frameBits(frame).nominal).toBe(22 + 15 + 13);
  });

  it('counts a CAN FD frame by hand', () => {
    // Nominal: SOF, identifier 0 with RRS and IDE (14 zeros, 2 stuff bits), FDF 1, res 0, BRS 1; then ACK slot
    // and delimiter, 7 bits end of frame, 3 intermission. Data: ESI 0, DLC 0000: five zeros end before the
    // fixed stuff bit; 4 + 17 checked bits with 6 fixed stuff bits; CRC delimiter.
    expect(frameBits(fdFrame(0, new Uint8Array(0)))).toEqual({
      nominal: 14 + 2 + 3 + 9 + 3,
      data: 5 + 21 + 6 + 1,
    });
  });

  it('has the CRC of ISO 11898-1 for the usual check string', () => {
    const bits = Uint8Array.from(
      [...Buffer.from('123456789')].flatMap((byte) => [...binary(byte, 8)].map(Number)),
    );
    expect(crc15(bits, bits.length)).toBe(0x059e);
  });

  it('agrees with the naive calculation for any frame', () => {
    fc.assert(
      fc.property(anyFrame, (frame) => {
        expect(frameBits(frame)).toEqual(naiveBits(frame));
      }),
      { numRuns: 500 },
    );
  });

  it('knows the DLC of every length', () => {
    expect(FD_LENGTHS.map((length) => dlcOf(length))).toEqual(FD_LENGTHS.map((_, index) => index));
  });
});

describe('durations', () => {
  it('divides the bits by their rates', () => {
    expect(frameDurationMs(classicFrame(0, new Uint8Array(0)), 500_000, 1)).toBeCloseTo(0.106, 12);
    const { nominal, data } = frameBits(fdFrame(0x7e0, new Uint8Array(64)));
    expect(frameDurationMs(fdFrame(0x7e0, new Uint8Array(64)), 500_000, 2_000_000)).toBeCloseTo(
      nominal / 500 + data / 2000,
      12,
    );
    const slow = fdFrame(0x7e0, new Uint8Array(64), false, false);
    expect(frameDurationMs(slow, 500_000, 2_000_000)).toBeCloseTo((nominal + data) / 500, 2);
  });
});

describe('average bits', () => {
  it('is exact for a frame without random bytes', () => {
    fc.assert(
      fc.property(anyFrame, (frame) => {
        const average = averageFrameBits({ ...frame, bytes: [...frame.data] });
        if (frame.remote) return;
        expect(average.nominal).toBeCloseTo(frameBits(frame).nominal, 9);
        expect(average.data).toBeCloseTo(frameBits(frame).data, 9);
      }),
    );
  });

  it('is the mean over all values of a random byte but for the CRC', () => {
    // A CAN FD frame's duration does not depend on its CRC: the mean over 256 frames is exact.
    let sum = 0;
    for (let byte = 0; byte < 256; byte++) {
      sum += frameBits(fdFrame(0x123, Uint8Array.of(0, byte, 7))).data;
    }
    const shape = { id: 0x123, extended: false, fd: true, brs: true, bytes: [0, undefined, 7] };
    expect(averageFrameBits(shape).data).toBeCloseTo(sum / 256, 9);
  });
});
