// Files of every kind: recognised by content, or refused with their kind.

import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { asciiBytes, concatBytes, fromHex } from '../../src/core/bytes.ts';
import { readImage } from '../../src/image/read-image.ts';
import { hexLine, lines, makeElf, makeVbf, packLzss, refusal, shown, sLine } from './support.ts';

const TOLD = { raw: { told: true, address: 0x0800_0000 } };
const WELCOME = { raw: { told: false, address: 0x0800_0000 } };

const HEX = lines(hexLine('0400000001020304'), ':00000001FF');
const SREC = lines(sLine(1, '000001020304'), 'S9030000FC');
const ELF = makeElf({ segments: [{ address: 0, bytes: fromHex('01020304') }] });
const VBF = makeVbf({ blocks: [{ address: 0, stored: fromHex('01020304') }] });
/** Nothing that has a name begins so. */
const BINARY = fromHex('20000A48 01000008 FF00 55AA 00000000 FEFFFFFF');

/** Local header of one file, enough to be known. */
function zip(name: string): Uint8Array {
  const head = new Uint8Array(30);
  head.set(asciiBytes('PK\x03\x04'));
  head[26] = name.length;
  return concatBytes(head, asciiBytes(`${name}some data`));
}

function at(offset: number, text: string): Uint8Array {
  return concatBytes(new Uint8Array(offset).fill(0x30), asciiBytes(text), new Uint8Array(20));
}

function exe(): Uint8Array {
  const file = new Uint8Array(600);
  file.set(asciiBytes('MZ'));
  file[0x3c] = 0x80;
  file.set(asciiBytes('PE\0\0'), 0x80);
  return file;
}

describe('a flash file', () => {
  it.each([
    ['intel-hex', HEX],
    ['s-record', SREC],
    ['elf', ELF],
    ['vbf', VBF],
  ] as const)('%s is recognised, whatever its name', (format, bytes) => {
    for (const name of ['fw.bin', 'fw.hex', 'fw.s19', 'x', 'a.frf', 'b.zip']) {
      for (const options of [{}, WELCOME]) {
        const found = readImage(bytes, name, options);
        expect(found.format).toBe(format);
        expect(shown(found)).toEqual(['00000000:01020304']);
      }
    }
  });

  it.each([HEX, SREC, ELF, VBF])('with a format is not raw data, also when told so', (bytes) => {
    expect(refusal(() => readImage(bytes, 'fw', TOLD))).toContain(
      'which has addresses of its own: leave --raw and @ADDRESS out',
    );
  });

  it('of raw data needs to be told', () => {
    expect(shown(readImage(BINARY, 'fw.bin', TOLD))).toEqual([
      `08000000:${Buffer.from(BINARY).toString('hex')}`,
    ]);
    expect(readImage(BINARY, 'fw.bin', WELCOME).format).toBe('raw');
    expect(refusal(() => readImage(BINARY, 'fw.bin'))).toBe(
      'fw.bin: is none of Intel HEX, S-records, ELF and VBF: for raw data say --raw, or where they begin, such as FILE@0x08000000',
    );
  });

  it.each(['fw.hex', 'FW.S19', 'a/b.elf', 'x.vbf'])(
    'named %s is not raw data unless a person says so',
    (name) => {
      expect(refusal(() => readImage(BINARY, name, WELCOME))).toContain('as its name says');
      expect(readImage(BINARY, name, TOLD).format).toBe('raw');
    },
  );

  it('of one line of text is raw data, of several lines only when told', () => {
    expect(readImage(asciiBytes('an image'), 'fw.bin', WELCOME).format).toBe('raw');
    const text = asciiBytes('one\ntwo\n');
    expect(refusal(() => readImage(text, 'fw.bin', WELCOME))).toContain('fw.bin: is text');
    expect(refusal(() => readImage(text, 'fw.bin'))).toContain('fw.bin: is text');
    expect(readImage(text, 'fw.bin', TOLD).format).toBe('raw');
  });

  it.each([
    ['empty', new Uint8Array(0), 'is empty'],
    ['a zip archive', zip('a.txt'), 'is a zip archive, not a flash file: unpack it first'],
    ['a PDX package', zip('FD_1234.odx-f'), 'is a PDX package'],
    ['gzip', gzipSync(HEX), 'is compressed by gzip'],
    ['zstd', zstdCompressSync(HEX), 'is compressed by zstd'],
    ['xz', fromHex('FD377A585A000004'), 'is compressed by xz'],
    ['bzip2', asciiBytes('BZh91AY&SY'), 'is compressed by bzip2'],
    ['lzma', fromHex('5D00008000FFFFFFFFFFFFFFFF00'), 'is compressed by lzma'],
    ['7z', fromHex('377ABCAF271C0004'), 'is a 7z archive'],
    ['tar', at(257, 'ustar\x0000'), 'is a tar archive'],
    ['cpio', asciiBytes('0707020000000A000081A4'), 'is a cpio archive'],
    ['PNG', fromHex('89504E470D0A1A0A0000000D'), 'is a PNG picture'],
    ['JPEG', fromHex('FFD8FFE000104A464946'), 'is a JPEG picture'],
    ['GIF', asciiBytes('GIF89a\x01\0'), 'is a GIF picture'],
    ['PDF', asciiBytes('%PDF-1.7\n%\xe2\xe3\n'), 'is a PDF document'],
    ['a Windows program', exe(), 'is a program for Windows or DOS'],
    ['a macOS program', fromHex('CFFAEDFE07000001'), 'is a program for macOS'],
    ['an ar archive', asciiBytes('!<arch>\nfoo.o/'), 'is an ar archive'],
    ['HTML', asciiBytes('\n<!DOCTYPE html><html><body>Log in'), 'is a page in HTML'],
    ['XML', asciiBytes('<?xml version="1.0"?><a/>'), 'is XML'],
    ['ODX', asciiBytes('<?xml version="1.0"?>\n<ODX MODEL-VERSION="2.2">'), 'is an ODX document'],
    ['JSON', asciiBytes('{"error": "not found"}'), 'is JSON'],
    ['UTF-16', Buffer.from(`\ufeff${Buffer.from(HEX).toString()}`, 'utf16le'), 'is text in UTF-16'],
    [
      'a Git LFS pointer',
      asciiBytes('version https://git-lfs.github.com/spec/v1\noid sha256:00\n'),
      'is a pointer of Git LFS',
    ],
    ['TI-TXT', asciiBytes('@F000\n31 40 00 03 B2 40\nq\n'), 'is TI-TXT or Verilog hex'],
    [
      'a segment map',
      concatBytes(asciiBytes('can-ota segments'), new Uint8Array(4)),
      'is the stored form of an image with segments',
    ],
  ] as const)('that is %s is refused with its kind, always', (_name, bytes, message) => {
    for (const options of [{}, WELCOME, TOLD]) {
      expect(refusal(() => readImage(bytes, 'fw.bin', options))).toContain(`fw.bin: ${message}`);
    }
  });

  it('that is an encrypted container of VW is refused by its name, the only sign there is', () => {
    expect(refusal(() => readImage(BINARY, 'FL_5G0906259.frf', WELCOME))).toContain(
      '.frf container of VW',
    );
  });

  it('whose data begin as a segment map is refused', () => {
    const data = Buffer.from('can-ota segments').toString('hex');
    const hex = lines(hexLine(`10000000${data}`), ':00000001FF');
    expect(refusal(() => readImage(hex, 'fw.hex'))).toContain('begin with "can-ota segments"');
  });
});

