// ELF files of both word sizes and byte orders: what is loaded, and what is refused.

import { describe, expect, it } from 'vitest';
import { fromHex } from '../../../src/core/bytes.ts';
import { readElf } from '../../../src/image/formats/elf.ts';
import { type ElfFields, makeElf, refusal, shown } from '../support.ts';

const CODE = { address: 0x0800_0000, bytes: fromHex('0102030405060708') };
const refused = (fields: ElfFields): string => refusal(() => readElf(makeElf(fields), 'fw.elf'));

describe('ELF', () => {
  it.each([
    [32, 'little'],
    [32, 'big'],
    [64, 'little'],
    [64, 'big'],
  ] as const)('of %i bits, %s endian: loads segments by physical address', (bits, order) => {
    const file = makeElf({
      is64: bits === 64,
      big: order === 'big',
      entry: 0x0800_0101,
      segments: [
        { address: 0x0801_0000, bytes: fromHex('AABB') },
        { type: 6, address: 0x1234, bytes: fromHex('FFFF') },
        CODE,
        { address: 0x0900_0000, bytes: new Uint8Array(0) },
      ],
    });
    const found = readElf(file, 'fw.elf');
    expect(shown(found)).toEqual(['08000000:0102030405060708', '08010000:aabb']);
    expect(found).toMatchObject({ format: 'elf', start: 0x0800_0101 });
    expect(found.facts).toEqual([
      { name: 'machine', value: `Arm, ${bits} bit, ${order} endian` },
      { name: 'loaded', value: '2 of 4 program headers' },
    ]);
  });

  it('has no start address where the entry is zero', () => {
    expect(readElf(makeElf({ segments: [CODE] }), 'fw.elf').start).toBeNull();
  });

  it.each([
    ['an object file', { type: 1, segments: [CODE] }, 'it is an object file that is not linked'],
    ['a core dump', { type: 4, segments: [CODE] }, 'it is a core dump'],
    ['no program headers', { phnum: 0, segments: [CODE] }, 'it has no program headers'],
    [
      'program headers beyond its end',
      { phnum: 9, segments: [CODE] },
      'it is cut off: its program headers end at byte 340, the file has 92',
    ],
    [
      'nothing to load',
      { segments: [{ ...CODE, type: 2 }] },
      'none of its program headers has bytes to be loaded',
    ],
    [
      'a segment of 4 GiB',
      { segments: [{ ...CODE, filesz: 0xffff_ffff }] },
      'it is cut off: the segment of program header 0 ends at byte',
    ],
    [
      'a segment beyond its end',
      { segments: [{ ...CODE, offset: 90 }] },
      'it is cut off: the segment of program header 0 ends at byte 98, the file has 92',
    ],
    [
      'addresses above 32 bits',
      { is64: true, segments: [{ ...CODE, address: 0xffff_fffc }] },
      'the segment of program header 0 at 0xFFFFFFFC lies outside',
    ],
    [
      'more data than it has bytes',
      { segments: [CODE, { ...CODE, address: 0, offset: 0, filesz: 130 }] },
      'its segments have 138 bytes together, more than the file (132)',
    ],
  ] as const)('refuses %s', (_name, fields, message) => {
    expect(refused(fields)).toContain(`fw.elf: ELF: ${message}`);
  });

  it('refuses overlaps with both program headers', () => {
    expect(refused({ segments: [CODE, { address: 0x0800_0004, bytes: fromHex('AA') }] })).toBe(
      'fw.elf: program header 0 and program header 1 both hold the byte at 0x08000004',
    );
  });

  it('refuses every file that is cut', () => {
    for (const is64 of [false, true]) {
      const whole = makeElf({ is64, segments: [CODE] });
      for (let length = 16; length < whole.length; length++) {
        expect(refusal(() => readElf(whole.subarray(0, length), 'fw.elf'))).toContain('cut off');
      }
    }
  });
});
