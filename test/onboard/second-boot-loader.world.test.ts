// The file of a second boot loader: its bytes, where they go and where it begins.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadProgram } from '../../src/onboard/second-boot-loader.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'can-ota-sbl-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileOf(name: string, text: string): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, text);
  return file;
}

// Bytes 01 02 03 at 40000000; the second file begins at 40000002.
const DATA = 'S3084000000001020319'.replace('19', 'B1');

it('begins where the file says', async () => {
  const file = await fileOf('sbl.s19', `${DATA}\nS70540000002B8\n`);
  const { image, call } = await loadProgram(file, undefined);
  expect(call).toBe(0x4000_0002);
  expect(image.map.segments).toEqual([{ address: 0x4000_0000, length: 3 }]);
  expect(await image.read(image.map.dataOffset, 3)).toEqual(Uint8Array.of(1, 2, 3));
});

it('begins where the vehicle file says', async () => {
  const file = await fileOf('told.s19', `${DATA}\nS70540000002B8\n`);
  expect((await loadProgram(file, 0x4000_0000)).call).toBe(0x4000_0000);
});

it('is refused without addresses, and without a beginning', async () => {
  await expect(loadProgram(await fileOf('raw.bin', '\u0000\u0001\u0002'), 0)).rejects.toThrow(
    'is none of Intel HEX, S-records, ELF and VBF',
  );
  const hex = await fileOf('no-start.hex', ':0300000001020 3F7\n:00000001FF\n'.replace(' ', ''));
  await expect(loadProgram(hex, undefined)).rejects.toThrow('secondBootLoader.call');
  expect((await loadProgram(hex, 0)).call).toBe(0);
});
