// Files that people name by mistake, or before they unpack them: archives, pictures, programs of a computer, web pages.

import { asciiBytes } from '../core/bytes.ts';

export interface ForeignKind {
  /** `a zip archive` */
  readonly what: string;
  /** What to do instead. */
  readonly advice?: string;
}

interface Magic extends ForeignKind {
  readonly at?: number;
  readonly bytes: readonly number[] | string;
  /** What must hold besides, where few bytes could be the data of an ECU by chance. */
  readonly also?: (bytes: Uint8Array) => boolean;
}

/** Where names of files in a zip archive are looked for, from both ends. */
const NAMES = 1 << 16;

const UNPACK = 'unpack it first';
const PICTURE = 'an ECU runs programs';
const LINK = 'an ELF file of the ECU is expected';

/** By what their specifications call magic number, signature or first record. */
const MAGICS: readonly Magic[] = [
  { what: 'a zip archive', bytes: 'PK\x03\x04', advice: UNPACK },
  { what: 'an empty zip archive', bytes: 'PK\x05\x06' },
  { what: 'a part of a zip archive', bytes: 'PK\x07\x08' },
  // RFC 1952: method 8, and the three highest flags are zero.
  {
    what: 'compressed by gzip',
    bytes: [0x1f, 0x8b, 8],
    also: (bytes) => at(bytes, 3) < 0x20,
    advice: UNPACK,
  },
  { what: 'compressed by xz', bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], advice: UNPACK },
  { what: 'compressed by zstd', bytes: [0x28, 0xb5, 0x2f, 0xfd], advice: UNPACK },
  {
    what: 'compressed by bzip2',
    bytes: 'BZh',
    also: (bytes) => has(bytes, 4, [0x31, 0x41, 0x59, 0x26, 0x53, 0x59]),
    advice: UNPACK,
  },
  { what: 'compressed by lz4', bytes: [0x04, 0x22, 0x4d, 0x18], advice: UNPACK },
  { what: 'compressed by lzip', bytes: 'LZIP', advice: UNPACK },
  // .lzma: properties, a dictionary of a power of two, and the length unknown.
  {
    what: 'compressed by lzma',
    bytes: [0x5d, 0, 0],
    also: (bytes) =>
      has(
        bytes,
        5,
        Array.from({ length: 8 }, () => 0xff),
      ),
    advice: UNPACK,
  },
  { what: 'a 7z archive', bytes: [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c], advice: UNPACK },
  { what: 'a RAR archive', bytes: 'Rar!\x1a\x07', advice: UNPACK },
  { what: 'a cabinet archive', bytes: 'MSCF\0\0\0\0', advice: UNPACK },
  { what: 'a tar archive', at: 257, bytes: 'ustar', advice: UNPACK },
  { what: 'a cpio archive', bytes: '07070', also: isCpio, advice: UNPACK },
  { what: 'an ar archive (a library or a Debian package)', bytes: '!<arch>\n' },
  { what: 'an RPM package', bytes: [0xed, 0xab, 0xee, 0xdb] },
  {
    what: 'a PNG picture',
    bytes: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a],
    advice: PICTURE,
  },
  {
    what: 'a JPEG picture',
    bytes: [0xff, 0xd8, 0xff],
    also: (bytes) => at(bytes, 3) >= 0xc0 && at(bytes, 3) !== 0xff,
    advice: PICTURE,
  },
  { what: 'a GIF picture', bytes: 'GIF87a', advice: PICTURE },
  { what: 'a GIF picture', bytes: 'GIF89a', advice: PICTURE },
  {
    what: 'a BMP picture',
    bytes: 'BM',
    also: (bytes) => little32(bytes, 2) === bytes.length && little32(bytes, 6) === 0,
    advice: PICTURE,
  },
  { what: 'a TIFF picture', bytes: 'II*\0', advice: PICTURE },
  { what: 'a RIFF file (sound, film or picture)', bytes: 'RIFF', also: isRiff },
  { what: 'a PDF document', bytes: '%PDF-' },
  { what: 'an Office document', bytes: [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1] },
  { what: 'an SQLite database', bytes: 'SQLite format 3\0' },
  { what: 'a program for macOS (Mach-O)', bytes: [0xfe, 0xed, 0xfa, 0xce], advice: LINK },
  { what: 'a program for macOS (Mach-O)', bytes: [0xfe, 0xed, 0xfa, 0xcf], advice: LINK },
  { what: 'a program for macOS (Mach-O)', bytes: [0xce, 0xfa, 0xed, 0xfe], advice: LINK },
  { what: 'a program for macOS (Mach-O)', bytes: [0xcf, 0xfa, 0xed, 0xfe], advice: LINK },
  { what: 'a Java class, or a program for macOS', bytes: [0xca, 0xfe, 0xba, 0xbe] },
  { what: 'a program for Windows or DOS (.exe)', bytes: 'MZ', also: isExe, advice: LINK },
  { what: 'a WebAssembly module', bytes: '\0asm\x01\0\0\0' },
  { what: 'LLVM bitcode', bytes: 'BC\xc0\xde' },
  {
    what: 'a UF2 file',
    bytes: 'UF2\n\x57\x51\x5d\x9e',
    advice: 'convert it to Intel HEX',
  },
  { what: 'a DfuSe file', bytes: 'DfuSe', advice: 'convert it to Intel HEX' },
  {
    what: 'a COFF file of Texas Instruments',
    bytes: [0xc2, 0],
    also: (bytes) => [0x97, 0x98, 0x99, 0x9d, 0xa0].includes(little32(bytes, 20) & 0xffff),
    advice: 'write Intel HEX with hex2000, armhex or the like',
  },
];

