// Sessions of people, in the shape that koa-session asks of an external store.

import { createHash } from 'node:crypto';
import type { z } from 'zod';
import type { Database } from '../../platform/db/database.ts';
import { sessionData, sessionOf } from './rows.ts';

/** A session ends after this long without a request. */
export const SESSION_IDLE_MS = 8 * 60 * 60 * 1000;
/** A session ends this long after the log-in, whatever happens. */
const SESSION_LIFE_MS = 24 * 60 * 60 * 1000;
/** A session that only lives on is written at most this often. */
const TOUCH_AFTER_MS = 60_000;

type SessionData = z.output<typeof sessionData>;

export class SessionStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async get(id: string): Promise<SessionData | undefined> {
    const row = await this.#db.query
      .selectFrom('sessions')
      .select(['data', 'expires_at'])
      .where('id_hash', '=', hashOf(id))
      .where('created_at', '>', this.#db.timestamp(-SESSION_LIFE_MS))
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const { data, expires_at } = sessionOf(row);
    return expires_at <= this.#db.timestamp() ? undefined : data;
  }

  async set(id: string, data: unknown, _maxAge: number, how: { changed: boolean }): Promise<void> {
    const parsed = sessionData.safeParse(data);
    if (!parsed.success) return; // without a log-in there is nothing to store
    const idHash = hashOf(id);
    const expires = this.#db.timestamp(SESSION_IDLE_MS);
    if (!how.changed) {
      // Only an update: a request that outlives a log-out must not bring its session back.
      await this.#db.query
        .updateTable('sessions')
        .set({ expires_at: expires })
        .where('id_hash', '=', idHash)
        .where('expires_at', '<', this.#db.timestamp(SESSION_IDLE_MS - TOUCH_AFTER_MS))
        .execute();
      return;
    }
    await this.#db.query
      .deleteFrom('sessions')
      .where((where) =>
        where.or([
          where('expires_at', '<=', this.#db.timestamp()),
          where('created_at', '<=', this.#db.timestamp(-SESSION_LIFE_MS)),
        ]),
      )
      .execute();
    const row = { user_name: parsed.data.user, data: JSON.stringify(parsed.data) };
    await this.#db.query
      .insertInto('sessions')
      .values({
        ...row,
        id_hash: idHash,
        created_at: this.#db.timestamp(),
        expires_at: expires,
      })
      .onConflict((conflict) =>
        conflict.column('id_hash').doUpdateSet({ ...row, expires_at: expires }),
      )
      .execute();
  }

  async destroy(id: string): Promise<void> {
    await this.#db.query.deleteFrom('sessions').where('id_hash', '=', hashOf(id)).execute();
  }
}

function hashOf(id: string): string {
  return createHash('sha256').update(id).digest('hex');
}
