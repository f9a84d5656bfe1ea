// VBF files: header, blocks, checksums, LZSS, and what is refused.

import { describe, expect, it } from 'vitest';
import { asciiBytes, fromHex } from '../../../src/core/bytes.ts';
import { crc16 } from '../../../src/image/formats/crc16.ts';
import { unpackLzss } from '../../../src/image/formats/lzss.ts';
import { readVbf } from '../../../src/image/formats/vbf.ts';
import { makeVbf, packLzss, refusal, shown, type VbfFields } from '../support.ts';

const HEADER = [
  '// Description: software of the display { not a brace }',
  'description = { "Display", "line 2 // of it" };',
  'sw_part_number = "GB5T-14C026-AB";',
  'sw_part_type = EXE// as the linker made it',
  ';',
  'network = CAN_HS;',
  'ecu_address = 0x720;',
  'frame_format = CAN_STANDARD;',
  'erase = { { 0x00010000, 0x00008000 },',
  '          { 0x00020000, 0x100 } };',
];
const BLOCKS = [
  { address: 0x1_0000, stored: fromHex('0102030405') },
  { address: 0x2_0000, stored: fromHex('AABB') },
];
const read = (fields: VbfFields) => readVbf(makeVbf(fields), 'fw.vbf');
const refused = (fields: VbfFields): string => refusal(() => read(fields));

