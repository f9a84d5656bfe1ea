// A whole update of a small device: from the check to the confirmed image, and what it does meanwhile.

import { describe, expect, it } from 'vitest';
import { PROFILES } from '../../src/contract/chunked/package.ts';
import { CHECK_INTERVAL_MS } from '../../src/device/client.ts';
import type { DeviceEvent } from '../../src/device/device-event.ts';
import { ARENA_BYTES } from '../../src/device/working-memory.ts';
import { DeviceWorld, imageOf, MODEL } from './support.ts';

function outcomeOf(events: readonly DeviceEvent[]) {
  return events.findLast((event) => event.kind === 'outcome');
}

describe('an update', () => {
  for (const profile of PROFILES) {
    it(`ends with the new image confirmed (${profile})`, async () => {
      const world = await DeviceWorld.start();
      const { disk } = await world.enrolled(profile);
      const image = imageOf(50_000);
      await world.release(image, { profile });
      const device = await world.device(disk);
      await device.start();
      expect(await device.once()).toEqual({ outcome: 'success' });
      expect(device.states()).toEqual([
        'checking',
        'downloading',
        'verifying',
        'applying',
        'completed',
        'idle',
      ]);
      expect(disk.durable('bank-b.bin')).toEqual(image);
      expect(await world.status(disk)).toMatchObject({
        state: 'idle',
        bank: 'B',
        version: '2.0.0',
        trial: false,
        counter: 2,
        transfer: null,
        last: { outcome: 'success' },
        owesReport: false,
      });
      expect(world.transfers()).toMatchObject([{ state: 'success', version: '2.0.0' }]);
    });
  }

  it('is made once, and the next one goes into the other bank', async () => {
    const world = await DeviceWorld.start();
    const { disk } = await world.enrolled();
    await world.release(imageOf(5000));
    const device = await world.device(disk);
    await device.start();
    await device.once();
    expect(await device.once()).toEqual({ outcome: 'up-to-date' });
    const next = imageOf(7000, 3);
    await world.release(next, { version: '3.0.0', counter: 3 });
    // What is being overwritten is no image any more, whatever happens in the middle of it.
    const marks = new Set<string>();
    disk.onOperation = (_n, { kind, name }) => {
      if (kind !== 'write' || name !== 'bank-a.bin') return;
      const record = JSON.parse(Buffer.from(disk.durable('boot-record.json')!).toString());
      marks.add(`${record.active} ${record.banks[0].content} ${record.banks[1].content}`);
    };
    const restarted = await world.device(disk);
    await restarted.start();
    expect(restarted.events[0]).toMatchObject({ kind: 'boot', mode: 'confirmed', bank: 'B' });
    expect(await restarted.once()).toEqual({ outcome: 'success' });
    expect(disk.durable('bank-a.bin')).toEqual(next);
    expect([...marks]).toEqual(['1 writing valid']);
  });

  it('keeps the normal work still from the first byte to the end, and not before', async () => {
    const world = await DeviceWorld.start();
    const { disk } = await world.enrolled();
    await world.release(imageOf(5000));
    const device = await world.device(disk);
    await device.start();
    await world.clock.advance(5000);
    await device.once();
    const order = device.events.flatMap((event) => {
      if (event.kind === 'work') return [event.running ? `goes on ${event.beats}` : 'stands still'];
      return event.kind === 'state' ? [event.state] : [];
    });
    expect(order).toEqual([
      'goes on 0',
      'checking',
      'downloading',
      'stands still',
      'verifying',
      'applying',
      'completed',
      'idle',
      'goes on 5',
    ]);
    expect((await world.status(disk)).beats).toBe(5);
  });

  it('is looked for every six hours, and sooner after what another try may mend', async () => {
    const world = await DeviceWorld.start();
    const { disk } = await world.enrolled();
    const device = await world.device(disk);
    await device.start();
    const end = new AbortController();
    const running = device.run(end.signal);
    const looks = (): number => device.states().filter((state) => state === 'checking').length;
    await world.clock.advance(1000);
    expect(looks()).toBe(1);
    await world.clock.advance(0.85 * CHECK_INTERVAL_MS);
    expect(looks()).toBe(1);
    world.network.fault = () => ({ kind: 'cut' });
    await world.clock.advance(0.25 * CHECK_INTERVAL_MS);
    // Four tries each time, then pauses of one, two, four... minutes.
    expect(looks()).toBeGreaterThan(3);
    const before = looks();
    await world.clock.advance(CHECK_INTERVAL_MS);
    expect(looks() - before).toBeLessThan(10);
    world.network.fault = undefined;
    await world.release(imageOf(5000));
    await world.clock.advance(1.2 * CHECK_INTERVAL_MS);
    expect(outcomeOf(device.events)).toMatchObject({ version: '2.0.0' });
    end.abort();
    await world.settle(running);
  });

  it('is not made for another model or another key', async () => {
    const world = await DeviceWorld.start();
    const { disk } = await world.enrolled();
    await world.release(imageOf(5000), { model: 'PUMP-2' });
    await world.release(imageOf(5000), { profile: 'rsa' });
    const device = await world.device(disk);
    await device.start();
    const end = await device.once();
    expect(end).toEqual({
      outcome: 'up-to-date',
      reason: 'there is no package for this model',
    });
    expect(MODEL).not.toBe('PUMP-2');
  });
});

describe('the working memory', () => {
  const peakOf = async (size: number, profile: (typeof PROFILES)[number]): Promise<number> => {
    // With the limits that every server has.
    const world = await DeviceWorld.start();
    const { disk } = await world.enrolled(profile);
    await world.release(imageOf(size), { profile });
    const device = await world.device(disk);
    await device.start();
    expect(await device.once()).toEqual({ outcome: 'success' });
    const { peakBytes, capacityBytes } = outcomeOf(device.events)!;
    expect(capacityBytes).toBe(ARENA_BYTES);
    expect((await world.status(disk)).peakBytes).toBe(peakBytes);
    return peakBytes;
  };

  it('is the same for an image of 1 KiB, 1 MiB and 16 MiB, and fits into 16 KiB', async () => {
    const small = await peakOf(1024, 'default');
    expect(await peakOf(1 << 20, 'default')).toBe(small);
    expect(await peakOf(16 << 20, 'default')).toBe(small);
    expect(await peakOf(1 << 20, 'rsa')).toBe(small);
    // A block of the image with its tag, and a stored chunk with its checksum.
    expect(small).toBe(4096 + 16 + 4 + 1024);
  });

  it('holds the largest chunk that the command line takes', async () => {
    const world = await DeviceWorld.start();
    const { disk } = await world.enrolled();
    await world.release(imageOf(100_000));
    const device = await world.device(disk, { chunkBytes: 8192 });
    await device.start();
    expect(await device.once()).toEqual({ outcome: 'success' });
    const { peakBytes } = outcomeOf(device.events)!;
    expect(peakBytes).toBe(4096 + 16 + 4 + 8192);
    expect(device.events.find((event) => event.kind === 'package')).toMatchObject({
      chunkBytes: 8192,
    });
  });
});
