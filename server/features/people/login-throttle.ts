// Slows down the guessing of passwords: it stops the one who guesses, and never the person whose password is guessed.

import { createHmac } from 'node:crypto';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Random } from '../../../src/core/random.ts';
import { networkOf } from '../../platform/auth/addresses.ts';

const WINDOW_SECONDS = 15 * 60;
/** Wrong passwords in the window. An address may be an office. */
const PER_ADDRESS = 30;
/** Wrong passwords of one address for one name, and of one known client. */
const PER_ASKER = 10;
/** For one name, of all addresses from which it has not logged in: against guessing from many addresses. */
const PER_NAME = 300;
/** Addresses with a successful log-in, remembered while the server runs. */
const KNOWN_ASKERS = 10_000;

/** Who tries to log in. */
export interface LoginTry {
  readonly address: string;
  readonly name: string;
  /** The id of a browser that has logged in under this name before, and can prove it. */
  readonly client: string | undefined;
}

/** The limit that was met, and the seconds until the next try. */
export interface Throttled {
  readonly asker: string;
  readonly waitSeconds: number;
}

/**
 * Keys are 16 bits of a keyed hash: never more than 65,536 counters of each kind, whatever names are tried, and
 * an outsider cannot look for a name that shares a counter with another.
 */
export class LoginThrottle {
  readonly #addresses = limiter('address', PER_ADDRESS);
  readonly #askers = limiter('asker', PER_ASKER);
  readonly #names = limiter('name', PER_NAME);
  readonly #secret: Uint8Array;
  /** Address and name of log-ins that succeeded, hashed; the oldest first. */
  readonly #known = new Set<string>();

  constructor(random: Random) {
    this.#secret = random.bytes(32);
  }

  /**
   * Counts a try before it is made. Undefined when it may be made. A try that one limit refuses counts for none of the
   * others: an asker that is stopped cannot use up what a name has.
   */
  async enter(login: LoginTry): Promise<Throttled | undefined> {
    const asker = this.#asker(login);
    const network = networkOf(login.address);
    // A known client counts by itself: others behind its address do not shut it out.
    const isKnown = login.client !== undefined || this.#known.has(this.#hash(asker));
    const limits: readonly (readonly [RateLimiterMemory, string])[] = [
      ...(login.client === undefined ? [[this.#addresses, network] as const] : []),
      [this.#askers, asker],
      ...(isKnown ? [] : [[this.#names, login.name] as const]),
    ];
    for (const [limiter, key] of limits) {
      const waitSeconds = await consume(limiter, this.#key(key));
      if (waitSeconds !== undefined) return { asker: network, waitSeconds };
    }
    return undefined;
  }

  /** The password was right: the try, and those of the asker before it, no longer count. */
  async succeeded(login: LoginTry): Promise<void> {
    const asker = this.#asker(login);
    await this.#askers.delete(this.#key(asker));
    const known = this.#hash(asker);
    if (login.client === undefined) {
      await this.#addresses.reward(this.#key(networkOf(login.address)));
      if (!this.#known.has(known)) await this.#names.reward(this.#key(login.name));
    }
    this.#known.delete(known);
    this.#known.add(known);
    for (const oldest of this.#known) {
      if (this.#known.size <= KNOWN_ASKERS) break;
      this.#known.delete(oldest);
    }
  }

  #asker({ address, name, client }: LoginTry): string {
    return JSON.stringify(client === undefined ? [networkOf(address), name] : [client]);
  }

  #key(text: string): string {
    return this.#hash(text).slice(0, 4);
  }

  #hash(text: string): string {
    return createHmac('sha256', this.#secret).update(text).digest('hex');
  }
}

function limiter(keyPrefix: string, points: number): RateLimiterMemory {
  return new RateLimiterMemory({ points, duration: WINDOW_SECONDS, keyPrefix });
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
