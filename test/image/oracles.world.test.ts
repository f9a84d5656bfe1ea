// The same files in programs of others: srec_cat (Debian srecord), python3-intelhex, and binutils.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { crc16 } from '../../src/image/formats/crc16.ts';
import { writeIntelHex } from '../../src/image/formats/intel-hex.ts';
import { writeSRecord } from '../../src/image/formats/s-record.ts';
import { type MemoryImage, rangesOf } from '../../src/image/memory-image.ts';
import { readImage } from '../../src/image/read-image.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { shown } from './support.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'can-ota-oracles-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => path.join(folder, name);

function run(program: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    timeout: 60_000,
  });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`, { cause: error });
  return stdout;
}

function works(program: string, ...args: readonly string[]): boolean {
  return spawnSync(program, args, { timeout: 60_000 }).status === 0;
}

/** Debian's module belongs to Debian's Python. */
const python = ['python3', '/usr/bin/python3'].find((each) => works(each, '-c', 'import intelhex'));
const hasSrecord = works('srec_cat', '-version');
const hasObjcopy = works('objcopy', '--version');
const hasLinker = works('ld', '--version') && works('as', '--version');
for (const [is, what] of [
  [hasSrecord, 'srec_cat, srecord is not installed'],
  [python !== undefined, 'intelhex, python3-intelhex is not installed'],
  [hasObjcopy && hasLinker, 'objcopy, as and ld, binutils is not installed'],
] as const) {
  if (!is) process.stdout.write(`left out: ${what}\n`);
}

const random = seededRandom('oracles');
const below = (limit: number): number => Math.floor(random.fraction() * limit);

/** Over borders of 64 KiB and within them; all addresses fit into `bits`. */
function someImage(bits: number): MemoryImage {
  const border = 0x1_0000 * (1 + below(2 ** (bits - 16) - 32));
  const base = bits === 16 ? below(0x4000) : border - below(20_000);
  let address = base;
  const segments = Array.from({ length: 1 + below(5) }, () => {
    const bytes = random.bytes(1 + below(bits === 16 ? 900 : 20_000));
    const segment = { address, bytes };
    address += bytes.length + 1 + below(2000);
    return segment;
  });
  return { segments };
}

const IMAGES = [16, 16, 24, 24, 32, 32, 32].map((bits) => [bits, someImage(bits)] as const);

function write(name: string, pieces: Iterable<Uint8Array>): string {
  writeFileSync(at(name), Buffer.concat([...pieces]));
  return at(name);
}

function read(file: string): MemoryImage {
  return readImage(readFileSync(file), path.basename(file)).image;
}

describe.skipIf(!hasSrecord)('srec_cat', () => {
  it.each(IMAGES)('of %i bit reads what we write, and we what it writes', (_bits, image) => {
    const ours = [
      [write('a.hex', writeIntelHex(image, 0x100)), '-intel'],
      [write('a.s19', writeSRecord(image, 0x100)), '-motorola'],
    ] as const;
    const forms = [
      ['b.hex', '-intel'],
      ['b.s19', '-motorola'],
      ['c.s19', '-motorola', '-address-length=4', '-line-length=60'],
      ['c.hex', '-intel', '-line-length=44', '-line-termination=crlf'],
    ] as const;
    for (const [file, format] of ours) {
      // Exit code 0 and no warning: checksums, counts and order are right.
      const check = spawnSync('srec_info', [file, format], { encoding: 'utf8' });
      expect([check.status, check.stderr]).toEqual([0, '']);
      for (const [name, ...form] of forms) {
        run('srec_cat', file, format, '-o', at(name), ...form);
        expect(shown({ image: read(at(name)) })).toEqual(shown({ image }));
      }
    }
  });

  it('writes Intel HEX with segments, which we read', () => {
    for (const [, image] of IMAGES.slice(0, 2)) {
      const moved = {
        segments: image.segments.map(({ address, bytes }) => ({
          address: address + 0x7_8000,
          bytes,
        })),
      };
      const file = write('d.hex', writeIntelHex(moved, null));
      run('srec_cat', file, '-intel', '-o', at('e.hex'), '-intel', '-address-length=3');
      expect(readFileSync(at('e.hex'), 'latin1')).toMatch(/^:02000002/m);
      expect(shown({ image: read(at('e.hex')) })).toEqual(shown({ image: moved }));
    }
  });

  it('wraps a record at the end of its segment as we do', () => {
    writeFileSync(at('wrap.hex'), ':020000021000EC\n:04FFFE0001020304F5\n:00000001FF\n');
    run(
      'srec_cat',
      at('wrap.hex'),
      '-intel',
      '-disable-sequence-warning',
      '-o',
      at('wrap.s19'),
      '-motorola',
    );
    expect(shown({ image: read(at('wrap.hex')) })).toEqual(shown({ image: read(at('wrap.s19')) }));
  });
});

describe.skipIf(python === undefined)('python3-intelhex', () => {
  const DUMP = `
