// What all codecs share: sub-function byte, lengths, and a reader that ends where the bytes end.

import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import {
  checkedByte,
  field16,
  hex2,
  hex4,
  joinSubFunction,
  Reader,
  requestProblem,
  responseProblem,
  splitSubFunction,
} from '../../src/uds/codec.ts';
import { bytesNeeded } from '../../src/uds/memory-transfer.ts';

describe('the reader', () => {
  test('takes fields from left to right, and knows what is left', () => {
    const reader = new Reader(fromHex('AA0102030002BBCC'), 1);
    expect([reader.left, reader.exact, reader.failed]).toEqual([7, false, false]);
    expect(reader.uint(1)).toBe(1);
    expect(reader.uint(2)).toBe(0x0203);
    expect(toHex(reader.field16())).toBe('bbcc');
    expect([reader.left, reader.exact, reader.failed]).toEqual([0, true, false]);
    expect(reader.rest()).toHaveLength(0);
    expect(reader.exact).toBe(true);
  });

  test('fails at the first byte beyond the end, and gives nothing from there on', () => {
    const reader = new Reader(fromHex('0102'), 0);
    expect(reader.uint(3)).toBe(0);
    expect([reader.failed, reader.exact]).toEqual([true, false]);
    expect(reader.uint(1)).toBe(0);
    expect(reader.rest()).toHaveLength(0);
    expect(reader.field16()).toHaveLength(0);
    expect(reader.left).toBe(2);
  });

  test('fails at a field that is longer than what is left', () => {
    const reader = new Reader(fromHex('0002AA'), 0);
    expect(reader.field16()).toHaveLength(0);
    expect(reader.failed).toBe(true);
  });

  test('reads all of the rest', () => {
    const reader = new Reader(fromHex('010203'), 1);
    expect(toHex(reader.rest())).toBe('0203');
    expect(reader.exact).toBe(true);
  });
});

describe('lengths', () => {
  test('of a request', () => {
    const problem = (hex: string, most?: number) => requestProblem(fromHex(hex), 0x22, 3, most);
    expect(problem('220102')).toBeUndefined();
    expect(problem('2201')).toBe(0x13);
    expect(problem('230102')).toBe(0x11);
    expect(problem('22010203', 4)).toBeUndefined();
    expect(problem('2201020304', 4)).toBe(0x13);
  });

  test('of a response, in words', () => {
    const problem = (hex: string, least: number, most?: number) =>
      responseProblem(fromHex(hex), 0x22, least, most)?.malformed;
    expect(problem('620102', 3, 3)).toBeUndefined();
    expect(problem('6201', 3, 3)).toBe('expected 3 bytes, got 2');
    expect(problem('6201', 3)).toBe('expected 3 or more bytes, got 2');
    expect(problem('6201020304', 3, 4)).toBe('expected 3 to 4 bytes, got 5');
    expect(problem('630102', 3)).toBe('expected response SID 0x62, got 0x63');
    expect(problem('', 3)).toBe('expected response SID 0x62, got no byte');
  });
});

describe('a byte', () => {
  test.each([
    [0x00, 0x00, false],
    [0x7f, 0x7f, false],
    [0x80, 0x00, true],
    [0x83, 0x03, true],
    [0xff, 0x7f, true],
  ])('%i is a sub-function and a wish', (byte, subFunction, suppress) => {
    expect(splitSubFunction(byte)).toEqual({ subFunction, suppress });
    expect(joinSubFunction(subFunction, suppress)).toBe(byte);
  });

  test('is no more than a byte', () => {
    expect([checkedByte(0, 'x'), checkedByte(255, 'x')]).toEqual([0, 255]);
    for (const wrong of [-1, 256, 1.5]) expect(() => checkedByte(wrong, 'x')).toThrow(RangeError);
    for (const wrong of [-1, 128, 1.5]) expect(() => joinSubFunction(wrong)).toThrow(RangeError);
    expect(joinSubFunction(3)).toBe(3);
  });

  test('has two digits, a word four', () => {
    expect([hex2(0), hex2(0xab), hex4(1), hex4(0xabcd)]).toEqual(['00', 'AB', '0001', 'ABCD']);
    expect(toHex(field16(fromHex('AABB')))).toBe('0002aabb');
    expect([0, 255, 256, 65_535, 65_536].map(bytesNeeded)).toEqual([1, 1, 2, 2, 3]);
  });
});
