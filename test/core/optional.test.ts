// Members that are there or not, and values that are known to be there.

import { describe, expect, expectTypeOf, it } from 'vitest';
import { byteAt, copyBytes, flipBits } from '../../src/core/bytes.ts';
import { defined } from '../../src/core/optional.ts';
import { getOrAdd, itemAt, present } from '../../src/core/present.ts';

describe('defined', () => {
  it('leaves out what is undefined and nothing else, in the order of the members', () => {
    const members = { b: undefined, z: 0, a: '', n: null, f: false, y: undefined };
    const found = defined(members);
    expect(JSON.stringify(found)).toBe('{"z":0,"a":"","n":null,"f":false}');
    expect(Object.keys(found)).toEqual(['z', 'a', 'n', 'f']);
    expect(members).toHaveProperty('y');
  });

  it('does not overwrite a member that was there before', () => {
    const code = undefined as string | undefined;
    expect({ code: 'A', ...defined({ code }) }).toEqual({ code: 'A' });
  });

  it('has optional members without undefined as its type', () => {
    const code = 'X' as 'X' | undefined;
    const found = defined({ code, id: 1 });
    expectTypeOf(found).toHaveProperty('id').toEqualTypeOf<number>();
    const exact: { code?: 'X'; id: number } = found;
    expect(exact).toEqual({ code: 'X', id: 1 });
  });
});

describe('what is known to be there', () => {
  it('is returned, and an error says what is missing', () => {
    expect(byteAt(Uint8Array.of(7, 0), 1)).toBe(0);
    for (const index of [-1, 2, 0.5]) {
      expect(() => byteAt(Uint8Array.of(7, 0), index)).toThrow(`no byte ${index} in 2 bytes`);
      expect(() => itemAt(['a', 'b'], index)).toThrow(`no item ${index} in a list of 2`);
    }
    expect(itemAt(['a', ''], 1)).toBe('');
    expect(present(0, 'count')).toBe(0);
    for (const nothing of [null, undefined]) {
      expect(() => present(nothing, 'the root key')).toThrow('the root key is missing');
    }
  });

  it('is made once in a map', () => {
    const map = new Map<string, number[]>();
    getOrAdd(map, 'a', () => []).push(1);
    getOrAdd(map, 'a', () => [9]).push(2);
    expect([...map]).toEqual([['a', [1, 2]]]);
  });

  it('is copied as it is, whatever its length, and never in part', () => {
    for (const count of [0, 1, 8, 23, 24, 64]) {
      const from = Uint8Array.from({ length: count + 2 }, (_, index) => index + 1);
      const into = new Uint8Array(count + 3);
      copyBytes(from, 2, into, 1, count);
      expect([...into]).toEqual([0, ...from.subarray(2), 0, 0]);
      expect(() => copyBytes(from, 3, into, 0, count)).toThrow(RangeError);
    }
    const bytes = Uint8Array.of(0x0f);
    flipBits(bytes, 0, 0x11);
    expect(bytes[0]).toBe(0x1e);
    expect(() => flipBits(bytes, 1, 1)).toThrow(RangeError);
  });
});
