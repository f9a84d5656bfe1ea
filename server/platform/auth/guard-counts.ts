// What the guards against floods have done: how many requests each one refused, whom, and how long they have to wait.

import { present } from '../../../src/core/present.ts';

/** What a refused request was counted by. */
export const GUARDS = {
  identity: 'requests of a device with a session, or of a token',
  transfer: 'bytes of the chunked downloads of a device',
  address: 'requests of an address (IPv6: its /64) without an identity',
  anonymous: 'requests without an identity of all addresses together',
  nonce: 'open nonces of an address or device',
  stranger: 'reports of an address without an identity, before the first device is registered',
  login: 'wrong passwords of an address, or of an address for one name',
} as const;
export type Guard = keyof typeof GUARDS;
const NAMES = Object.keys(GUARDS) as Guard[];

/** Callers that are remembered by name; with more, the one that was refused longest ago is forgotten. */
const CALLERS = 1000;

export interface GuardTotals {
  readonly guard: Guard;
  readonly refused: number;
  /** Sum of the waits that were told. */
  readonly waitSeconds: number;
  /** Callers that have to wait now, of those that are remembered. */
  readonly waiting: number;
}

export interface SlowedCaller {
  readonly guard: Guard;
  /** A serial, `token NAME`, or a network. Empty for all together. */
  readonly caller: string;
  readonly refused: number;
  /** Seconds from now; 0 when the caller may ask again. */
  readonly leftSeconds: number;
  /** The longest wait that it was told. */
  readonly longestSeconds: number;
}

interface Entry {
  readonly guard: Guard;
  readonly caller: string;
  refused: number;
  untilMs: number;
  longestMs: number;
}

export class GuardCounts {
  readonly #totals = new Map(NAMES.map((guard) => [guard, { refused: 0, waitMs: 0 }]));
  readonly #callers = new Map<string, Entry>();

  refused(guard: Guard, caller: string, waitMs: number, nowMs: number): void {
    const total = present(this.#totals.get(guard), `the total of ${guard}`);
    total.refused++;
    total.waitMs += waitMs;
    const key = `${guard} ${caller}`;
    const entry = this.#callers.get(key) ?? { guard, caller, refused: 0, untilMs: 0, longestMs: 0 };
    entry.refused++;
    entry.untilMs = Math.max(entry.untilMs, nowMs + waitMs);
    entry.longestMs = Math.max(entry.longestMs, waitMs);
    // Behind all others: a map keeps the order in which its keys came.
    this.#callers.delete(key);
    this.#callers.set(key, entry);
    for (const oldest of this.#callers.keys()) {
      if (this.#callers.size <= CALLERS) break;
      this.#callers.delete(oldest);
    }
  }

  /** One for each guard. */
  totals(nowMs: number): GuardTotals[] {
    const waiting = Map.groupBy(
      [...this.#callers.values()].filter(({ untilMs }) => untilMs > nowMs),
      ({ guard }) => guard,
    );
    return [...this.#totals].map(([guard, { refused, waitMs }]) => ({
      guard,
      refused,
      waitSeconds: waitMs / 1000,
      waiting: waiting.get(guard)?.length ?? 0,
    }));
  }

  /** Those that were refused most often first. */
  callers(nowMs: number, limit: number): SlowedCaller[] {
    return [...this.#callers.values()]
      .sort((a, b) => b.refused - a.refused)
      .slice(0, limit)
      .map(({ guard, caller, refused, untilMs, longestMs }) => ({
        guard,
        caller,
        refused,
        leftSeconds: Math.max(0, untilMs - nowMs) / 1000,
        longestSeconds: longestMs / 1000,
      }));
  }
}
