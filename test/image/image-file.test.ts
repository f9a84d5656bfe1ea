// The bound of images, said before a byte of the file is read.

import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { LARGEST_IMAGE_BYTES } from '../../src/core/image-limit.ts';
import { openImageFile } from '../../src/image/image-file.ts';

it('refuses an image beyond the bound, and says the bound', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'can-ota-image-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'large.bin');
  // A file with a hole: it takes no room.
  const handle = await open(file, 'w');
  await handle.truncate(LARGEST_IMAGE_BYTES + 1);
  await handle.close();
  await expect(openImageFile(file, 'FILE')).rejects.toThrow(
    /^FILE: .*has 4294967296 bytes: an image has at most 4294967295 bytes/,
  );
});
