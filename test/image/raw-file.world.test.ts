// Where addresses have no place yet, a flash file with addresses is refused and never taken as the text that it is.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openRawFile } from '../../src/image/image-file-formats.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'can-ota-raw-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileOf(name: string, content: string | Uint8Array): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, content);
  return file;
}

it('takes raw data', async () => {
  const file = await fileOf('edt.bin', Uint8Array.of(0, 1, 2));
  await using image = await openRawFile(file, 'FILE');
  expect(image.length).toBe(3);
});

it.each([
  ['edt.hex', ':03000000010203F7\n:00000001FF\n', 'intel-hex'],
  ['edt.bin', ':03000000010203F7\n:00000001FF\n', 'intel-hex'],
  ['edt.s19', 'S30840000000010203B1\nS70540000000BA\n', 's-record'],
])('refuses %s', async (name, content, format) => {
  const file = await fileOf(name, content);
  await expect(openRawFile(file, 'FILE')).rejects.toThrow(`with addresses (${format})`);
});
