// Downloads over the chunked protocol, interrupted and damaged anywhere.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { otaCheck } from '../../src/contract/endpoints/small-devices/check.ts';
import { otaChunk } from '../../src/contract/endpoints/small-devices/chunk.ts';
import { otaStatus } from '../../src/contract/endpoints/small-devices/status.ts';
import { type DeviceWorld, imageOf, SERVER } from '../device/support.ts';
import { chunks, ready } from './chunked-download-support.ts';

describe('a chunked download', () => {
  it.each([
    ['of many chunks', 100_000, 1024, 4],
    ['in large ones', 100_000, 16_384, 1],
    ['that is smaller than a chunk', 100, 1024, 1],
    ['whose last chunk is whole', 4096, 1024, 1],
  ])('%s ends in the store', async (_name, size, chunkBytes, requests) => {
    const { download, stored, image, paths, traffic } = await ready(size, {}, chunkBytes);
    expect(await download()).toEqual({ kind: 'done' });
    expect(stored()).toEqual(image);
    expect(chunks(paths)).toBe(requests);
    expect(paths.some((path) => /get_nonce|ota_download/.test(path))).toBe(false);
    await traffic.settle();
    expect(traffic.today.imageBytes).toBe(size);
  });

  it('keeps what came when the network is gone, and fetches only the rest later', async () => {
    const { download, stored, image, paths, part, breakAt } = await ready(100_000);
    let seen = 0;
    breakAt((path) => (path === '/ota/chunk' && ++seen > 2 ? { kind: 'cut' } : undefined));
    expect(await download()).toMatchObject({ kind: 'failed', transient: true });
    expect(part()).toEqual(image.subarray(0, 64 * 1024));
    breakAt(() => undefined);
    const before = chunks(paths);
    expect(await download()).toEqual({ kind: 'done' });
    expect(chunks(paths) - before).toBe(2);
    expect(stored()).toEqual(image);
  });

  it('survives any single exchange that goes wrong', async () => {
    for (const fault of [
      { kind: 'cut' },
      { kind: 'drop', what: 'answer' },
      { kind: 'truncate', share: 0.4 },
      { kind: 'garbage', how: 'flip' },
    ] as const) {
      for (let at = 1; at <= 4; at++) {
        const { download, stored, image, breakAt } = await ready(100_000);
        let seen = 0;
        breakAt((path) => (path === '/ota/chunk' && ++seen === at ? fault : undefined));
        expect([fault, at, await download()]).toEqual([fault, at, { kind: 'done' }]);
        expect(stored()).toEqual(image);
      }
    }
  });

  it('of 64 MiB ends in one look with the limits that every server has', async () => {
    const { download, paths, release, world } = await ready(64 << 20);
    expect(await download()).toEqual({ kind: 'done' });
    expect(chunks(paths)).toBe(release.size / (32 * 1024));
    expect(await refusals(world)).toEqual([]);
    // Exactly 2048 round trips of this network.
    expect(world.clock.nowMs()).toBeLessThan(150_000);
  }, 600_000);

  it('keeps to the pace that it is told', async () => {
    const transfer = { burst: 96 * 1024, perSecond: 32 * 1024 };
    const { download, stored, image, paths, world } = await ready(20 * 32 * 1024, {
      rateLimits: { transfer },
    });
    const startMs = world.clock.nowMs();
    expect(await download()).toEqual({ kind: 'done' });
    expect(stored()).toEqual(image);
    expect(chunks(paths)).toBe(20);
    expect(await refusals(world)).toEqual([]);
    const seconds = (world.clock.nowMs() - startMs) / 1000;
    expect(seconds).toBeGreaterThan(16);
    expect(seconds).toBeLessThan(22);
  });

  it('waits as long as it is told when the budget is used up already', async () => {
    const transfer = { burst: 96 * 1024, perSecond: 32 * 1024 };
    const { download, world, disk } = await ready(6 * 32 * 1024, { rateLimits: { transfer } });
    // An earlier download has used the budget up; the next one does not know that.
    expect(await download()).toEqual({ kind: 'done' });
    const next = imageOf(6 * 32 * 1024, 2);
    const sha256 = createHash('sha256').update(next).digest('hex');
    const file = await world.upload(next, 'EDT', '2.1.0');
    expect(await download({ file, size: next.length, sha256 })).toEqual({ kind: 'done' });
    expect(disk.contents(`images/${sha256}.bin`)).toEqual(next);
    expect(await refusals(world)).toMatchObject([{ action: 'refused.rate' }]);
  });

  it('whose budget is used up holds up nothing else', async () => {
    const transfer = { burst: 64 * 1024, perSecond: 1024 };
    const { client, sealed, release, world } = await ready(4 * 32 * 1024, {
      rateLimits: { transfer },
    });
    const told = await world.settle(
      sealed().then(async (device) => {
        const wish = { kind: 'file', ...release, size: undefined, chunkBytes: 1024 };
        const check = await device.json(otaCheck, wish);
        if ('kind' in check || check.value.kind !== 'transfer') throw new Error('no transfer');
        const { id } = check.value.transfer;
        const statuses: (string | number)[] = [];
        for (const from of [0, 32, 64, 96]) {
          const question = Buffer.from(JSON.stringify({ transfer: id, from, count: 32 }));
          const answer = await device.open(otaChunk.path, question, { ownPause: true });
          if (answer.kind === 'open') answer.response.destroy();
          statuses.push(answer.kind === 'open' ? 200 : `${answer.code} ${answer.retryAfterMs}`);
        }
        const status = await device.json(otaStatus, {});
        const health = await client.json(new URL('/healthz', SERVER), {});
        return { statuses, status: 'value' in status, health: 'status' in health };
      }),
    );
    // The fourth request is not sent: the path has its own pause.
    expect(told).toEqual({
      statuses: [200, 200, 'HTTP_429 32000', 'HTTP_429 32000'],
      status: true,
      health: true,
    });
  });
});

async function refusals(world: DeviceWorld): Promise<unknown[]> {
  return world.database
    .prepare("select action, who from audit where action = 'refused.rate'")
    .all();
}
