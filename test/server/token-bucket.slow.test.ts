// Token buckets under a flood of addresses that were never seen before.

import { expect, it } from 'vitest';
import { AddressBuckets } from '../../server/platform/auth/token-bucket.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';

it('have a fixed number, whatever addresses come', () => {
  const buckets = new AddressBuckets({ burst: 1, perSecond: 1 }, seededRandom('addresses'));
  let granted = 0;
  for (let index = 0; index < 300_000; index++) {
    if (buckets.take(`10.${index}`, 0) === undefined) granted++;
  }
  // One token for each bucket, and 65,536 of them: most have been met by then.
  expect(granted).toBeLessThanOrEqual(65_536);
  expect(granted).toBeGreaterThan(60_000);
});
