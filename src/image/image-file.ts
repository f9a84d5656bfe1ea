// An image in a file, read piece by piece, with its length and digest.

import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { InputError } from '../core/errors.ts';
import { LARGEST_IMAGE_BYTES, LARGEST_IMAGE_TEXT } from '../core/image-limit.ts';
import { fileFault } from '../core/text-file.ts';
import type { ImageSource } from './image-source.ts';

export interface ImageFile extends ImageSource, AsyncDisposable {}

const CHUNK = 1 << 20;

/** Reads the file once for its SHA-256. Throws InputError for a file that is missing, empty or no file. */
export async function openImageFile(file: string, option: string): Promise<ImageFile> {
  let handle: FileHandle;
  let size: number;
  try {
    handle = await open(file, 'r');
    const stat = await handle.stat();
    if (!stat.isFile()) {
      await handle.close();
      throw Object.assign(new Error('not a file'), { code: 'EISDIR' });
    }
    size = stat.size;
  } catch (error) {
    throw new InputError(option, fileFault(file, error), { cause: error });
  }
  if (size > LARGEST_IMAGE_BYTES) {
    await handle.close();
    throw new InputError(
      option,
      `${file} has ${size} bytes: an image has at most ${LARGEST_IMAGE_TEXT}`,
    );
  }
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    const buffer = new Uint8Array(length);
    const { bytesRead } = await handle.read(buffer, 0, length, offset);
    return buffer.subarray(0, bytesRead);
  };
  const hash = createHash('sha256');
  let length = 0;
  for (;;) {
    const chunk = await read(length, CHUNK);
    if (chunk.length === 0) break;
    hash.update(chunk);
    length += chunk.length;
  }
  if (length === 0) {
    await handle.close();
    throw new InputError(option, `${file} is empty: an image has at least one byte`);
  }
  return { length, sha256: hash.digest('hex'), read, [Symbol.asyncDispose]: () => handle.close() };
}
