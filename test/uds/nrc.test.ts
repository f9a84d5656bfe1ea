// Negative response codes of annex A.1.

import { expect, test } from 'vitest';
import { Nrc, nrcName, nrcText } from '../../src/uds/nrc.ts';

test('every code has one name', () => {
  const codes = Object.values(Nrc);
  expect(new Set(codes).size).toBe(codes.length);
  for (const [name, code] of Object.entries(Nrc)) expect(nrcName(code)).toBe(name);
});

test('the table is the one of annex A.1, without the reserved codes', () => {
  const ranges = [
    [0x10, 0x14],
    [0x21, 0x22],
    [0x24, 0x26],
    [0x31, 0x31],
    [0x33, 0x3a],
    [0x50, 0x5d],
    [0x70, 0x73],
    [0x78, 0x78],
    [0x7e, 0x7f],
    [0x81, 0x8d],
    [0x8f, 0x94],
  ] as const;
  const expected = ranges.flatMap(([from, to]) =>
    Array.from({ length: to - from + 1 }, (_, index) => from + index),
  );
  expect(Object.values(Nrc).sort((a, b) => a - b)).toEqual(expected);
});

test('text', () => {
  expect(nrcText(0x73)).toBe('wrongBlockSequenceCounter (0x73)');
  expect(nrcText(0x05)).toBe('NRC 0x05');
});
