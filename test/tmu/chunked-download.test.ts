// A vehicle fetches images over the chunked protocol, with the same store and checks as over HTTP.

import { describe, expect, it } from 'vitest';
import { imageOf } from '../device/support.ts';
import { chunks, ready } from './chunked-download-support.ts';

describe('a chunked download', () => {
  it('goes on within a chunk, where an earlier process stopped', async () => {
    const { download, stored, image, paths, keep, traffic } = await ready(100_000);
    await keep(image.slice(0, 70_001));
    expect(await download()).toEqual({ kind: 'done' });
    expect(stored()).toEqual(image);
    expect(chunks(paths)).toBe(1);
    await traffic.settle();
    expect(traffic.today.imageBytes).toBe(100_000 - 70_001);
  });

  it('begins anew when what was left is not of this image', async () => {
    const { download, stored, image, keep } = await ready(50_000);
    await keep(imageOf(20_000, 99));
    expect(await download()).toEqual({ kind: 'done' });
    expect(stored()).toEqual(image);
  });

  it.each(['corrupt-chunk', 'bad-hmac', 'truncate', 'replay', 'wrong-order'] as const)(
    'gets the right bytes from a server that spoils some of them (%s)',
    async (fault) => {
      const { download, stored, image } = await ready(60_000, { chunkFaults: { [fault]: 0.2 } });
      let result = await download();
      for (let more = 0; more < 5 && result.kind === 'failed'; more++) result = await download();
      expect(result).toEqual({ kind: 'done' });
      expect(stored()).toEqual(image);
    },
  );

  it('of a file that is not the one that was signed is refused before a byte has come', async () => {
    const { download, release, paths } = await ready(5000);
    const other = { ...release, sha256: 'ab'.repeat(32) };
    expect(await download(other)).toMatchObject({ kind: 'failed', code: 'HTTP_404' });
    expect(chunks(paths)).toBe(0);
  });

  it('leaves everything else to plain requests', async () => {
    const { world, http, paths } = await ready(5000);
    const latest = await world.settle(http.latest(['EDT'], undefined));
    expect(latest.kind).toBe('releases');
    expect(paths).toContain('/latest_version');
  });
});
