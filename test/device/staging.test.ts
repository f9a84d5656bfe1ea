// The encrypted image on its way: what is read back ends at the first chunk that is not sound.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Staging } from '../../src/device/staging.ts';
import { WorkingMemory } from '../../src/device/working-memory.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import { imageOf } from './support.ts';

const CHUNKING = { length: 2500, chunkBytes: 1000 };
const IMAGE = imageOf(2500);
const RECORD = 1004;

function chunk(number: number): Uint8Array {
  return IMAGE.subarray(number * 1000, (number + 1) * 1000);
}

async function staged(numbers: readonly number[]) {
  const disk = new SimulatedDisk();
  const open = () => Staging.open(disk.open(), CHUNKING, new WorkingMemory());
  const staging = await open();
  for (const number of numbers) await staging.put(number, chunk(number));
  await staging.sync();
  await staging.close();
  return { disk, open };
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('staged chunks', () => {
  it('are found again, in whatever order they came', async () => {
    const { open } = await staged([0, 2, 1]);
    const staging = await open();
    expect(await staging.held()).toEqual({ chunks: 3, bytes: 2500, sha256: sha256(IMAGE) });
    const pieces: Uint8Array[] = [];
    for await (const piece of staging.read()) pieces.push(piece.slice());
    expect(Buffer.concat(pieces)).toEqual(Buffer.from(IMAGE));
  });

  it('end at a gap, and what is behind it is forgotten', async () => {
    const { disk, open } = await staged([0, 2]);
    const staging = await open();
    const held = await staging.held();
    expect(held).toEqual({ chunks: 1, bytes: 1000, sha256: sha256(chunk(0)) });
    expect(disk.contents('download.bin')!.length).toBe(RECORD);
  });

  it('end at a damaged one, a torn one, and one in the wrong place', async () => {
    const damage: readonly ((bytes: Uint8Array) => Uint8Array)[] = [
      (bytes) => bytes.with(RECORD + 500, bytes[RECORD + 500]! ^ 1),
      (bytes) => bytes.with(RECORD, bytes[RECORD]! ^ 1),
      (bytes) => bytes.subarray(0, 2 * RECORD - 1),
      (bytes) => {
        const moved = bytes.slice();
        moved.set(bytes.subarray(0, RECORD), RECORD);
        return moved;
      },
    ];
    for (const change of damage) {
      const { disk, open } = await staged([0, 1, 2]);
      disk.put('download.bin', Uint8Array.from(change(disk.durable('download.bin')!)));
      expect((await (await open()).held()).chunks).toBe(1);
    }
  });

  it('are gone when they are cleared', async () => {
    const { disk, open } = await staged([0, 1, 2]);
    const staging = await open();
    await staging.clear();
    expect(disk.durable('download.bin')).toEqual(new Uint8Array());
    expect((await staging.held()).bytes).toBe(0);
  });
});
