// Frames as literals, each beside the rule of ISO 15765-2:2016 9.6 that it shows.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex } from '../../src/core/bytes.ts';
import { decodePci, msToStMin, stMinToMs } from '../../src/isotp/pci.ts';

const pci = (hex: string, at = 0) => decodePci(fromHex(hex), at);

describe('single frame', () => {
  it.each([
    ['0210 03', 0, 2, 1],
    ['0322F195CCCCCCCC', 0, 3, 1],
    ['F1 0210 03', 1, 2, 2], // behind an address byte
    ['000A 0102030405060708090A', 0, 10, 2], // CAN FD, 12 bytes, length escape
  ])('%s', (hex, at, length, dataAt) => {
    expect(pci(hex, at)).toEqual({ kind: 'single', length, dataAt });
  });

  it.each([
    ['00CCCCCCCCCCCCCC', 'length 0'],
    ['0411', 'length 4 in 2 bytes'],
    ['08 01020304050607', 'length 8 in 8 bytes'],
    ['0300000000000000 00000000', 'without the length escape'],
    ['000B0102030405060708090A', 'length 11 in 12 bytes'],
  ])('%s is ignored: %s', (hex, why) => {
    const decoded = pci(hex);
    expect(decoded.kind).toBe('ignore');
    expect(JSON.stringify(decoded)).toContain(why);
  });
});

describe('first frame', () => {
  it.each([
    ['1008 010203040506', 0, 8, 2],
    ['1FFF 010203040506', 0, 4095, 2],
    ['1000 00001000 0102', 0, 4096, 6],
    ['1000 FFFFFFFF 0102', 0, 0xffff_ffff, 6],
    ['F1 1007 0102030405', 1, 7, 3],
  ])('%s', (hex, at, length, dataAt) => {
    expect(pci(hex, at)).toEqual({ kind: 'first', length, dataAt });
  });

  it.each([
    ['1007 010203040506', 'a length that a single frame holds'],
    ['1000 00000FFF 0102', 'an escaped length that 12 bits hold'],
    ['1010 01020304', 'fewer than 8 bytes'],
    [`103E ${'00'.repeat(62)}`, 'CAN FD: 62 bytes fit into a single frame of 64'],
  ])('%s is ignored: %s', (hex) => {
    expect(pci(hex).kind).toBe('ignore');
  });
});

it('consecutive frame', () => {
  expect(pci('2F0102')).toEqual({ kind: 'consecutive', sequence: 15, dataAt: 1 });
});

it('flow control, with reserved status and too short', () => {
  const status = (hex: string) => pci(hex);
  expect(status('300F14')).toEqual({ kind: 'flow-control', status: 0, blockSize: 15, stMin: 20 });
  expect(status('310000')).toMatchObject({ status: 1 });
  expect(status('320000')).toMatchObject({ status: 2 });
  expect(status('350000')).toMatchObject({ status: 5 });
  expect(status('3000')).toMatchObject({ kind: 'ignore' });
});

it('reserved types and empty frames are ignored', () => {
  expect(pci('40').kind).toBe('ignore');
  expect(pci('F0').kind).toBe('ignore');
  expect(pci('').kind).toBe('ignore');
  expect(pci('F1', 1).kind).toBe('ignore');
});

it('no bytes make the decoder throw or point outside the frame', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom(0, 1), (data, at) => {
      const decoded = decodePci(data, at);
      if (decoded.kind === 'single')
        expect(decoded.dataAt + decoded.length).toBeLessThanOrEqual(data.length);
    }),
    { numRuns: 2000 },
  );
});

describe('STmin, 9.6.5.4', () => {
  it.each([
    [0x00, 0],
    [0x14, 20],
    [0x7f, 127],
    [0xf1, 0.1],
    [0xf9, 0.9],
    [0x80, 127], // reserved
    [0xf0, 127],
    [0xfa, 127],
    [0xff, 127],
  ])('byte %i means %d ms', (byte, ms) => {
    expect(stMinToMs(byte)).toBeCloseTo(ms, 9);
  });

  it('is never shortened on the way to the byte', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 127, noNaN: true }), (ms) => {
        expect(stMinToMs(msToStMin(ms))).toBeGreaterThanOrEqual(ms - 1e-6);
      }),
    );
    expect(() => msToStMin(128)).toThrow(RangeError);
    expect(() => msToStMin(-1)).toThrow(RangeError);
  });
});
