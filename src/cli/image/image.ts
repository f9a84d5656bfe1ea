// `can-ota image inspect` and `convert`.

import { createHash } from 'node:crypto';
import path from 'node:path';
import { hexNumber } from '../../core/bytes.ts';
import type { Context } from '../../core/context.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { createNewFile } from '../../core/new-file.ts';
import { textTable } from '../../core/text-table.ts';
import { formatBytes } from '../../core/units.ts';
import { canonicalDigest } from '../../image/canonical.ts';
import { writeIntelHex } from '../../image/formats/intel-hex.ts';
import { writeRaw } from '../../image/formats/raw.ts';
import { writeSRecord } from '../../image/formats/s-record.ts';
import { loadFlashFile, openFlashFile, splitAddress } from '../../image/image-file-formats.ts';
import type { ImageFact, ImageFormat, LoadedImage } from '../../image/loaded-image.ts';
import {
  fillGaps,
  type MemoryImage,
  rangesOf,
  type SegmentRange,
  spanOf,
  totalBytes,
} from '../../image/memory-image.ts';
import type { RawData } from '../../image/read-image.ts';
import { type CommonOptions, runCommand } from '../context.ts';

interface InspectOptions extends CommonOptions {
  readonly raw?: boolean;
}

interface ConvertOptions extends InspectOptions {
  readonly out: string;
  readonly fill?: number;
}

const FORMAT_NAMES: Readonly<Record<ImageFormat, string>> = {
  'intel-hex': 'Intel HEX',
  's-record': 'Motorola S-records',
  elf: 'ELF',
  vbf: 'VBF',
  raw: 'raw data',
};

/** What scripts read: the members of `--json`, in this order. */
interface InspectedImage {
  readonly format: ImageFormat;
  readonly segments: readonly SegmentRange[];
  readonly bytes: number;
  readonly start: number | null;
  readonly digest: string;
}

export function inspect(argument: string, options: InspectOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const at = await splitAddress(argument, 'file');
    await using image = await openFlashFile(at, 'file', rawOf(options));
    const { format, start, sha256: digest } = image;
    const { segments, dataOffset } = image.map ?? { segments: [], dataOffset: 0 };
    const bytes = image.length - dataOffset;
    const inspected: InspectedImage = { format, segments, bytes, start, digest };
    context.emit(inspected);
    show(at.file, inspected, image.facts, context);
    return ExitCode.success;
  });
}

export function convert(argument: string, options: ConvertOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const { out, fill } = options;
    // What is wrong with the option is said before a large file is read.
    const write = writerOf(out);
    const at = await splitAddress(argument, 'file');
    const loaded = await loadFlashFile(at, 'file', rawOf(options));
    const { pieces, ...written } = write(loaded, fill);
    await createNewFile(path.resolve(out), pieces, '--out');
    const { format, segments, bytes } = written;
    context.emit({ out, ...written });
    context.say(
      `${out}: ${FORMAT_NAMES[format]}, ${countText(segments.length)}, ${formatBytes(bytes)}`,
    );
    return ExitCode.success;
  });
}

function rawOf({ raw }: InspectOptions): RawData | undefined {
  return raw === true ? { told: true, address: 0 } : undefined;
}

/** What a reader of the new file finds, and the file. */
interface WrittenImage extends InspectedImage {
  readonly pieces: Iterable<Uint8Array>;
}

type Writer = (loaded: LoadedImage, fill: number | undefined) => WrittenImage;

const WRITERS: Readonly<Record<string, Writer>> = {
  '.hex': (loaded, fill) => asText('intel-hex', writeIntelHex, loaded, fill),
  '.s19': (loaded, fill) => asText('s-record', writeSRecord, loaded, fill),
  '.bin': ({ image }, fill) => {
    const span = spanOf(image);
    if (image.segments.length > 1 && fill === undefined) {
      throw new InputError(
        '--out',
        `raw data have no addresses, and the file has ${countText(image.segments.length)}: ` +
          `${totalBytes(image)} bytes in ${span.length} (${formatBytes(span.length)}). ` +
          'Fill the gaps, such as with --fill 0xFF, or write .hex or .s19',
      );
    }
    const hash = createHash('sha256');
    for (const piece of writeRaw(image, fill ?? 0)) hash.update(piece);
    return {
      format: 'raw',
      segments: [span],
      bytes: span.length,
      start: null,
      digest: hash.digest('hex'),
      pieces: writeRaw(image, fill ?? 0),
    };
  },
};

/** What a text of records may hold when gaps are filled; it takes three times as much in the file. */
const LARGEST_FILLED = 2 ** 30;

function asText(
  format: ImageFormat,
  write: (image: MemoryImage, start: number | null) => Iterable<Uint8Array>,
  { image, start }: LoadedImage,
  fill: number | undefined,
): WrittenImage {
  const filled =
    fill === undefined ? image : fillGaps(image, { kind: 'fill', value: fill }, LARGEST_FILLED);
  return {
    format,
    segments: rangesOf(filled),
    bytes: totalBytes(filled),
    start,
    digest: canonicalDigest(filled),
    pieces: write(filled, start),
  };
}

function writerOf(out: string): Writer {
  const writer = WRITERS[path.extname(out).toLowerCase()];
  if (writer === undefined) {
    throw new InputError(
      '--out',
      `${out} should end with .hex, .s19 or .bin, which says its format`,
    );
  }
  return writer;
}

function show(
  file: string,
  { format, segments, bytes, start, digest }: InspectedImage,
  facts: readonly ImageFact[],
  context: Context,
): void {
  const what = `${FORMAT_NAMES[format]}, ${countText(segments.length)}, ${formatBytes(bytes)}`;
  context.say(`${file === '-' ? 'standard input' : file}: ${what}`);
  const rows = segments.map(({ address, length }) => [
    `  ${hexNumber(address, 8)}`,
    hexNumber(address + length - 1, 8),
    `${length} bytes`,
  ]);
  for (const row of textTable([['  first', 'last', 'length'], ...rows])) context.say(row);
  const all: ImageFact[] = [
    ...facts,
    { name: 'start', value: start === null ? 'none' : hexNumber(start, 8) },
    { name: 'digest', value: digest },
  ];
  for (const row of textTable(all.map(({ name, value }) => [name, value]))) context.say(row);
}

function countText(segments: number): string {
  return segments === 1 ? '1 segment' : `${segments} segments`;
}
