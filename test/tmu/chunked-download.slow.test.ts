// Downloads over the chunked protocol, interrupted and spoiled anywhere.

import { describe, expect, it } from 'vitest';
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
});
