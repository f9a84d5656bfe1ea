// Sessions of devices by token. They outlast a restart of the server. Only hashes of the tokens are kept.

import { createHash } from 'node:crypto';
import type { Database } from '../../platform/db/database.ts';
import { total } from '../../platform/db/row.ts';
import { tokenOwnerOf } from './rows.ts';

/** A device that starts again leaves its last session behind; with more, the oldest ends. */
const TOKENS_PER_DEVICE = 2;
const PRUNE_EVERY_MS = 60_000;
/** A clock that was set back by more than this ends the sessions that were opened before. */
const FUTURE_MS = 60_000;

export class DeviceTokenStore {
  readonly #db: Database;
  #prunedMs = Number.NEGATIVE_INFINITY;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Returns when it expires. */
  async open(token: string, serial: string, lifeMs: number): Promise<string> {
    await this.#prune();
    const expiresAt = this.#db.timestamp(lifeMs);
    await this.#db.query.transaction().execute(async (transaction) => {
      const last = await transaction
        .selectFrom('device_tokens')
        .select((select) => select.fn.max('number').as('number'))
        .where('serial', '=', serial)
        .executeTakeFirstOrThrow();
      const number = total('device_tokens', last.number) + 1;
      await transaction
        .insertInto('device_tokens')
        .values({
          token_hash: hashOf(token),
          serial,
          number,
          opened_at: this.#db.timestamp(),
          expires_at: expiresAt,
        })
        .execute();
      await transaction
        .deleteFrom('device_tokens')
        .where('serial', '=', serial)
        .where('number', '<=', number - TOKENS_PER_DEVICE)
        .execute();
    });
    return expiresAt;
  }

  /** The serial behind a token that has not expired. Looked up by hash: how far a guess is right cannot be told from the time. */
  async serialOf(token: string): Promise<string | undefined> {
    const row = await this.#db.query
      .selectFrom('device_tokens')
      .select('serial')
      .where('token_hash', '=', hashOf(token))
      .where('expires_at', '>', this.#db.timestamp())
      .where('opened_at', '<=', this.#db.timestamp(FUTURE_MS))
      .executeTakeFirst();
    return row === undefined ? undefined : tokenOwnerOf(row).serial;
  }

  async end(serial: string): Promise<void> {
    await this.#db.query.deleteFrom('device_tokens').where('serial', '=', serial).execute();
  }

  async #prune(): Promise<void> {
    const nowMs = this.#db.clock.nowMs();
    if (nowMs - this.#prunedMs < PRUNE_EVERY_MS) return;
    this.#prunedMs = nowMs;
    await this.#db.query
      .deleteFrom('device_tokens')
      .where('expires_at', '<=', this.#db.timestamp())
      .execute();
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
