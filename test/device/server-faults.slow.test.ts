// Each way in which a bench server spoils a chunked download: how the device ends, and that it is none the worse for it.

import { describe, expect, it } from 'vitest';
import { CHUNK_FAULT_NAMES, type ChunkFault } from '../../src/contract/chunked/faults.ts';
import type { CycleEnd } from '../../src/device/client.ts';
import { DeviceWorld, imageOf } from './support.ts';

interface Ending {
  /** Every time that it could be. */
  readonly always: CycleEnd;
  /** How the backend has the last transfer then. */
  readonly transfer: string;
  /** What the device says about it. */
  readonly trouble?: RegExp;
  /** Three times in ten. */
  readonly sometimes: CycleEnd['outcome'];
}

const failed = (code: string, transient: boolean): CycleEnd => ({
  outcome: 'failed',
  code,
  reason: expect.any(String) as unknown as string,
  transient,
});

const ENDINGS: Readonly<Record<ChunkFault, Ending>> = {
  'corrupt-chunk': {
    always: failed('NO_CHUNK', true),
    transfer: 'downloading',
    trouble: /chunk 0 is not authentic/,
    sometimes: 'success',
  },
  'bad-hmac': {
    always: failed('NO_CHUNK', true),
    transfer: 'downloading',
    trouble: /chunk 0 is not authentic/,
    sometimes: 'success',
  },
  'bad-hash': {
    always: failed('DIGEST_MISMATCH', true),
    transfer: 'refused',
    sometimes: 'success',
  },
  'bad-signature': {
    always: failed('SIGNATURE', false),
    transfer: 'failed',
    sometimes: 'success',
  },
  timeout: {
    always: failed('ETIMEDOUT', true),
    transfer: 'downloading',
    sometimes: 'success',
  },
  truncate: {
    always: failed('NO_CHUNK', true),
    transfer: 'downloading',
    trouble: /ends within a chunk/,
    sometimes: 'success',
  },
  replay: {
    always: failed('NO_CHUNK', true),
    transfer: 'downloading',
    trouble: /came once more/,
    sometimes: 'success',
  },
  'wrong-order': {
    always: { outcome: 'success' },
    transfer: 'success',
    trouble: /came before its turn/,
    sometimes: 'success',
  },
};

describe.each(CHUNK_FAULT_NAMES)('a server with the fault %s', (fault) => {
  const { always, transfer, trouble, sometimes } = ENDINGS[fault];

  it(`all the time: ${always.outcome}${'code' in always ? ` ${always.code}` : ''}`, async () => {
    const world = await DeviceWorld.start({ chunkFaults: { [fault]: 1 } });
    const { disk } = await world.enrolled();
    await world.release(imageOf(50_000));
    const factory = disk.durable('bank-a.bin');
    const device = await world.device(disk);
    await device.start();
    expect(await device.once()).toEqual(always);
    expect(world.transfers().at(-1)).toMatchObject({ state: transfer });
    const troubles = device.events.flatMap((event) =>
      event.kind === 'trouble' ? [event.reason] : [],
    );
    if (trouble !== undefined) expect(troubles.join('\n')).toMatch(trouble);
    expect(disk.durable('bank-a.bin')).toEqual(factory);
    if (always.outcome !== 'failed') return;
    const status = await world.status(disk);
    expect(status).toMatchObject({ state: 'error', bank: 'A', version: '1.0.0', trial: false });
    expect(disk.durable('bank-b.bin')).toBeUndefined();
    // It does its work, and boots as before.
    expect(device.events.findLast((event) => event.kind === 'work')).toMatchObject({
      running: true,
    });
  });

  it(`three times in ten: ${sometimes}, within a few looks`, async () => {
    const world = await DeviceWorld.start({ chunkFaults: { [fault]: 0.3 } });
    const { disk } = await world.enrolled();
    const image = imageOf(50_000);
    await world.release(image);
    const device = await world.device(disk);
    await device.start();
    let end = await device.once();
    for (let looks = 1; end.outcome === 'failed' && looks < 10; looks++) end = await device.once();
    expect(end.outcome).toBe(sometimes);
    expect(disk.durable('bank-b.bin')).toEqual(image);
  });
});
