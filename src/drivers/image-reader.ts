// Reads an image piece by piece, one piece ahead of the bus, so that the disk never keeps the bus waiting.

import { crc32 } from 'node:zlib';
import type { Target } from '../campaign/ports.ts';
import type { ImageSource } from '../image/image-source.ts';

/** Size of one read: 64 KiB, or 16 blocks of 4 KiB for each call to the file system. */
const PIECE_BYTES = 64 * 1024;

export class ImageReader {
  readonly #image: ImageSource;
  #at = 0;
  #buffer: Uint8Array = new Uint8Array();
  #ahead: Promise<Uint8Array> | undefined;
  #aheadFrom = 0;
  #crc = 0;
  /** Goes on from the bytes of other ranges, where there are any. */
  #joinedCrc: number | undefined;

  /** `crcBefore`: CRC-32 of what came before this image. */
  constructor(image: ImageSource, crcBefore?: number) {
    this.#image = image;
    this.#joinedCrc = crcBefore;
  }

  /** Number of bytes returned so far. */
  get position(): number {
    return this.#at;
  }

  /** CRC-32 (ISO 3309, as in zip) over the bytes returned so far. */
  get crc32(): number {
    return this.#crc;
  }

  /** CRC-32 over what came before this image and what has been handed out. */
  get joinedCrc32(): number {
    return this.#joinedCrc ?? this.#crc;
  }

  /** The next `length` bytes, or the rest of the image. Shorter when the image ends early. */
  async next(length: number): Promise<Uint8Array> {
    while (this.#buffer.length < length && this.#aheadFrom < this.#image.length) {
      this.#ahead ??= this.#read();
      const piece = await this.#ahead;
      this.#ahead = undefined;
      if (piece.length === 0) break;
      this.#aheadFrom += piece.length;
      if (this.#aheadFrom < this.#image.length) {
        this.#ahead = this.#read();
        this.#ahead.catch(() => {}); // reported where it is awaited
      }
      this.#buffer = this.#buffer.length === 0 ? piece : joined(this.#buffer, piece);
    }
    const bytes = this.#buffer.subarray(0, length);
    this.#buffer = this.#buffer.subarray(bytes.length);
    this.#at += bytes.length;
    this.#crc = crc32(bytes, this.#crc);
    if (this.#joinedCrc !== undefined) this.#joinedCrc = crc32(bytes, this.#joinedCrc);
    return bytes;
  }

  /** Skips `length` bytes, which count for the CRC; false when the image ends before. */
  async skip(length: number): Promise<boolean> {
    while (this.#at < length) {
      const bytes = await this.next(Math.min(PIECE_BYTES, length - this.#at));
      if (bytes.length === 0) return false;
    }
    return true;
  }

  #read(): Promise<Uint8Array> {
    const left = this.#image.length - this.#aheadFrom;
    return this.#image.read(this.#aheadFrom, Math.min(PIECE_BYTES, left));
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const whole = new Uint8Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}

/** Length and digest of the image that the ECU must hold in the end. */
export function wanted({ plain, image }: Pick<Target, 'plain' | 'image'>): {
  readonly length: number;
  readonly sha256: string;
} {
  return plain ?? image;
}