import sys
from intelhex import IntelHex
image = IntelHex(sys.argv[1])
for begin, end in image.segments():
    print('%08x:%s' % (begin, image.tobinstr(start=begin, end=end - 1).hex()))
image.write_hex_file(sys.argv[2], byte_count=int(sys.argv[3]), eolstyle=sys.argv[4])
`;

  it('and its Python agree about CRC-16/CCITT-FALSE', () => {
    const data = random.bytes(5000);
    writeFileSync(at('crc.bin'), data);
    const script =
      'import binascii, sys; print(binascii.crc_hqx(open(sys.argv[1], "rb").read(), 0xFFFF))';
    expect(Number(run(python ?? '', '-c', script, at('crc.bin')))).toBe(crc16(data));
  });

  it.each(IMAGES)('of %i bit reads what we write, and we what it writes', (_bits, image) => {
    const file = write('p.hex', writeIntelHex(image, null));
    for (const [bytes, ends] of [
      ['16', 'native'],
      ['255', 'CRLF'],
    ] as const) {
      const segments = run(python ?? '', '-c', DUMP, file, at('q.hex'), bytes, ends)
        .trim()
        .split('\n');
      expect(segments).toEqual(shown({ image }));
      expect(shown({ image: read(at('q.hex')) })).toEqual(shown({ image }));
    }
  });
});

describe.skipIf(!hasObjcopy)('objcopy', () => {
  it.each(IMAGES)('of %i bit reads what we write, and we what it writes', (_bits, image) => {
    const files = [
      [write('o.hex', writeIntelHex(image, 0x100)), 'ihex'],
      [write('o.s19', writeSRecord(image, 0x100)), 'srec'],
    ] as const;
    for (const [file, from] of files) {
      for (const to of ['ihex', 'srec'] as const) {
        run('objcopy', '-I', from, '-O', to, file, at(`r.${to}`));
        const found = readImage(readFileSync(at(`r.${to}`)), 'r');
        expect(shown(found)).toEqual(shown({ image }));
        expect(found.start).toBe(0x100);
      }
    }
  });
});

describe.skipIf(!(hasObjcopy && hasLinker))('as, ld and objcopy', () => {
  const SOURCE = `
.section .text
.globl _start
_start: .fill 300, 1, 0x90
.section .data
.fill 77, 1, 0xd5
.section .bss
.skip 4096
.section .note, "a"
.ascii "a note of the build"
.section .debug_info
.fill 5000, 1, 0xdd
`;
  /** .data runs in RAM and is stored in flash; .bss is in no file. */
  const SCRIPT = `
ENTRY(_start)
PHDRS { text PT_LOAD; data PT_LOAD; note PT_LOAD; }
SECTIONS {
  .text 0x08000000 : { *(.text) } :text
  .data 0x20000000 : AT(0x08010000) { *(.data) } :data
  .bss : { *(.bss) } :data
  .note 0x08020000 : AT(0x08020000) { *(.note) } :note
}
`;

  it.each([
    ['--32', 'elf_i386'],
    ['--64', 'elf_x86_64'],
  ])('ELF of as %s: we load what objcopy copies', (bits, emulation) => {
    writeFileSync(at('e.s'), SOURCE);
    writeFileSync(at('e.ld'), SCRIPT);
    run('as', bits, '-o', at('e.o'), at('e.s'));
    run('ld', '-m', emulation, '-T', at('e.ld'), '-o', at('e.elf'), at('e.o'));
    run('objcopy', '-O', 'ihex', at('e.elf'), at('e.ihex'));
    const found = readImage(readFileSync(at('e.elf')), 'e.elf');
    expect(rangesOf(found.image)).toEqual([
      { address: 0x0800_0000, length: 300 },
      { address: 0x0801_0000, length: 77 },
      { address: 0x0802_0000, length: 19 },
    ]);
    expect(shown(found)).toEqual(shown({ image: read(at('e.ihex')) }));
    expect(found.start).toBe(0x0800_0000);
    expect(() => readImage(readFileSync(at('e.o')), 'e.o')).toThrow(
      'is an object file that is not linked',
    );
  });
});
