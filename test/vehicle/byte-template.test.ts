// Bytes with names: what is written, and what is refused with its place.

import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { byteTemplate, fillTemplate, usesName } from '../../src/vehicle/byte-template.ts';

const values = {
  numbers: { address: 0x05, size: 0x1234, crc32: 0xdeadbeef },
  bytes: { date: Uint8Array.of(0x26, 0x11, 0x30) },
};
const filled = (template: string): string => {
  const bytes = fillTemplate(template, values);
  return 'problem' in bytes ? bytes.problem : toHex(bytes).toUpperCase();
};

describe('a template', () => {
  it.each([
    ['', ''],
    ['01', '01'],
    ['01 05', '0105'],
    ['01{address:1}', '0105'],
    ['01 {address:1} 00 04 {crc32}', '01050004DEADBEEF'],
    ['{size}', '00001234'],
    ['{size:2le} {size:3}', '3412001234'],
    ['{date} 00', '26113000'],
    ['  aA Bb  ', 'AABB'],
  ])('%j is %s', (template, bytes) => {
    expect(filled(template)).toBe(bytes);
  });

  it('says which number has no room', () => {
    expect(filled('01 {size:1}')).toBe('{size:1} has no room for 0x1234');
    expect(filled('{address:1}')).toBe('05');
  });

  it('knows which names it uses', () => {
    expect(usesName('01 {address:1}', ['address', 'size'])).toBe(true);
    expect(usesName('01 {size}', ['address', 'size'])).toBe(true);
    expect(usesName('01 {sizes}', ['size'])).toBe(false);
    expect(usesName('01 05', ['address'])).toBe(false);
  });
});

describe('the schema', () => {
  const field = byteTemplate({ numbers: ['address'], bytes: ['date'] }, ['none']);
  const problem = (text: unknown) => field.safeParse(text).error?.issues[0]?.message;

  it('takes keywords and templates as they are', () => {
    for (const text of ['none', '01 {address:1}', '{date}']) expect(field.parse(text)).toBe(text);
  });

  it.each([
    ['0', 'none; or: expected pairs of hexadecimal digits and {address:BYTES}, {date}, found "0"'],
    ['01 {adress}', 'none; or: {adress} is not known here: expected {address:BYTES}, {date}'],
    ['{date:3}', 'none; or: {date:3} is not known here: expected {address:BYTES}, {date}'],
    [
      '{address:9}',
      'none; or: expected pairs of hexadecimal digits and {address:BYTES}, {date}, found "{address:9}"',
    ],
    [
      '01 {constructor}',
      'none; or: {constructor} is not known here: expected {address:BYTES}, {date}',
    ],
    [1, 'expected text in quotes: hexadecimal digits, with names in braces'],
  ])('refuses %j', (text, sentence) => {
    expect(problem(text)).toBe(sentence);
  });
});
