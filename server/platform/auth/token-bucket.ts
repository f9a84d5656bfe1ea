// Token buckets: how often a caller may ask and how much it may fetch, in memory whose size is fixed or bounded.

import { createHmac } from 'node:crypto';
import type { Random } from '../../../src/core/random.ts';

export interface BucketLimit {
  /** Requests (of transfers: bytes) that may come at once. */
  readonly burst: number;
  /** Requests (of transfers: bytes) that come back each second. */
  readonly perSecond: number;
}

/** The first block of an identity that asks too often; each further one is twice as long. */
const FIRST_BLOCK_MS = 1000;
const LONGEST_BLOCK_MS = 5 * 60_000;
/** The longest wait that an address is told. The vehicles behind it share the time until then. */
const LONGEST_TURN_MS = 60_000;
/** Buckets of callers without an identity. A keyed hash chooses one: a caller cannot aim at another's. */
const SLOTS = 65_536;
/** Buckets of identities are forgotten when they are full again; looked for at this many. */
const SWEEP_AT = 4096;
/** Sums of fractions may miss a whole token by this much. */
const ROUNDING = 1e-6;

interface Bucket {
  tokens: number;
  atMs: number;
}

interface BlockingBucket extends Bucket {
  /** Blocks in a row. */
  blocks: number;
  blockedUntilMs: number;
}

/**
 * One token for `bucket`, or the milliseconds to wait. The bucket refills during a block, so that a client that keeps
 * to what it is told gets its rate. The next block is twice as long unless the client stays below the limit for as long
 * as an empty bucket takes to fill. Requests during a block do not make it longer.
 */
function take(bucket: BlockingBucket, limit: BucketLimit, nowMs: number): number | undefined {
  refill(bucket, limit, nowMs);
  if (nowMs < bucket.blockedUntilMs) return bucket.blockedUntilMs - nowMs;
  if (nowMs - bucket.blockedUntilMs >= fillMs(limit)) bucket.blocks = 0;
  if (holds(bucket, 1)) {
    bucket.tokens -= 1;
    return undefined;
  }
  const waitMs = Math.max(
    Math.min(LONGEST_BLOCK_MS, FIRST_BLOCK_MS * 2 ** bucket.blocks),
    untilMs(bucket, 1, limit),
  );
  bucket.blocks = Math.min(bucket.blocks + 1, 20);
  bucket.blockedUntilMs = nowMs + waitMs;
  return waitMs;
}

function refill(bucket: Bucket, limit: BucketLimit, nowMs: number): void {
  const gained = (Math.max(0, nowMs - bucket.atMs) / 1000) * limit.perSecond;
  bucket.tokens = Math.min(limit.burst, bucket.tokens + gained);
  bucket.atMs = Math.max(bucket.atMs, nowMs);
}

function holds(bucket: Bucket, tokens: number): boolean {
  return bucket.tokens >= tokens - ROUNDING;
}

/** How long until the bucket holds `tokens`. */
function untilMs(bucket: Bucket, tokens: number, limit: BucketLimit): number {
  return ((tokens - bucket.tokens) / limit.perSecond) * 1000;
}

/** How long an empty bucket takes to fill. */
function fillMs(limit: BucketLimit): number {
  return (limit.burst / limit.perSecond) * 1000;
}

/** What stays in a bucket for log-ins: other requests without an identity cannot keep a vehicle out. */
function keptFor(purpose: Purpose, limit: BucketLimit): number {
  return purpose === 'log-in' ? 0 : Math.floor(limit.burst / 2);
}

/** What a request without an identity is for. */
export type Purpose = 'log-in' | 'other';

/** One bucket for all. It has no blocks: the next caller is not the one that came too often. */
export class SharedBucket {
  readonly #limit: BucketLimit;
  #bucket: Bucket | undefined;

  constructor(limit: BucketLimit) {
    this.#limit = limit;
  }

