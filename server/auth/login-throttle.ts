// Slows down the guessing of passwords, per address and per name, in memory whose size has a limit.

import { createHmac } from 'node:crypto';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Random } from '../../src/core/random.ts';
import { networkOf } from './addresses.ts';

const WINDOW_SECONDS = 15 * 60;
/** Tries in the window. An address may be an office; a name is one person. */
const PER_ADDRESS = 30;
const PER_NAME = 10;

/**
 * Keys are 16 bits of a keyed hash: never more than 65,536 counters each, whatever names are tried, and
 * nobody outside can look for a name that shares a counter with another.
 */
export class LoginThrottle {
  readonly #addresses = new RateLimiterMemory({
    points: PER_ADDRESS,
    duration: WINDOW_SECONDS,
    keyPrefix: 'address',
  });
  readonly #names = new RateLimiterMemory({
    points: PER_NAME,
    duration: WINDOW_SECONDS,
    keyPrefix: 'name',
  });
  readonly #secret: Uint8Array;

  constructor(random: Random) {
    this.#secret = random.bytes(32);
  }

  /** Counts a try before it is made. Seconds to wait when there were too many, otherwise undefined. */
  async enter(address: string, name: string): Promise<number | undefined> {
    return (
      (await consume(this.#addresses, this.#key(networkOf(address)))) ??
      (await consume(this.#names, this.#key(name)))
    );
  }

  /** The try was right: it and the ones before it no longer count. */
  async succeeded(address: string, name: string): Promise<void> {
    await this.#addresses.reward(this.#key(networkOf(address)));
    await this.#names.delete(this.#key(name));
  }

  #key(text: string): string {
    return createHmac('sha256', this.#secret).update(text).digest('hex').slice(0, 4);
  }
}

async function consume(limiter: RateLimiterMemory, key: string): Promise<number | undefined> {
  try {
    await limiter.consume(key);
    return undefined;
  } catch (refused) {
    if (refused instanceof RateLimiterRes)
      return Math.max(1, Math.ceil(refused.msBeforeNext / 1000));
    throw refused;
  }
}
