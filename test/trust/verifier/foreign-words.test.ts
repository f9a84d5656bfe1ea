// Foreign text in messages: short, on one line, and without control characters. Fields: own ones alone.

import { expect, it } from 'vitest';
import { field, quoted } from '../../../src/trust/strict-json.ts';

it('text is quoted whole up to 80 characters, and cut behind its first 80 beyond', () => {
  const text = Array.from({ length: 81 }, (_, index) => 'abcdefghij'[index % 10]).join('');
  expect(quoted('')).toBe('""');
  expect(quoted(text.slice(0, 80))).toBe(`"${text.slice(0, 80)}"`);
  expect(quoted(text)).toBe(`"${text.slice(0, 80)}..."`);
  expect(quoted('a"b\n\u0007')).toBe('"a\\"b\\n\\u0007"');
});

it('a field is one of the object itself', () => {
  const object = { own: 1 };
  expect(field(object, 'own')).toBe(1);
  expect(field(object, 'constructor')).toBeUndefined();
  expect(field(object, 'other')).toBeUndefined();
  for (const none of [undefined, null, 'own', 7, ['own']])
    expect(field(none, 'own')).toBeUndefined();
});
