// Watches the wall clock: jumps while the server runs, and times that were signed for vehicles and are not over yet.

import type { Clock } from '../../../src/core/clock.ts';
import { describeError } from '../../../src/core/errors.ts';
import type { Logger } from '../../../src/core/logger.ts';
import { readCounter, setCounter } from '../../platform/db/counters.ts';
import type { Database } from '../../platform/db/database.ts';
import type { AuditLog } from '../audit/store.ts';

/** A jump is more than what a time service corrects in passing. */
const JUMP_MS = 60_000;
/** How far the signed time may be ahead of the clock: that of one write ahead, and of a correction in passing. */
const TOLERANCE_MS = 5 * 60_000;
/** One write of the database sets so much time aside. */
const AHEAD_MS = 60_000;
/** How long a jump stands on the pages. */
const TOLD_MS = 24 * 3_600_000;

const MINUTE_MS = 60_000;

export interface ClockWatchParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly audit: AuditLog;
}

export class ClockWatch {
  readonly #parts: ClockWatchParts;
  /** Wall clock minus monotonic clock. */
  #offsetMs: number;
  #jump: { readonly byMs: number; readonly atMs: number; readonly at: string } | undefined;
  /** The latest time that a vehicle can have from the keys that sign the time. */
  readonly #signed = new Map<string, number>();
  /** The keys of now. */
  #keys = '';
  #toldBehind = false;

  constructor(parts: ClockWatchParts) {
    this.#parts = parts;
    this.#offsetMs = parts.clock.wallMs() - parts.clock.nowMs();
  }

  /** Looks at the clock; with every request. */
  look(): void {
    const { clock, logger, audit } = this.#parts;
    const offsetMs = clock.wallMs() - clock.nowMs();
    const byMs = offsetMs - this.#offsetMs;
    if (Math.abs(byMs) < JUMP_MS) {
      // Slow drift is followed, or a year of it would look like a jump.
      this.#offsetMs = offsetMs;
      return;
    }
    this.#offsetMs = offsetMs;
    const at = new Date(clock.wallMs()).toISOString();
    this.#jump = { byMs, atMs: clock.nowMs(), at };
    this.#toldBehind = false;
    const text = `the clock of this server jumped ${described(byMs)}, to ${at}`;
    logger.error(
      { byMs: Math.round(byMs), at },
      `${text}: check it, vehicles keep the time that it signs`,
    );
    void audit.record({ action: 'clock.jumped', address: '', detail: text });
    this.#tellBehind();
  }

  /** Before the time is signed by these keys: durable, so that a later start knows of it. Throws when it cannot be kept. */
  async signs(keyIds: readonly string[], timeMs: number): Promise<void> {
    await this.enter(keyIds);
    const known = this.#signed.get(this.#keys) ?? 0;
    if (timeMs <= known) return;
    const value = Math.ceil(timeMs + AHEAD_MS);
    await setCounter(this.#parts.db.query, this.#keys, value);
    this.#signed.set(this.#keys, value);
  }

  /** The keys that sign the time from now on. What other keys have signed is no floor of any vehicle any more. */
  async enter(keyIds: readonly string[]): Promise<void> {
    this.#keys = `time-signed:${[...keyIds].sort().join(',')}`;
    if (this.#signed.has(this.#keys)) return;
    const { db, logger } = this.#parts;
    const signedMs = await readCounter(db.query, this.#keys).catch((error: unknown) => {
      logger.error({ error: describeError(error) }, 'the signed time cannot be read');
      throw error;
    });
    this.#signed.set(this.#keys, signedMs);
    this.#tellBehind();
  }

  /** Sentences for people. */
  notices(): string[] {
    this.look();
    const { clock } = this.#parts;
    const behind = this.#behind();
    if (behind !== undefined) return [behind];
    const jump = this.#jump;
    if (jump === undefined || clock.nowMs() - jump.atMs > TOLD_MS) return [];
    return [
      `The clock of this server jumped ${described(jump.byMs)}, to ${jump.at}. Check it: vehicles that look now keep the time that it signs.`,
    ];
  }

  #behind(): string | undefined {
    const nowMs = this.#parts.clock.wallMs();
    const signedMs = this.#signed.get(this.#keys) ?? 0;
    if (signedMs - nowMs <= TOLERANCE_MS) return undefined;
    const [now, signed] = [nowMs, signedMs].map((ms) => new Date(ms).toISOString());
    return (
      `The clock of this server says ${now}, and it has signed times up to ${signed} for vehicles, which refuse earlier ones. ` +
      'If the clock is wrong now, set it. If it was wrong before, run can-ota keys reset-time.'
    );
  }

  #tellBehind(): void {
    const text = this.#behind();
    if (text === undefined || this.#toldBehind) return;
    this.#toldBehind = true;
    this.#parts.logger.error({}, text);
  }
}

function described(byMs: number): string {
  const minutes = Math.round(Math.abs(byMs) / MINUTE_MS);
  const amount =
    minutes >= 2880
      ? `${Math.round(minutes / 1440)} days`
      : minutes >= 120
        ? `${Math.round(minutes / 60)} hours`
        : minutes === 1
          ? 'a minute'
          : `${minutes} minutes`;
  return `${amount} ${byMs > 0 ? 'ahead' : 'back'}`;
}