describe('VBF', () => {
  it('reads header and blocks', () => {
    const found = read({ header: HEADER, blocks: BLOCKS });
    expect(shown(found)).toEqual(['00010000:0102030405', '00020000:aabb']);
    expect(found).toMatchObject({ format: 'vbf', start: null });
    expect(found.vbf).toMatchObject({
      version: '2.6',
      partNumber: 'GB5T-14C026-AB',
      partType: 'EXE',
      ecuAddress: 0x720,
      erase: [
        { address: 0x1_0000, length: 0x8000 },
        { address: 0x2_0000, length: 0x100 },
      ],
      dataFormat: 0,
    });
    expect(found.vbf?.call).toBeUndefined();
    expect(found.vbf?.blocks.map(({ address, length }) => [address, length])).toEqual([
      [0x1_0000, 5],
      [0x2_0000, 2],
    ]);
    expect(found.vbf?.header.get('description')).toBe('Display line 2 // of it');
    expect(found.facts).toContainEqual({
      name: 'erase',
      value: '0x00010000 32768, 0x00020000 256',
    });
  });

  it('reads a second boot loader with its start address', () => {
    const header = ['sw_part_type = SBL;', 'call = 0x40001000;', 'ecu_address = { 0x7E0, 0x7E8 };'];
    const found = read({ header, blocks: BLOCKS });
    expect(found.start).toBe(0x4000_1000);
    expect(found.vbf).toMatchObject({ partType: 'SBL', call: 0x4000_1000, ecuAddress: 0x7e0 });
  });

  it('unpacks LZSS, and keeps the blocks as they are stored', () => {
    const data = asciiBytes('abcabcabcabcabcabcabcabcabcabc and more of abcabc'.repeat(40));
    const stored = packLzss(data);
    expect(stored.length).toBeLessThan(data.length / 3);
    const header = ['data_format_identifier = 0x10;'];
    const found = read({ header, blocks: [{ address: 0x1000, stored, data }] });
    expect(Buffer.from(found.image.segments[0]?.bytes ?? []).equals(data)).toBe(true);
    expect(found.vbf?.dataFormat).toBe(0x10);
    expect(found.vbf?.blocks[0]?.stored).toEqual(stored);
    expect(found.vbf?.blocks[0]?.length).toBe(data.length);
  });

  it.each([
    ['a line end behind the header', { gap: '\r\n', blocks: BLOCKS }],
    [
      'a line end that is part of the first address',
      { blocks: [{ address: 0x0a00_0000, stored: fromHex('01') }] },
    ],
    ['no checksum', { checksum: null, blocks: BLOCKS }],
    ['no checksum and a line end', { checksum: null, gap: '\n', blocks: BLOCKS }],
  ])('finds the blocks with %s', (_name, fields) => {
    expect(read(fields).image.segments.length).toBe(fields.blocks.length);
  });

  it.each([
    [
      'a damaged block',
      { blocks: [{ address: 0x1000, stored: fromHex('0102'), crc: 0x1234 }] },
      'VBF: block 1 at 0x00001000: CRC-16 0x1234, 0x0E7C is right for its 2 bytes',
    ],
    [
      'a wrong file checksum',
      { checksum: 0x1234, blocks: BLOCKS },
      'VBF: file_checksum is 0x00001234, 0x',
    ],
    [
      'overlapping blocks',
      { blocks: [...BLOCKS, { address: 0x1_0004, stored: fromHex('FF') }] },
      'block 1 and block 3 both hold the byte at 0x00010004',
    ],
    ['no blocks', { blocks: [] }, 'holds no data'],
    [
      'LZMA',
      { header: ['data_format_identifier = 0x20;'], blocks: BLOCKS },
      'VBF: data format 0x20 (LZMA of Volvo) cannot be read',
    ],
    [
      'encrypted data',
      { header: ['data_format_identifier = 0x11;'], blocks: BLOCKS },
      'VBF: data format 0x11 is encrypted',
    ],
    [
      'an address that is no number',
      { header: ['ecu_address = 0x7G0;'], blocks: BLOCKS },
      'VBF: ecu_address is "0x7G0"',
    ],
    [
      'an erase list of odd length',
      { header: ['erase = { { 0x1000 } };'], blocks: BLOCKS },
      'VBF: erase: expected pairs',
    ],
    [
      'an erase list beyond 32 bits',
      { header: ['erase = { { 0xFFFFFFFF, 2 } };'], blocks: BLOCKS },
      'VBF: erase: 2 bytes at 0xFFFFFFFF',
    ],
    [
      'a missing semicolon',
      { header: ['network = CAN_HS', 'call = 0x10;'], blocks: BLOCKS },
      'VBF header, line 4: "=" within the value of network: expected ";"',
    ],
    [
      'a missing equals sign',
      { header: ['network CAN_HS;'], blocks: BLOCKS },
      'VBF header, line 3: "CAN_HS" behind network: expected "="',
    ],
  ] as const)('refuses %s', (_name, fields, message) => {
    expect(refused(fields)).toContain(`fw.vbf: ${message}`);
  });

  it('refuses every file that is cut', () => {
    const whole = makeVbf({ header: HEADER, blocks: BLOCKS });
    for (let length = 13; length < whole.length; length++) {
      const cut = refusal(() => readVbf(whole.subarray(0, length), 'fw.vbf'));
      expect(cut).toMatch(/cut off|file_checksum|holds no data/);
    }
  });

  it('names a block that is cut', () => {
    const whole = makeVbf({ header: HEADER, blocks: BLOCKS });
    expect(refusal(() => readVbf(whole.subarray(0, -3), 'fw.vbf'))).toBe(
      'fw.vbf: VBF: block 2 is cut off within its address and length',
    );
    expect(refusal(() => readVbf(whole.subarray(0, -1), 'fw.vbf'))).toContain('block 2');
  });
});

describe('LZSS', () => {
  it.each([
    // 1 + 8 bits for a byte: 1 0100_0001 and padding.
    ['a byte as it is', 'A080', '41'],
    // A byte, then 0, position 1 (0 in the ring) in 10 bits, length code 0 in 4: two bytes from there on.
    ['what was written before', 'A08010', '414141'],
    ['the end at position 0', 'A08000', '41'],
    // Position 6 of an empty ring.
    ['what was never written', '00C0', '2020'],
    ['nothing', '', ''],
  ])('unpacks %s', (_name, packed, data) => {
    expect(Buffer.from(unpackLzss(fromHex(packed), 100) ?? []).toString('hex')).toBe(data);
  });

  it('ends at the bound', () => {
    const packed = packLzss(new Uint8Array(1000));
    expect(unpackLzss(packed, 1000)?.length).toBe(1000);
    expect(unpackLzss(packed, 999)).toBeUndefined();
  });

  it('unpacks at most 9.1 bytes for one', () => {
    const bomb = unpackLzss(new Uint8Array(10_000).fill(0x7f), 1 << 20);
    expect(bomb?.length).toBeLessThan(91_000);
  });
});

it('CRC-16/CCITT-FALSE has its check value', () => {
  expect(crc16(asciiBytes('123456789'))).toBe(0x29b1);
});
