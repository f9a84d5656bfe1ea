// Intel HEX: the six types, what programs and people make of them, and what is refused with its line.

import { describe, expect, it } from 'vitest';
import { asciiBytes } from '../../../src/core/bytes.ts';
import { readIntelHex, writeIntelHex } from '../../../src/image/formats/intel-hex.ts';
import { hexLine, lines, refusal, shown } from '../support.ts';

const END = ':00000001FF';
const read = (...all: readonly string[]) => readIntelHex(lines(...all), 'fw.hex');
const refused = (...all: readonly string[]): string => refusal(() => read(...all));

describe('Intel HEX', () => {
  it('reads the example of its specification', () => {
    const found = read(':10246200464C5549442050524F46494C4500464C33', END);
    expect(shown(found)).toEqual(['00002462:464c5549442050524f46494c4500464c']);
    expect(found).toMatchObject({ format: 'intel-hex', start: null });
  });

  it('sorts records and merges those that touch', () => {
    const found = read(
      hexLine('02001000CCDD'),
      hexLine('02000000AABB'),
      hexLine('02001200EEFF'),
      hexLine('0200020099AA'),
      END,
    );
    expect(shown(found)).toEqual(['00000000:aabb99aa', '00000010:ccddeeff']);
  });

  it('adds linear bases, and goes on over 64 KiB', () => {
    const found = read(
      hexLine('020000040800'),
      hexLine('04FFFE0001020304'),
      hexLine('020000040801'),
      hexLine('02000200AABB'),
      END,
    );
    expect(shown(found)).toEqual(['0800fffe:01020304aabb']);
  });

  it('adds segment bases, within which an offset wraps', () => {
    const found = read(hexLine('020000021000'), hexLine('04FFFE0001020304'), END);
    expect(shown(found)).toEqual(['00010000:0304', '0001fffe:0102']);
  });

  it('reads what has the highest addresses', () => {
    expect(shown(read(hexLine('02000004FFFF'), hexLine('01FFFF00AB'), END))).toEqual([
      'ffffffff:ab',
    ]);
    expect(refused(hexLine('02000004FFFF'), hexLine('02FFFF00ABCD'), END)).toBe(
      'fw.hex: line 2: 2 bytes at 0xFFFFFFFF end behind the last address, 0xFFFFFFFF',
    );
  });

  it.each([
    ['05', hexLine('0400000508000101'), 0x0800_0101],
    ['03 as segment and offset', hexLine('0400000312345678'), 0x12340 + 0x5678],
    ['the end record of old files', hexLine('00123401'), 0x1234],
  ])('takes the start address of %s', (_name, line, start) => {
    const isEnd = line.slice(7, 9) === '01';
    const found = read(hexLine('0100000001'), line, ...(isEnd ? [] : [END]));
    expect(found.start).toBe(start);
  });

  it.each([
    ['CRLF', ':0100000001FE\r\n:00000001FF\r\n'],
    ['CR', ':0100000001FE\r:00000001FF\r'],
    ['no end of the last line', ':0100000001FE\n:00000001FF'],
    ['lower case', ':0100000001fe\n:00000001ff\n'],
    ['a byte order mark', '\xef\xbb\xbf:0100000001FE\n:00000001FF\n'],
    ['blanks around lines', '  :0100000001FE \t\n\n\n:00000001FF  \n'],
    ['comments before the first record', 'Build: 2026\r\nby make\r\n:0100000001FE\r\n:00000001FF'],
    ['a comment in its first line', 'SW 1.0 :0100000001FE\n:00000001FF\n'],
    ['marked comments between', ':0100000001FE\n; a\n# b\n// c\n:00000001FF\n'],
    ['Ctrl-Z behind the end', ':0100000001FE\n:00000001FF\n\x1a\x1a'],
    ['zeros behind the end', ':0100000001FE\n:00000001FF\n\0\0\0'],
    ['a record without data', ':00123400BA\n:0100000001FE\n:00000001FF\n'],
  ])('reads %s', (_name, text) => {
    expect(shown(readIntelHex(asciiBytes(text), 'fw.hex'))).toEqual(['00000000:01']);
  });

  it.each([
    ['a wrong checksum', ['; c', ':0100000001FF', END], 'line 2: checksum FF, FE is right'],
    ['a bit that fell over', [hexLine('02000000AAFF'), ':0200100003FEEC', END], 'line 2: checksum'],
    ['a cut line', [':10000000000102', END], 'line 1: it is cut off: 14 of 42 digits are there'],
    [
      'a line that is cut in its head',
      [hexLine('0100000001'), ':0100', END],
      'line 2: it is cut off',
    ],
    ['a letter', [':010G000001FE', END], 'line 1: character 5 of the record is "G"'],
    ['characters behind', [':0100000001FE00', END], 'line 1: "00" stands behind the record'],
    ['a type that does not exist', [hexLine('01000006AA'), END], 'line 1: record type 06'],
    ['a base of one byte', [hexLine('0100000412'), END], 'line 1: a record of type 04 has 2 data'],
    ['an end with data', [hexLine('0100000100')], 'line 1: a record of type 01 has 0 data bytes'],
    ['no end', [hexLine('0100000001')], 'has no end of file record'],
    [
      'data behind the end',
      [END, hexLine('0100000001')],
      'line 2: a record behind the end of file',
    ],
    ['a second file', [hexLine('0100000001'), END, END], 'line 3: a record behind the end of file'],
    ['no data', [END], 'holds no data'],
    [
      'two start addresses',
      [hexLine('0400000500000001'), hexLine('0400000500000002'), END],
      'line 2: start address 0x00000002, but line 1 says 0x00000001',
    ],
    [
      'a line without its colon',
      [hexLine('0100000001'), '0100010001FD', END],
      'line 2: "0100010001FD" is no Intel HEX record',
    ],
    [
      'a first line without its colon',
      ['0100010001FD', hexLine('0100000001'), END],
      'line 1: Intel HEX record without its beginning',
    ],
    [
      'text between',
      [hexLine('0100000001'), 'hello', END],
      'line 2: "hello" is no Intel HEX record',
    ],
  ] as const)('refuses %s with its line', (_name, all, message) => {
    expect(refused(...all)).toContain(`fw.hex: ${message}`);
  });

  it('names both lines of an overlap', () => {
    expect(
      refused(
        hexLine('0400000001020304'),
        hexLine('0400040005060708'),
        hexLine('01001000AA'),
        hexLine('0100060006'),
        END,
      ),
    ).toBe('fw.hex: line 2 and line 4 both hold the byte at 0x00000006');
  });

  it('writes what it reads', () => {
    const bytes = Uint8Array.from({ length: 70 }, (_, index) => index);
    const image = { segments: [{ address: 0x0800_fff0, bytes }] };
    const text = Buffer.concat([...writeIntelHex(image, 0x0800_0101)]).toString();
    expect(text.split('\n').map((line) => line.slice(0, 9))).toEqual([
      ':02000004',
      ':10FFF000',
      ':02000004',
      ':20000000',
      ':16002000',
      ':04000005',
      ':00000001',
      '',
    ]);
    const again = readIntelHex(asciiBytes(text), 'again');
    expect(shown(again)).toEqual(shown({ image }));
    expect(again.start).toBe(0x0800_0101);
  });
});