/** Readable text that has a name. */
const TEXTS: readonly (ForeignKind & { readonly pattern: RegExp })[] = [
  {
    what: 'a page in HTML',
    pattern: /^\s*(?:<!--[\s\S]*?-->\s*)?<(?:!doctype\s+html|html|head|body)\b/i,
    advice: 'a server may have answered with a page in place of the file',
  },
  {
    what: 'an ODX document',
    pattern: /^\s*<\?xml[\s\S]*?<ODX\b/,
    advice: 'name the file with the flash data that it refers to',
  },
  { what: 'XML', pattern: /^\s*<(?:\?xml|!DOCTYPE|svg)\b/ },
  { what: 'JSON', pattern: /^\s*(?:\{\s*(?:"|\}\s*$)|\[\s*(?:[[{"\d]|\]\s*$))/ },
  {
    what: 'a pointer of Git LFS in place of the file',
    pattern: /^version https:\/\/git-lfs\.github\.com\//,
    advice: 'run git lfs pull',
  },
  { what: 'a certificate or key (PEM)', pattern: /^-----BEGIN [A-Z0-9 ]+-----/ },
  { what: 'a script', pattern: /^#!\s*\// },
  {
    what: 'TI-TXT or Verilog hex',
    pattern: /^@[0-9A-Fa-f]{1,8}\s*[\r\n]+(?:[0-9A-Fa-f]{2,8}\s+)+/,
    advice: 'convert it with srec_cat FILE -ti-txt (or -vmem) -o OUT.hex -intel',
  },
  {
    what: 'Tektronix hex',
    pattern: /^%[0-9A-Fa-f]{5}[0-9A-Fa-f]*\s*[\r\n]/,
    advice: 'convert it with srec_cat FILE -tektronix-extended -o OUT.hex -intel',
  },
];

/** `text` is the beginning of the file where it is readable text. */
export function foreignKind(bytes: Uint8Array, text: string | undefined): ForeignKind | undefined {
  for (const magic of MAGICS) {
    const expected =
      typeof magic.bytes === 'string' ? Array.from(asciiBytes(magic.bytes)) : magic.bytes;
    if (!has(bytes, magic.at ?? 0, expected) || magic.also?.(bytes) === false) continue;
    return isPdx(magic, bytes)
      ? {
          what: 'a PDX package (a zip archive with ODX data)',
          advice: 'unpack it and name the file with the flash data',
        }
      : named(magic);
  }
  if (has(bytes, 0, [0xff, 0xfe]) || has(bytes, 0, [0xfe, 0xff])) {
    const units = new TextDecoder(at(bytes, 0) === 0xff ? 'utf-16le' : 'utf-16be');
    const start = units.decode(bytes.subarray(2, 402));
    if (/^[\x20-\x7e\s]{4,}$/.test(start)) {
      return { what: 'text in UTF-16', advice: 'save it as ASCII' };
    }
  }
  const known = text === undefined ? undefined : TEXTS.find(({ pattern }) => pattern.test(text));
  return known === undefined ? undefined : named(known);
}

function named({ what, advice }: ForeignKind): ForeignKind {
  return advice === undefined ? { what } : { what, advice };
}

function at(bytes: Uint8Array, offset: number): number {
  return bytes[offset] ?? 0;
}

function has(bytes: Uint8Array, offset: number, expected: readonly number[]): boolean {
  return expected.every((byte, index) => bytes[offset + index] === byte);
}

function little32(bytes: Uint8Array, offset: number): number {
  const low = at(bytes, offset) | (at(bytes, offset + 1) << 8);
  return low + at(bytes, offset + 2) * 2 ** 16 + at(bytes, offset + 3) * 2 ** 24;
}

/** The names of its files tell; they stand before the data and again at the end. */
function isPdx(magic: Magic, bytes: Uint8Array): boolean {
  if (magic.bytes !== 'PK\x03\x04') return false;
  const parts = [bytes.subarray(0, NAMES), bytes.subarray(Math.max(0, bytes.length - NAMES))];
  return parts.some((part) => /\.odx\b/i.test(Buffer.from(part).toString('latin1')));
}

/** 070701, 070702 (crc) or 070707 (odc), with an inode in digits behind. */
function isCpio(bytes: Uint8Array): boolean {
  const head = Buffer.from(bytes.subarray(0, 14)).toString('latin1');
  return /^07070[127][0-9A-Fa-f]{8}$/.test(head);
}

function isRiff(bytes: Uint8Array): boolean {
  return /^[A-Z][A-Za-z ]{3}$/.test(Buffer.from(bytes.subarray(8, 12)).toString('latin1'));
}

/** Its header points to that of Windows (PE, NE, LE), or its page count is that of the file (DOS). */
function isExe(bytes: Uint8Array): boolean {
  const next = little32(bytes, 0x3c);
  if (['PE', 'NE', 'LE', 'LX'].some((name) => has(bytes, next, Array.from(asciiBytes(name))))) {
    return next >= 0x40;
  }
  const pages = at(bytes, 4) | (at(bytes, 5) << 8);
  return pages > 0 && Math.ceil(bytes.length / 512) === pages;
}
