// The flash memory of an ECU closes each file that it opens.

import { expect, it } from 'vitest';
import { twoBanks } from '../../ecus/bootloader/boot/two-banks.ts';
import { FlashMemory } from '../../ecus/bootloader/flash/flash-memory.ts';
import type { StorageFile } from '../../src/core/storage.ts';
import { imageOf } from '../support/ecu-bench.ts';
import { FaultStorage } from '../support/fault-storage.ts';

const image = imageOf(100);

/** A disk that counts the files that are open. */
class CountingStorage extends FaultStorage {
  openFiles = 0;

  override async open(name: string): Promise<StorageFile> {
    const file = await super.open(name);
    this.openFiles++;
    return {
      ...file,
      close: async () => {
        this.openFiles--;
        await file.close();
      },
    };
  }
}

it.each<[string, (flash: FlashMemory) => Promise<unknown>]>([
  ['finished', (flash) => flash.finishWrite()],
  ['abandoned', (flash) => flash.abandonWrite()],
  ['ended by an erase', (flash) => flash.erase()],
  ['cut off by the end of the ECU', (flash) => flash.close()],
])('a write that is %s leaves no file open', async (_how, end) => {
  const storage = new CountingStorage();
  const { flash } = await FlashMemory.open({ storage, banks: twoBanks, gate: () => 'ok' });
  await flash.erase();
  expect(storage.openFiles).toBe(0);
  await flash.beginWrite();
  await flash.append(image);
  expect(storage.openFiles).toBe(1);
  await end(flash);
  expect(storage.openFiles).toBe(0);
});

it.each<[string, (flash: FlashMemory) => Promise<unknown>]>([
  ['an installation', (flash) => flash.install(image, '1.0.0')],
  ['a digest', (flash) => flash.digest(0)],
  ['a read', (flash) => flash.read(0, 0, 4)],
])('%s leaves no file open', async (_what, run) => {
  const storage = new CountingStorage();
  const { flash } = await FlashMemory.open({ storage, banks: twoBanks, gate: () => 'ok' });
  await run(flash);
  expect(storage.openFiles).toBe(0);
});
