// A flash file that a person named: any format, a pipe, standard input, or raw data with an address behind the name.

import { openAsBlob } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { concatBytes } from '../core/bytes.ts';
import { InputError } from '../core/errors.ts';
import { defined } from '../core/optional.ts';
import { fileFault } from '../core/text-file.ts';
import { formatBytes } from '../core/units.ts';
import { type ImageFile, openImageFile } from './image-file.ts';
import type { ImageFact, ImageFormat, LoadedImage, VbfFile } from './loaded-image.ts';
import { ADDRESS_END } from './memory-image.ts';
import { memorySource } from './memory-source.ts';
import { formatToRead, type RawData, readImage } from './read-image.ts';

/** Larger files are read only where they are raw data, and those are never whole in memory. */
const LARGEST_IN_MEMORY = 2 ** 31;
/** Raw data up to this size are read at once, as everything that has a format is. */
const SMALL = 1 << 24;
const HEAD = 1 << 20;

export interface FileAtAddress {
  readonly file: string;
  /** Of `FILE@0x08000000`. */
  readonly address?: number;
}

/** An image to read from, whatever the file was; `map` is left out for raw data without an address. */
export interface FlashFile extends ImageFile {
  readonly format: ImageFormat;
  readonly start: number | null;
  readonly facts: readonly ImageFact[];
  readonly vbf?: VbfFile;
}

/**
 * Splits `FILE@0x08000000`; a file whose name is all of it wins. Throws InputError for an address beyond 32 bits and for
 * one without 0x.
 */
export async function splitAddress(text: string, option: string): Promise<FileAtAddress> {
  const match = /^(.+)@(0[xX][0-9a-fA-F]+|[0-9a-fA-F]+)$/s.exec(text);
  if (match === null || (await exists(text))) return { file: text };
  const [, file = '', digits = ''] = match;
  if (!/^0[xX]/.test(digits)) {
    // As it is for a file that does not exist, and most probably that is what it is.
    if (!(await exists(file))) return { file: text };
    throw new InputError(option, `${text}: write the address with 0x, such as ${file}@0x${digits}`);
  }
  const address = Number(digits);
  if (address >= ADDRESS_END) {
    throw new InputError(option, `${digits} is no address: at most 0xFFFFFFFF`);
  }
  return { file, address };
}

/**
 * The image of a whole file, `-` for standard input. `option` names the argument in messages about the file itself.
 * Throws InputError.
 */
export async function loadFlashFile(
  { file, address }: FileAtAddress,
  option: string,
  raw: RawData | undefined,
): Promise<LoadedImage> {
  const bytes = isStandardInput(file)
    ? await readStream(process.stdin, 'standard input', option)
    : await withFile(file, option, (handle) =>
        readStream(handle.createReadStream({ autoClose: false }), file, option),
      );
  return readImage(bytes, nameOf(file), defined({ raw: rawAt(raw, address) }));
}

/** As `loadFlashFile`, but large raw data are read piece by piece. Throws InputError. */
export async function openFlashFile(
  at: FileAtAddress,
  option: string,
  raw: RawData | undefined,
): Promise<FlashFile> {
  const told = rawAt(raw, at.address);
  if (await isLargeRaw(at.file, option, told)) {
    const image = await openImageFile(at.file, option);
    const { address } = told ?? {};
    if (address !== undefined && address + image.length > ADDRESS_END) {
      await image[Symbol.asyncDispose]();
      throw new InputError(at.file, `${image.length} bytes do not fit behind its address`);
    }
    return {
      ...image,
      ...defined({
        map:
          address === undefined
            ? undefined
            : { segments: [{ address, length: image.length }], dataOffset: 0 },
      }),
      format: 'raw',
      start: null,
      facts: [],
    };
  }
  const { image, format, start, facts, vbf } = await loadFlashFile(at, option, raw);
  const { map, ...source } = memorySource(image);
  const isPlaced = format !== 'raw' || told?.address !== undefined;
  return {
    ...source,
    ...(isPlaced ? { map } : {}),
    format,
    start,
    facts,
    ...defined({ vbf }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** What a release signs and stores, as `openFlashFile` has read it. Large raw data stay in their file. */
export async function payloadBlob(image: FlashFile, { file }: FileAtAddress): Promise<Blob> {
  if (image.length > SMALL && image.format === 'raw') {
    try {
      return await openAsBlob(file);
    } catch (error) {
      throw new InputError(file, fileFault(file, error), { cause: error });
    }
  }
  return new Blob([Uint8Array.from(await image.read(0, image.length))]);
}

/**
 * Throws InputError for a second boot loader (VBF part type SBL), which is loaded into the RAM of an ECU and is no software
 * that it could run from its flash.
 */
export function requireSoftware({ vbf }: Pick<FlashFile, 'vbf'>, file: string): void {
  if (vbf?.partType?.toUpperCase() !== 'SBL') return;
  throw new InputError(
    file,
    'is a second boot loader (sw_part_type SBL): name it as programming.secondBootLoader in the vehicle file, and give ' +
      'the file of the software here',
  );
}

/** Where an image of one segment lies; undefined: the file says nothing, or the payload has a segment map. */
export function addressOf({ map }: Pick<FlashFile, 'map'>): number | undefined {
  return map?.segments.length === 1 ? map.segments[0]?.address : undefined;
}

function rawAt(raw: RawData | undefined, address: number | undefined): RawData | undefined {
  return address === undefined ? raw : { told: true, address };
}

/** The first MiB tells the format; a file of another kind is refused by it. A pipe is not opened for it. */
async function isLargeRaw(
  file: string,
  option: string,
  raw: RawData | undefined,
): Promise<boolean> {
  if (isStandardInput(file)) return false;
  const found = await stat(file).catch(() => undefined);
  if (found?.isFile() !== true || found.size <= SMALL) return false;
  return await withFile(file, option, async (handle) => {
    const head = new Uint8Array(HEAD);
    const { bytesRead } = await handle.read(head, 0, HEAD, 0);
    return formatToRead(head.subarray(0, bytesRead), file, raw) === 'raw';
  });
}

async function withFile<T>(
  file: string,
  option: string,
  use: (handle: FileHandle) => Promise<T>,
): Promise<T> {
  let handle: FileHandle;
  try {
    handle = await open(file, 'r');
    if ((await handle.stat()).isDirectory()) {
      await handle.close();
      throw Object.assign(new Error('a folder'), { code: 'EISDIR' });
    }
  } catch (error) {
    throw new InputError(option, fileFault(file, error), { cause: error });
  }
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}

async function readStream(
  stream: AsyncIterable<Uint8Array>,
  name: string,
  option: string,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of stream) {
      length += chunk.length;
      if (length > LARGEST_IN_MEMORY) break;
      chunks.push(chunk);
    }
  } catch (error) {
    throw new InputError(option, fileFault(name, error), { cause: error });
  }
  if (length > LARGEST_IN_MEMORY) {
    throw new InputError(
      option,
      `${name} has more than ${formatBytes(LARGEST_IN_MEMORY)}, which only a file of raw data may have`,
    );
  }
  return concatBytes(...chunks);
}

function isStandardInput(file: string): boolean {
  return file === '-' || file === '/dev/stdin' || file === '/dev/fd/0';
}

function nameOf(file: string): string {
  return isStandardInput(file) ? 'standard input' : file;
}

async function exists(file: string): Promise<boolean> {
  return await stat(file).then(
    () => true,
    () => false,
  );
}
