// Motorola S-records: the types, counts and ends, and what is refused with its line.

import { describe, expect, it } from 'vitest';
import { asciiBytes } from '../../../src/core/bytes.ts';
import { readSRecord, writeSRecord } from '../../../src/image/formats/s-record.ts';
import { lines, refusal, shown, sLine } from '../support.ts';

const END = 'S9030000FC';
const read = (...all: readonly string[]) => readSRecord(lines(...all), 'fw.s19');
const refused = (...all: readonly string[]): string => refusal(() => read(...all));

describe('S-records', () => {
  it('reads a file as it is shown everywhere', () => {
    const found = read(
      'S00F000068656C6C6F202020202000003C',
      'S11F00007C0802A6900100049421FFF07C6C1B787C8C23783C6000003863000026',
      'S11F001C4BFFFFE5398000007D83637880010014382100107C0803A64E800020E9',
      'S111003848656C6C6F20776F726C642E0A0042',
      'S5030003F9',
      'S9030000FC',
    );
    expect(shown(found)).toEqual([
      '00000000:7c0802a6900100049421fff07c6c1b787c8c23783c600000386300004bffffe5398000007d836378' +
        '80010014382100107c0803a64e80002048656c6c6f20776f726c642e0a00',
    ]);
    expect(found).toMatchObject({ format: 's-record', start: 0 });
    expect(found.facts).toContainEqual({ name: 'header', value: 'hello' });
    expect(found.facts).toContainEqual({ name: 'records', value: '3 with 16 bit addresses' });
  });

  it.each([
    [1, '1234', '9', '00001234'],
    [2, '123456', '8', '00123456'],
    [3, '12345678', '7', '12345678'],
  ])('reads S%i with the address %s, and S%s', (type, address, end, shownAddress) => {
    const found = read(sLine(type, `${address}AABB`), sLine(Number(end), address));
    expect(shown(found)).toEqual([`${shownAddress}:aabb`]);
    expect(found.start).toBe(Number.parseInt(address, 16));
  });

  it('mixes types, sorts and merges', () => {
    expect(shown(read(sLine(3, '00000102CC'), sLine(1, '0100AABB'), END))).toEqual([
      '00000100:aabbcc',
    ]);
  });

  it.each([
    ['CRLF', `${sLine(1, '000001')}\r\n${END}\r\n`],
    ['no end of the last line', `${sLine(1, '000001')}\n${END}`],
    ['lower case', `${sLine(1, '000001').toLowerCase()}\n${END.toLowerCase()}`],
    [
      'lines before the first record',
      `$$ symbols\n  main $1000\n$$\n${sLine(1, '000001')}\n${END}`,
    ],
    ['a count in S6', `${sLine(1, '000001')}\n${sLine(6, '000001')}\n${END}`],
    ['a count as its end', `${sLine(1, '000001')}\n${sLine(5, '0001')}\n`],
    ['records without data', `${sLine(1, '1234')}\n${sLine(1, '000001')}\n${END}`],
  ])('reads %s', (_name, text) => {
    expect(shown(readSRecord(asciiBytes(text), 'fw.s19'))).toEqual(['00000000:01']);
  });

  it.each([
    ['a wrong checksum', ['S1040000AB00', END], 'line 1: checksum 00, 50 is right'],
    ['a cut line', ['S11300004865', END], 'line 1: it is cut off: 10 of 40 digits are there'],
    ['a letter', ['S1040000XB50', END], 'line 1: character 9 of the record is "X"'],
    ['a letter in the length', ['S1x40000AB50', END], 'line 1: character 3 of the record is "x"'],
    [
      'characters behind',
      [`${sLine(1, '000001')}AA`, END],
      'line 1: "AA" stands behind the record',
    ],
    ['S4', [sLine(4, '000001'), END], 'line 1: S4 is reserved'],
    ['a length without room for the address', ['S1020000', END], 'line 1: its length is 2'],
    [
      'a wrong count',
      [sLine(1, '000001'), sLine(5, '0002'), END],
      'line 2: it counts 2 data records, the file has 1',
    ],
    [
      'a count with data',
      [sLine(1, '000001'), sLine(5, '000100'), END],
      'line 2: an S5 record has no data, this one 1',
    ],
    [
      'data behind the count',
      [sLine(1, '000001'), sLine(5, '0001'), sLine(1, '000101'), END],
      'line 3: data behind the count of line 2',
    ],
    [
      'data behind the end',
      [sLine(1, '000001'), END, sLine(1, '000101')],
      'line 3: a record behind the last one, line 2',
    ],
    ['no end', [sLine(1, '000001')], 'ends without S7, S8 or S9'],
    ['no data', ['S0030000FC', END], 'holds no data'],
    ['an address beyond 32 bits', [sLine(3, 'FFFFFFFFAABB'), END], 'line 1: 2 bytes at 0xFFFFFFFF'],
    ['text between', [sLine(1, '000001'), 'hello', END], 'line 2: "hello" is no S-record record'],
  ] as const)('refuses %s with its line', (_name, all, message) => {
    expect(refused(...all)).toContain(`fw.s19: ${message}`);
  });

  it('names both lines of an overlap', () => {
    expect(refused(sLine(1, '0010AABB'), sLine(1, '000000112233'), sLine(2, '000011CC'), END)).toBe(
      'fw.s19: line 1 and line 3 both hold the byte at 0x00000011',
    );
  });

  it.each([
    [0x100, 1, 9],
    [0x1_0000, 2, 8],
    [0x0800_0000, 3, 7],
  ])('writes the shortest records that hold the address %i', (address, data, end) => {
    const image = { segments: [{ address, bytes: Uint8Array.of(1, 2, 3) }] };
    const text = Buffer.concat([...writeSRecord(image, null)]).toString();
    expect(text.split('\n').map((line) => line.slice(0, 2))).toEqual([
      'S0',
      `S${data}`,
      'S5',
      `S${end}`,
      '',
    ]);
    expect(shown(readSRecord(asciiBytes(text), 'again'))).toEqual(shown({ image }));
  });
});
