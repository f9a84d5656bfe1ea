// Token buckets with growing blocks: how often somebody may ask, in memory whose size is fixed or bounded.

import { createHmac } from 'node:crypto';
import type { Random } from '../../src/core/random.ts';

export interface BucketLimit {
  /** Requests that may come at once. */
  readonly burst: number;
  /** Requests that come back each second. */
  readonly perSecond: number;
}

/** The first wait of who has asked too often; each further one is twice as long. */
const FIRST_BLOCK_MS = 1000;
const LONGEST_BLOCK_MS = 5 * 60_000;
/** Buckets of those whom nobody has identified. A keyed hash chooses one: nobody can aim at another's. */
const SLOTS = 65_536;
/** Buckets of identities are forgotten when they are full again; looked for at this many. */
const SWEEP_AT = 4096;

interface Bucket {
  tokens: number;
  atMs: number;
  /** Blocks in a row; a bucket that has filled up has forgotten them. */
  blocks: number;
  blockedUntilMs: number;
}

/**
 * One token for `bucket`, or the milliseconds to wait. Nothing comes back during a block, so that only who then asks
 * slowly is rid of the next, longer one. Who goes on while blocked does not make the block longer: clients that share
 * an address with a flood get their turn when it ends.
 */
function take(bucket: Bucket, limit: BucketLimit, nowMs: number): number | undefined {
  if (nowMs < bucket.blockedUntilMs) return bucket.blockedUntilMs - nowMs;
  refill(bucket, limit, nowMs);
  if (bucket.tokens >= limit.burst) bucket.blocks = 0;
  if (bucket.tokens >= 1) {
    bucket.tokens -= 1;
    return undefined;
  }
  const waitMs = Math.max(
    Math.min(LONGEST_BLOCK_MS, FIRST_BLOCK_MS * 2 ** bucket.blocks),
    ((1 - bucket.tokens) / limit.perSecond) * 1000,
  );
  bucket.blocks = Math.min(bucket.blocks + 1, 20);
  bucket.blockedUntilMs = nowMs + waitMs;
  bucket.atMs = bucket.blockedUntilMs;
  bucket.tokens = 1; // for whoever waited
  return waitMs;
}

function refill(bucket: Bucket, limit: BucketLimit, nowMs: number): void {
  const gained = (Math.max(0, nowMs - bucket.atMs) / 1000) * limit.perSecond;
  bucket.tokens = Math.min(limit.burst, bucket.tokens + gained);
  bucket.atMs = Math.max(bucket.atMs, nowMs);
}

function full(limit: BucketLimit, nowMs: number): Bucket {
  return { tokens: limit.burst, atMs: nowMs, blocks: 0, blockedUntilMs: nowMs };
}

/** One bucket for all. It has no blocks: who comes next is not who came too often. */
export class SharedBucket {
  readonly #limit: BucketLimit;
  #bucket: Bucket | undefined;

  constructor(limit: BucketLimit) {
    this.#limit = limit;
  }

  /** Milliseconds to wait, undefined when the request may go on. */
  take(nowMs: number): number | undefined {
    this.#bucket ??= full(this.#limit, nowMs);
    refill(this.#bucket, this.#limit, nowMs);
    if (this.#bucket.tokens < 1) {
      return ((1 - this.#bucket.tokens) / this.#limit.perSecond) * 1000;
    }
    this.#bucket.tokens -= 1;
    return undefined;
  }
}

/** Buckets of addresses: a fixed number, made when they are first used. */
export class AddressBuckets {
  readonly #limit: BucketLimit;
  readonly #secret: Uint8Array;
  readonly #slots: (Bucket | undefined)[] = new Array(SLOTS).fill(undefined);

  constructor(limit: BucketLimit, random: Random) {
    this.#limit = limit;
    this.#secret = random.bytes(32);
  }

  /** Milliseconds to wait, undefined when the request may go on. */
  take(network: string, nowMs: number): number | undefined {
    return take(this.#bucket(network, nowMs), this.#limit, nowMs);
  }

  /** The request turned out to be of somebody who has a bucket of his own. */
  giveBack(network: string, nowMs: number): void {
    const bucket = this.#bucket(network, nowMs);
    bucket.tokens = Math.min(this.#limit.burst, bucket.tokens + 1);
  }

  #bucket(network: string, nowMs: number): Bucket {
    const slot = createHmac('sha256', this.#secret).update(network).digest().readUInt16BE();
    this.#slots[slot] ??= full(this.#limit, nowMs);
    return this.#slots[slot];
  }
}

/** Buckets of identities that were proven: never more than there are devices and tokens. */
export class IdentityBuckets {
  readonly #limit: BucketLimit;
  readonly #buckets = new Map<string, Bucket>();
  #sweepAt = SWEEP_AT;

  constructor(limit: BucketLimit) {
    this.#limit = limit;
  }

  /** Milliseconds to wait, undefined when the request may go on. */
  take(identity: string, nowMs: number): number | undefined {
    let bucket = this.#buckets.get(identity);
    if (bucket === undefined) {
      if (this.#buckets.size >= this.#sweepAt) this.#sweep(nowMs);
      bucket = full(this.#limit, nowMs);
      this.#buckets.set(identity, bucket);
    }
    return take(bucket, this.#limit, nowMs);
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** A full bucket is the same as none. */
  #sweep(nowMs: number): void {
    const refillMs = (this.#limit.burst / this.#limit.perSecond) * 1000;
    for (const [identity, bucket] of this.#buckets) {
      if (nowMs - Math.max(bucket.atMs, bucket.blockedUntilMs) >= refillMs) {
        this.#buckets.delete(identity);
      }
    }
    this.#sweepAt = Math.max(SWEEP_AT, 2 * this.#buckets.size);
  }
}
