// Which vehicles know more than this server does, for the log, /healthz and the pages.

import type { Logger } from '../../src/core/logger.ts';

/** More than this are counted and not named. */
const NAMED = 1000;

export class BackupWatch {
  readonly #logger: Logger;
  /** What each vehicle knows, and the way out. Ends with this process: a vehicle says it with each check-in. */
  readonly #behind = new Map<string, string>();
  #wayOut = '';

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  isBehind(vin: string, what: string, wayOut: string): void {
    this.#wayOut = wayOut;
    if (this.#behind.get(vin) === what || this.#behind.size >= NAMED) return;
    this.#behind.set(vin, what);
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
    const { size } = this.#behind;
    const [what] = this.#behind.values();
    if (what === undefined) return undefined;
    const who = size === 1 ? 'a vehicle knows' : `${size} vehicles know`;
    return `This server was restored from a backup: ${who} newer metadata (${what}). Nothing is signed for them. Run ${this.#wayOut}.`;
  }
}
