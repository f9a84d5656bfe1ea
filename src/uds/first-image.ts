// The factory's description of an ECU's first image: the file `first-image.json`, which the ECU accepts until the lock.

import { z } from 'zod';
import { asciiText } from '../core/bytes.ts';
import { sha256Hex, versionText } from '../core/names.ts';

/** File name in RequestFileTransfer (38). */
export const FIRST_IMAGE_FILE = 'first-image.json';

const schema = z.strictObject({
  version: versionText,
  /** Length of the image in bytes. */
  length: z.int().positive(),
  /** SHA-256 of the whole image, hexadecimal. */
  sha256: sha256Hex,
});
export type FirstImageRecord = z.infer<typeof schema>;

export function encodeFirstImage({ version, length, sha256 }: FirstImageRecord): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ version, length, sha256 }));
}

/** Undefined for any other bytes. */
export function decodeFirstImage(bytes: Uint8Array): FirstImageRecord | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Bytes of an image in which its first line is searched. */
export const FIRST_LINE_BYTES = 128;
const VERSION = /\b(\d+\.\d+\.\d+[0-9A-Za-z.+-]{0,16})$/;

/** The version at the end of an image's first line of text; undefined where there is none. */
export function versionInImage(head: Uint8Array): string | undefined {
  const [line = ''] = asciiText(head.subarray(0, FIRST_LINE_BYTES)).split('\n', 1);
  return VERSION.exec(line.trimEnd())?.[1];
}

/** The version of an image that names none: the beginning of its digest. */
export function versionFromDigest(sha256: string): string {
  return `image-${sha256.slice(0, 8)}`;
}
