// An image in memory, for measurements without the tester's disk.

import { createHash } from 'node:crypto';
import type { ImageSource } from '../../src/image/image-source.ts';

export function imageOf(bytes: Uint8Array): ImageSource {
  return {
    length: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  };
}
