// What a reader of files hands on: the image, where it starts, and what the format tells beside it.

import type { MemoryImage, SegmentRange } from './memory-image.ts';

export type ImageFormat = 'intel-hex' | 's-record' | 'elf' | 'vbf' | 'raw';

/** One line for people. */
export interface ImageFact {
  readonly name: string;
  readonly value: string;
}

export interface LoadedImage {
  readonly format: ImageFormat;
  readonly image: MemoryImage;
  /** Where the file says that execution begins, 0 to 2^32 - 1; null where it says nothing. */
  readonly start: number | null;
  readonly facts: readonly ImageFact[];
  /** Of a VBF file. */
  readonly vbf?: VbfFile;
}

/** What the header of a VBF file says beside the data. Fields that are missing in it are left out. */
export interface VbfFile {
  /** `2.6` */
  readonly version: string;
  readonly partNumber?: string;
  /** `EXE`, `DATA`, `SBL` (a second boot loader), `CARCFG`, ... */
  readonly partType?: string;
  /** Request address of the ECU; the first one where the header lists several. */
  readonly ecuAddress?: number;
  /** What is to be erased before the data are written; it may differ from where the data stand. */
  readonly erase: readonly SegmentRange[];
  /** Where a second boot loader is started. */
  readonly call?: number;
  /** The dataFormatIdentifier that RequestDownload needs for the blocks as they are stored: 0x00 plain, 0x10 LZSS. */
  readonly dataFormat: number;
  readonly blocks: readonly VbfBlock[];
  /** Everything in the header by its name, as text without quotes and braces. */
  readonly header: ReadonlyMap<string, string>;
}

export interface VbfBlock {
  readonly address: number;
  /** As the file holds it: compressed where `dataFormat` says so. */
  readonly stored: Uint8Array;
  /** bytes, uncompressed */
  readonly length: number;
  /** CRC-16/CCITT-FALSE of the uncompressed bytes. */
  readonly crc16: number;
}
