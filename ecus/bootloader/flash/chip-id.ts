// The unique number of the chip, in a separate file that stands for fuses, which a copy of the flash does not contain.

import { fromHex, toHex } from '../../../src/core/bytes.ts';
import type { Random } from '../../../src/core/random.ts';
import type { Storage } from '../../../src/core/storage.ts';

const CHIP_FILE = 'chip-id';
const CHIP_ID_BYTES = 16;

/** Reads the number; a chip without one is new and gets one. Throws StorageError. */
export async function openChipId(storage: Storage, random: Random): Promise<Uint8Array> {
  const text = await storage.read(CHIP_FILE);
  if (text !== undefined) {
    const hex = /^([0-9a-f]{32})\n$/.exec(Buffer.from(text).toString('latin1'))?.[1];
    if (hex !== undefined) return fromHex(hex);
  }
  const id = random.bytes(CHIP_ID_BYTES);
  await storage.replace(CHIP_FILE, new TextEncoder().encode(`${toHex(id)}\n`));
  return id;
}