describe('a damaged text of records', () => {
  const LONG = lines(
    ...Array.from({ length: 300 }, (_, index) =>
      hexLine(`10${(index * 16).toString(16).padStart(4, '0').toUpperCase()}00${'5A'.repeat(16)}`),
    ),
    ':00000001FF',
  );
  const text = Buffer.from(LONG).toString();
  const SRECS = lines(
    ...Array.from({ length: 300 }, (_, index) =>
      sLine(1, (index * 16).toString(16).padStart(4, '0') + '5A'.repeat(16)),
    ),
    'S9030000FC',
  );

  it.each([
    ['its first colon lost', text.slice(1), 'line 1: Intel HEX record without its beginning'],
    ['its first digit wrong', text.replace(':1', ':G'), 'line 1: character 2 of the record is "G"'],
    ['its first line cut', text.slice(20), 'line 1: Intel HEX record without'],
    ['its end cut', text.slice(0, -20), 'is cut off'],
    ['its last line cut', text.slice(0, -12), 'has no end of file record'],
    ['its first 512 bytes erased', '\xff'.repeat(512) + text.slice(512), 'no Intel HEX record'],
    ['its first 5,000 bytes zero', '\0'.repeat(5000) + text.slice(5000), 'no Intel HEX record'],
    ['zeros within', `${text.slice(0, 5000)}${'\0'.repeat(500)}${text.slice(5500)}`, 'line 1'],
    ['a bit wrong', text.replace('5A5A', '5A5B'), 'line 1: checksum'],
  ])('with %s is refused, never taken as raw data', (_name, damaged, message) => {
    for (const options of [{}, WELCOME]) {
      const said = refusal(() => readImage(asciiBytes(damaged), 'fw.bin', options));
      expect(said).toContain(message);
    }
  });

  it('is refused as S-records, too', () => {
    const srec = Buffer.from(SRECS).toString();
    for (const damaged of [
      srec.slice(1),
      srec.replace('5A5A', '5A5B'),
      `\xff\xff${srec}`,
      srec.slice(0, -20),
    ]) {
      expect(refusal(() => readImage(asciiBytes(damaged), 'fw.bin', WELCOME))).toMatch(
        /S-record|checksum|cut off|ends without/,
      );
    }
  });

  it('that stands in a program is refused unless a person says that it is raw data', () => {
    const program = concatBytes(BINARY, asciiBytes('\n:00000001FF\n'), BINARY);
    expect(refusal(() => readImage(program, 'fw.bin', WELCOME))).toContain('no Intel HEX record');
    expect(readImage(program, 'fw.bin', TOLD).format).toBe('raw');
    expect(refusal(() => readImage(asciiBytes(text.slice(1)), 'fw.bin', TOLD))).toContain(
      'leave --raw',
    );
  });

  it('is not seen in raw data that begin with a colon', () => {
    expect(readImage(concatBytes(asciiBytes(':'), BINARY), 'fw.bin', WELCOME).format).toBe('raw');
    expect(readImage(concatBytes(asciiBytes('S1'), BINARY), 'fw.bin', WELCOME).format).toBe('raw');
  });
});

it('LZSS data of a VBF file are an image as others are', () => {
  const data = new Uint8Array(5000).fill(7);
  const header = ['data_format_identifier = 0x10;'];
  const vbf = makeVbf({ header, blocks: [{ address: 16, stored: packLzss(data), data }] });
  expect(readImage(vbf, 'fw.vbf').image.segments[0]?.bytes.length).toBe(5000);
});
