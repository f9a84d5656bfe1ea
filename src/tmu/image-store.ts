// The images that the TMU keeps, named by their SHA-256: finished ones as `.bin`, unfinished downloads as `.part`.

import { createHash, type Hash } from 'node:crypto';
import type { PlanItem } from '../campaign/plan.ts';
import { SHA256_HEX } from '../core/names.ts';
import type { Storage, StorageFile } from '../core/storage.ts';
import { readSegmentMap, type SegmentMapResult } from '../image/canonical.ts';
import type { ImageSource } from '../image/image-source.ts';

const FOLDER = 'images';
const PIECE_BYTES = 1024 * 1024;
const NAME = new RegExp(`^(${SHA256_HEX})\\.(bin|part)$`);

/**
 * SHA-256 of bulk data by node:crypto: 1,660 MiB/s where @noble/hashes does 174 MiB/s (measured on one core of an
 * x86-64 desk machine), which for an image of 1 GiB on an embedded CPU is the difference of a minute.
 */
export function bulkSha256(): Hash {
  return createHash('sha256');
}

export interface StoredImage extends ImageSource {
  close(): Promise<void>;
}

export class VehicleImageStore {
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /**
   * Opens a finished image; undefined where there is none or its length is not `size`. An encrypted one has no segment
   * map that could be read.
   */
  async open(
    { sha256, size, address }: Pick<PlanItem['download'], 'sha256' | 'size' | 'address'>,
    encryption: PlanItem['encryption'],
  ): Promise<StoredImage | undefined> {
    if (!(await this.has(sha256))) return undefined;
    const file = await this.#storage.open(binName(sha256));
    if ((await file.size()) !== size) {
      await file.close();
      return undefined;
    }
    const read: ImageSource['read'] = (offset, count) => file.read(offset, count);
    return {
      length: size,
      sha256,
      read,
      ...placeOf(encryption === null ? await readSegmentMap(read, size) : undefined, size, address),
      close: () => file.close(),
    };
  }

  async has(sha256: string): Promise<boolean> {
    return (await this.#storage.list(FOLDER)).includes(`${sha256}.bin`);
  }

  /** Whether a finished image is there and its bytes still have its hash. A damaged image is removed. */
  async check(sha256: string, length: number, signal: AbortSignal): Promise<boolean> {
    if (!(await this.has(sha256))) return false;
    const file = await this.#storage.open(binName(sha256));
    let good = false;
    try {
      const hash = bulkSha256();
      good =
        (await file.size()) === length &&
        (await hashRange(file, hash, length, signal)) &&
        hash.digest('hex') === sha256;
    } finally {
      await file.close();
    }
    if (!good && !signal.aborted) await this.#storage.remove(binName(sha256));
    return good;
  }

  /** Name of a signed hash that a finished image does not match; undefined: it matches all of them. */
  async wrongHash(
    { sha256, size, hashes = {} }: PlanItem['download'],
    signal: AbortSignal,
  ): Promise<string | undefined> {
    for (const [name, signed] of Object.entries(hashes)) {
      const file = await this.#storage.open(binName(sha256));
      try {
        const hash = createHash(name);
        if (!(await hashRange(file, hash, size, signal)) && signal.aborted) return undefined;
        if (hash.digest('hex') !== signed) return name;
      } finally {
        await file.close();
      }
    }
    return undefined;
  }

  openPart(sha256: string): Promise<StorageFile> {
    return this.#storage.open(partName(sha256));
  }

  /** Turns the part, which is closed and synced, into the finished image. */
  finishPart(sha256: string): Promise<void> {
    return this.#storage.rename(partName(sha256), binName(sha256));
  }

  removePart(sha256: string): Promise<void> {
    return this.#storage.remove(partName(sha256));
  }

  /** Removes every image and part that is not in `keep`. */
  async retain(keep: ReadonlySet<string>): Promise<void> {
    for (const name of await this.#storage.list(FOLDER)) {
      const sha256 = NAME.exec(name)?.[1];
      if (sha256 === undefined || !keep.has(sha256))
        await this.#storage.remove(`${FOLDER}/${name}`);
    }
  }
}

/** Feeds the first `length` bytes into `hash`; false when the signal stopped it or the file is shorter. */
export async function hashRange(
  file: StorageFile,
  hash: Hash,
  length: number,
  signal: AbortSignal,
): Promise<boolean> {
  for (let at = 0; at < length; ) {
    if (signal.aborted) return false;
    const bytes = await file.read(at, Math.min(PIECE_BYTES, length - at));
    if (bytes.length === 0) return false;
    hash.update(bytes);
    at += bytes.length;
  }
  return true;
}

/** A payload with a segment map says itself where it lies; any other is one segment. */
function placeOf(
  table: SegmentMapResult | undefined,
  length: number,
  address: number | undefined,
): Pick<ImageSource, 'map' | 'mapFault'> {
  if (table?.ok === false) return { mapFault: table.reason };
  if (table !== undefined) return { map: table.map };
  return address === undefined ? {} : { map: { segments: [{ address, length }], dataOffset: 0 } };
}

function binName(sha256: string): string {
  return `${FOLDER}/${sha256}.bin`;
}

function partName(sha256: string): string {
  return `${FOLDER}/${sha256}.part`;
}
