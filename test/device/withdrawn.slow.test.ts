// The package that a small device downloads is withdrawn: it stops, keeps what it runs, and takes what is offered instead.

import { describe, expect, it } from 'vitest';
import { DeviceWorld, imageOf } from './support.ts';

const CHUNK_BYTES = 256;
const ANSWER = 32;

async function ready() {
  const world = await DeviceWorld.start();
  const { disk } = await world.enrolled();
  await world.release(imageOf(5 * ANSWER * CHUNK_BYTES));
  const device = await world.device(disk, { chunkBytes: CHUNK_BYTES });
  await device.start();
  return { world, disk, device };
}

/** At the nth exchange with this path. */
function withdrawAt(world: DeviceWorld, path: string, nth: number): void {
  let seen = 0;
  world.network.fault = (exchange) => {
    if (exchange.path === path && ++seen === nth) void world.withdraw('2.0.0');
    return undefined;
  };
}

describe('a small device whose package is withdrawn', () => {
  it.each([
    ['/ota/chunk', 2],
    ['/ota/chunk', 5],
    ['/ota/verify', 1],
  ])('at %s number %i stops, keeps what it runs and does not ask for it again', async (path, n) => {
    const { world, disk, device } = await ready();
    withdrawAt(world, path, n);
    const exchanges = () => world.network.exchanges;
    const end = await device.once();
    expect(end).toEqual({
      outcome: 'up-to-date',
      reason: 'there is no package for this model',
    });
    expect(device.events).toContainEqual({
      kind: 'trouble',
      reason: expect.stringMatching(/PACKAGE_WITHDRAWN.*keep what runs/),
    });
    expect(device.events.findLast((event) => event.kind === 'work')).toMatchObject({
      running: true,
    });
    const before = exchanges();
    world.network.fault = undefined;
    expect(await device.once()).toMatchObject({ outcome: 'up-to-date' });
    // One question, and nothing of the old transfer.
    expect(exchanges() - before).toBe(1);
    expect(await world.status(disk)).toMatchObject({ state: 'idle', version: '1.0.0' });
    // It boots what it had, and takes the next package.
    const again = await world.device(disk, { chunkBytes: CHUNK_BYTES });
    await again.start();
    const next = imageOf(2000, 7);
    await world.release(next, { version: '2.0.1', counter: 3 });
    expect(await again.once()).toEqual({ outcome: 'success' });
    expect(disk.durable('bank-b.bin')).toEqual(next);
  });

  it('takes the package that is offered instead, in the same look', async () => {
    const { world, disk, device } = await ready();
    const instead = imageOf(3000, 8);
    let seen = 0;
    world.network.fault = ({ path }) => {
      if (path === '/ota/chunk' && ++seen === 3) {
        void world
          .withdraw('2.0.0')
          .then(() => world.release(instead, { version: '2.0.1', counter: 2 }));
      }
      return undefined;
    };
    expect(await device.once()).toEqual({ outcome: 'success' });
    expect(await world.status(disk)).toMatchObject({ version: '2.0.1' });
    expect(disk.durable('bank-b.bin')).toEqual(instead);
  });

  it('that lost power in between finds nothing to go on with', async () => {
    const { world, disk, device } = await ready();
    let seen = 0;
    world.network.fault = ({ path }) =>
      path === '/ota/chunk' && ++seen > 2 ? { kind: 'cut' } : undefined;
    expect(await device.once()).toMatchObject({ outcome: 'failed' });
    await world.withdraw('2.0.0');
    world.network.fault = undefined;
    const again = await world.device(disk, { chunkBytes: CHUNK_BYTES });
    expect(await again.start()).toBeUndefined();
    expect(await again.once()).toMatchObject({ outcome: 'up-to-date' });
    expect(await world.status(disk)).toMatchObject({ state: 'idle', version: '1.0.0' });
  });

  it('that runs it already keeps it, and is told nothing', async () => {
    const { world, disk, device } = await ready();
    await world.release(imageOf(900, 9), { version: '1.5.0', counter: 1 });
    expect(await device.once()).toEqual({ outcome: 'success' });
    await world.withdraw('2.0.0');
    expect(await device.once()).toEqual({ outcome: 'up-to-date' });
    expect(await world.status(disk)).toMatchObject({ version: '2.0.0', state: 'idle' });
  });
});