  /** Milliseconds to wait, undefined when the request may go on. */
  take(nowMs: number, purpose: Purpose = 'log-in'): number | undefined {
    this.#bucket ??= { tokens: this.#limit.burst, atMs: nowMs };
    refill(this.#bucket, this.#limit, nowMs);
    const wanted = 1 + keptFor(purpose, this.#limit);
    if (!holds(this.#bucket, wanted)) return untilMs(this.#bucket, wanted, this.#limit);
    this.#bucket.tokens -= 1;
    return undefined;
  }
}

interface AddressBucket extends Bucket {
  /** Until when turns are given out. */
  promisedMs: number;
}

/**
 * Buckets of addresses: a fixed number, made when they are first used. They have no blocks, because a whole fleet may
 * stand behind one address: each refused caller is told a turn of its own, one after the other at the rate of the
 * bucket, so that a fleet which comes at once is through after a time that is its size divided by the rate.
 */
export class AddressBuckets {
  readonly #limit: BucketLimit;
  readonly #secret: Uint8Array;
  readonly #slots: (AddressBucket | undefined)[] = new Array(SLOTS).fill(undefined);

  constructor(limit: BucketLimit, random: Pick<Random, 'bytes'>) {
    this.#limit = limit;
    this.#secret = random.bytes(32);
  }

  /** Others, for another limit of the same addresses. */
  beside(limit: BucketLimit): AddressBuckets {
    return new AddressBuckets(limit, { bytes: () => this.#secret });
  }

  /** Milliseconds to wait, undefined when the request may go on. */
  take(network: string, nowMs: number, purpose: Purpose = 'log-in'): number | undefined {
    const bucket = this.#bucket(network, nowMs);
    refill(bucket, this.#limit, nowMs);
    const wanted = 1 + keptFor(purpose, this.#limit);
    if (holds(bucket, wanted)) {
      bucket.tokens -= 1;
      return undefined;
    }
    const firstMs = nowMs + untilMs(bucket, wanted, this.#limit);
    const nextMs = bucket.promisedMs + 1000 / this.#limit.perSecond;
    // Behind the longest turn the line begins again: what is told stays spread, however long the line is.
    const isInLine = nextMs >= firstMs && nextMs - nowMs <= LONGEST_TURN_MS;
    bucket.promisedMs = isInLine ? nextMs : firstMs;
    return bucket.promisedMs - nowMs;
  }

  /** The request turned out to be of a caller with a bucket of its own, or was refused elsewhere. */
  giveBack(network: string, nowMs: number): void {
    const bucket = this.#bucket(network, nowMs);
    bucket.tokens = Math.min(this.#limit.burst, bucket.tokens + 1);
  }

  #bucket(network: string, nowMs: number): AddressBucket {
    const slot = createHmac('sha256', this.#secret).update(network).digest().readUInt16BE();
    this.#slots[slot] ??= { tokens: this.#limit.burst, atMs: nowMs, promisedMs: nowMs };
    return this.#slots[slot];
  }
}

/** Buckets of identities that were proven: never more than there are devices and tokens. */
abstract class OwnBuckets<B extends Bucket> {
  protected readonly limit: BucketLimit;
  readonly #buckets = new Map<string, B>();
  #sweepAt = SWEEP_AT;

  constructor(limit: BucketLimit) {
    this.limit = limit;
  }

  get size(): number {
    return this.#buckets.size;
  }

  protected abstract full(nowMs: number): B;

  /** True where forgetting the bucket changes nothing. */
  protected abstract isIdle(bucket: B, nowMs: number): boolean;

  protected of(identity: string, nowMs: number): B {
    let bucket = this.#buckets.get(identity);
    if (bucket === undefined) {
      if (this.#buckets.size >= this.#sweepAt) this.#sweep(nowMs);
      bucket = this.full(nowMs);
      this.#buckets.set(identity, bucket);
    }
    return bucket;
  }

  #sweep(nowMs: number): void {
    for (const [identity, bucket] of this.#buckets) {
      if (this.isIdle(bucket, nowMs)) this.#buckets.delete(identity);
    }
    this.#sweepAt = Math.max(SWEEP_AT, 2 * this.#buckets.size);
  }
}

/** Requests of an identity, with blocks that grow. */
export class IdentityBuckets extends OwnBuckets<BlockingBucket> {
  /** Milliseconds to wait, undefined when the request may go on. */
  take(identity: string, nowMs: number): number | undefined {
    return take(this.of(identity, nowMs), this.limit, nowMs);
  }

  protected full(nowMs: number): BlockingBucket {
    return { tokens: this.limit.burst, atMs: nowMs, blocks: 0, blockedUntilMs: nowMs };
  }

  protected isIdle({ atMs, blockedUntilMs }: BlockingBucket, nowMs: number): boolean {
    return nowMs - Math.max(atMs, blockedUntilMs) >= fillMs(this.limit);
  }
}

/** Bytes of an identity's downloads. Without blocks: a download goes on at the rate of the bucket. */
export class ByteBuckets extends OwnBuckets<Bucket> {
  /** Milliseconds to wait, undefined when these bytes may go out. */
  take(identity: string, bytes: number, nowMs: number): number | undefined {
    const bucket = this.of(identity, nowMs);
    refill(bucket, this.limit, nowMs);
    // What is larger than the bucket goes out when the bucket is full.
    const wanted = Math.min(bytes, this.limit.burst);
    if (!holds(bucket, wanted)) return untilMs(bucket, wanted, this.limit);
    bucket.tokens -= bytes;
    return undefined;
  }

  protected full(nowMs: number): Bucket {
    return { tokens: this.limit.burst, atMs: nowMs };
  }

  protected isIdle({ atMs }: Bucket, nowMs: number): boolean {
    return nowMs - atMs >= fillMs(this.limit);
  }
}
