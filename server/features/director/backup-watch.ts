// Which vehicles know more than this server does, for the log, /healthz and the pages.

import type { Logger } from '../../../src/core/logger.ts';
import type { Behind } from './behind.ts';

/** More than this are counted and not named. */
const NAMED = 1000;

interface Waiting {
  readonly what: string;
  /** What to say now: undefined when this server has caught up, which the vehicle may say much later. */
  readonly now: () => Behind | undefined;
}

export class BackupWatch {
  readonly #logger: Logger;
  /** By VIN. Ends with this process: a vehicle says it with each check-in. */
  readonly #behind = new Map<string, Waiting>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  isBehind(vin: string, { what, wayOut }: Behind, now: Waiting['now']): void {
    const isKnown = this.#behind.get(vin)?.what === what;
    if (isKnown || this.#behind.size >= NAMED) return;
    this.#behind.set(vin, { what, now });
    this.#logger.error(
      { vin, what },
      `a vehicle knows newer metadata than this server: it was restored from a backup. Nothing is signed for the vehicle; run ${wayOut}`,
    );
  }

  caughtUp(vin: string): void {
    this.#behind.delete(vin);
  }

  /** A sentence for people, without a VIN; undefined when all is well. */
  get notice(): string | undefined {
    const behind = [...this.#behind.values()].flatMap(({ now }) => now() ?? []);
    const [first] = behind;
    if (first === undefined) return undefined;
    const who = behind.length === 1 ? 'a vehicle knows' : `${behind.length} vehicles know`;
    const { what, wayOut } = first;
    return `This server was restored from a backup: ${who} newer metadata (${what}). Nothing is signed for them. Run ${wayOut}.`;
  }
}
