// From the bytes of a file to a memory image, whatever format the file has. It is recognised by content.

import { assertNever, InputError } from '../core/errors.ts';
import { canonicalPayload, hasCanonicalMagic } from './canonical.ts';
import { readElf } from './formats/elf.ts';
import { readIntelHex } from './formats/intel-hex.ts';
import { readRaw } from './formats/raw.ts';
import { readSRecord } from './formats/s-record.ts';
import { readVbf } from './formats/vbf.ts';
import type { ImageFormat, LoadedImage } from './loaded-image.ts';
import { recognise } from './recognise.ts';

/** How a file without addresses of its own is taken. */
export interface RawData {
  /** Of its first byte; left out where it is not known: the image then begins at 0. */
  readonly address?: number;
  /**
   * True: a person said so (`--raw`, `FILE@0x08000000`); a file that has a format is then refused. False: nothing was
   * said, and raw data are welcome; files of several lines of text are refused, too.
   */
  readonly told: boolean;
}

export interface ReadImageOptions {
  /** Left out: a file that is none of the formats is refused. */
  readonly raw?: RawData;
}

const FORMATS = {
  'intel-hex': { read: readIntelHex, what: 'Intel HEX' },
  's-record': { read: readSRecord, what: 'Motorola S-records' },
  elf: { read: readElf, what: 'ELF' },
  vbf: { read: readVbf, what: 'VBF' },
} as const satisfies Record<Exclude<ImageFormat, 'raw'>, unknown>;

/** The ending of a name that promises a format. */
const PROMISES: Readonly<Record<string, string>> = {
  hex: 'Intel HEX',
  ihex: 'Intel HEX',
  ihx: 'Intel HEX',
  s19: 'S-records',
  s28: 'S-records',
  s37: 'S-records',
  srec: 'S-records',
  mot: 'S-records',
  elf: 'ELF',
  vbf: 'VBF',
};

/**
 * `name` stands in messages. Throws InputError, with the line, record or block where there is one: for a damaged file
 * of a known format, for a file of another kind, and for raw data where `options` do not allow them.
 */
export function readImage(
  bytes: Uint8Array,
  name: string,
  options: ReadImageOptions = {},
): LoadedImage {
  const format = formatToRead(bytes, name, options.raw);
  const loaded =
    format === 'raw'
      ? readRaw(bytes, name, options.raw?.address ?? 0)
      : FORMATS[format].read(bytes, name);
  // Refuses data that would be taken for a segment map.
  if (loaded.image.segments.length === 1) canonicalPayload(loaded.image);
  return loaded;
}

/** The format of a file; `head` is all of it, or its first MiB. Throws InputError as `readImage` does. */
export function formatToRead(
  head: Uint8Array,
  name: string,
  raw: RawData | undefined,
): ImageFormat {
  if (head.length === 0) {
    throw new InputError(name, 'is empty: an image has at least one byte');
  }
  if (hasCanonicalMagic(head)) {
    throw new InputError(
      name,
      'is the stored form of an image with segments ("can-ota segments"): name the file that it was made of',
    );
  }
  const found = recognise(head);
  switch (found.kind) {
    case 'format':
      if (raw?.told === true) {
        // The program of an ECU may have a record among its constants.
        if (found.isBinary === true) return 'raw';
        throw new InputError(
          name,
          `is ${FORMATS[found.format].what}, which has addresses of its own: leave --raw and @ADDRESS out`,
        );
      }
      return found.format;
    case 'foreign':
      throw new InputError(
        name,
        `is ${found.what}, not a flash file${found.advice === undefined ? '' : `: ${found.advice}`}`,
      );
    case 'text':
      if (raw?.told === true) return 'raw';
      throw new InputError(
        name,
        'is text, and neither Intel HEX nor S-records nor VBF: --raw takes it as raw data all the same',
      );
    case 'unknown':
      requireRaw(name, raw);
      return 'raw';
    default:
      return assertNever(found);
  }
}

function requireRaw(name: string, raw: RawData | undefined): void {
  const ending = /\.([a-z0-9]+)$/i.exec(name)?.[1]?.toLowerCase() ?? '';
  if (raw?.told === true) return;
  if (ending === 'frf') {
    throw new InputError(name, 'is a .frf container of VW, which is encrypted: decrypt it first');
  }
  const promised = PROMISES[ending];
  if (promised !== undefined) {
    throw new InputError(
      name,
      `is not ${promised}, as its name says, nor another format: it is damaged, or raw data (say --raw)`,
    );
  }
  if (raw === undefined) {
    throw new InputError(
      name,
      'is none of Intel HEX, S-records, ELF and VBF: for raw data say --raw, or where they begin, such as FILE@0x08000000',
    );
  }
}
