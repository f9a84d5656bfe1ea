// Token buckets: bursts, growing blocks, and that nobody pays for another.

import { describe, expect, it } from 'vitest';
import {
  AddressBuckets,
  IdentityBuckets,
  SharedBucket,
} from '../../server/platform/auth/token-bucket.ts';
import { systemRandom } from '../../src/core/random.ts';

const LIMIT = { burst: 10, perSecond: 2 };

function drain(take: () => number | undefined): number {
  let count = 0;
  while (take() === undefined) count++;
  return count;
}

describe('IdentityBuckets', () => {
  it('lets a burst through, then what comes back', () => {
    const buckets = new IdentityBuckets(LIMIT);
    expect(drain(() => buckets.take('a', 0))).toBe(10);
    expect(buckets.take('a', 999)).toBe(1);
    expect(buckets.take('b', 999)).toBeUndefined();
    expect(buckets.take('a', 1000)).toBeUndefined();
  });

  it('blocks longer and longer who goes on, and forgets it when he pauses', () => {
    const buckets = new IdentityBuckets(LIMIT);
    const waits: number[] = [];
    let nowMs = 0;
    for (let round = 0; round < 12; round++) {
      drain(() => {
        const waitMs = buckets.take('a', nowMs);
        if (waitMs !== undefined) waits.push(waitMs);
        return waitMs;
      });
      nowMs += waits.at(-1)!;
    }
    expect(waits.slice(0, 5)).toEqual([1000, 2000, 4000, 8000, 16_000]);
    expect(waits.at(-1)).toBe(300_000);
    // Who comes while he is blocked does not make it longer.
    const until = waits.at(-1)!;
    drain(() => buckets.take('a', nowMs));
    for (let ms = 1000; ms < until; ms += 1000) {
      expect(buckets.take('a', nowMs + ms)).toBeLessThanOrEqual(until - ms);
    }
    nowMs += until + 10_000;
    expect(drain(() => buckets.take('a', nowMs))).toBe(10);
    expect(buckets.take('a', nowMs)).toBe(1000);
  });

  it('forgets those who are quiet', () => {
    const buckets = new IdentityBuckets(LIMIT);
    for (let index = 0; index < 50_000; index++) buckets.take(`device ${index}`, index);
    expect(buckets.size).toBeLessThan(15_000);
  });
});

describe('AddressBuckets', () => {
  it('give back what turned out to be somebody', () => {
    const buckets = new AddressBuckets(LIMIT, systemRandom);
    for (let index = 0; index < 100; index++) {
      expect(buckets.take('10.0.0.1', 0)).toBeUndefined();
      buckets.giveBack('10.0.0.1', 0);
    }
  });
});

describe('SharedBucket', () => {
  it('says when the next token comes, without blocks', () => {
    const bucket = new SharedBucket(LIMIT);
    expect(drain(() => bucket.take(0))).toBe(10);
    expect(bucket.take(0)).toBe(500);
    for (let index = 0; index < 100; index++) bucket.take(0);
    expect(bucket.take(500)).toBeUndefined();
    expect(bucket.take(500)).toBe(500);
  });
});
