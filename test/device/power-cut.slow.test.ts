// The power is cut at every operation of the disk during an update: it goes on at the last durable chunk, and ends well.

import { describe, expect, it } from 'vitest';
import type { DiskMoment, DiskOperation, SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import { DeviceWorld, imageOf } from './support.ts';

const CHUNK_BYTES = 256;
const IMAGE = imageOf(40 * CHUNK_BYTES);
const OPTIONS = { chunkBytes: CHUNK_BYTES };

async function ready() {
  const world = await DeviceWorld.start();
  const { disk } = await world.enrolled();
  await world.release(IMAGE);
  const device = await world.device(disk, OPTIONS);
  await device.start();
  return { world, disk, device };
}

/** Of an update that nobody disturbs, from the first one on. */
async function operationsOf(): Promise<DiskOperation[]> {
  const { disk, device } = await ready();
  const operations: DiskOperation[] = [];
  disk.onOperation = (_n, operation, moment) => {
    if (moment === 'before') operations.push(operation);
  };
  await device.once();
  return operations;
}

/** Resolves when the power is gone. */
function cutAt(disk: SimulatedDisk, at: number, when: DiskMoment, cut: () => void): Promise<'cut'> {
  let n = 0;
  return new Promise((resolve) => {
    disk.onOperation = (_n, _operation, moment) => {
      if (moment === 'before') n++;
      if (n !== at || moment !== when) return;
      disk.onOperation = undefined;
      cut();
      resolve('cut');
    };
  });
}

describe('a power cut', () => {
  const operations = operationsOf();
  const parts = 6;

  it.each(Array.from({ length: parts }, (_, part) => part))(
    'at any operation is survived (part %i)',
    async (part) => {
      const all = await operations;
      expect(all.filter(({ kind }) => kind === 'write').length).toBeGreaterThan(80);
      for (let at = 1 + part; at <= all.length; at += parts) {
        const when: readonly DiskMoment[] =
          all[at - 1]!.kind === 'write' ? ['after'] : ['before', 'after'];
        for (const moment of when) await surviveCut(at, moment);
      }
    },
  );
});

async function surviveCut(at: number, when: DiskMoment): Promise<void> {
  const { world, disk, device } = await ready();
  const factory = disk.durable('bank-a.bin');
  const gone = cutAt(disk, at, when, () => disk.cut(world.random.fork(`cut ${at} ${when}`)));
  const first = await world.settle(Promise.race([device.look(), gone]));
  const where = `operation ${at}, ${when}`;
  expect([where, first]).toEqual([where, 'cut']);
  const progress = device.events.flatMap((event) =>
    event.kind === 'progress' ? [event.received] : [],
  );
  const durable = Math.max(0, ...progress);
  const next = await world.device(disk, OPTIONS);
  const end = (await next.start()) ?? (await next.once());
  const found = next.events.find((event) => event.kind === 'package');
  if (found !== undefined) expect([where, found.resumedAt >= durable]).toEqual([where, true]);
  // An update whose end was stored before the cut is not made twice.
  expect([where, ['success', 'up-to-date'].includes(end.outcome)]).toEqual([where, true]);
  expect(await world.status(disk)).toMatchObject({ bank: 'B', version: '2.0.0', trial: false });
  expect(disk.durable('bank-b.bin')).toEqual(IMAGE);
  expect(disk.durable('bank-a.bin')).toEqual(factory);
  expect(world.transfers().at(-1)).toMatchObject({ state: 'success' });
}
