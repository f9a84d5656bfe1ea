// Sealed sessions with devices, the last sequence number of each, and the keys that devices are changing to.

import { toHex } from '../../../src/core/bytes.ts';
import type { SealedSession } from '../../../src/trust/sealed-session.ts';
import type { Database } from '../../platform/db/database.ts';
import { keepNewest } from '../../platform/db/keep-newest.ts';
import type { AuditLog } from '../audit/store.ts';
import { nextKeyOf, openedOf, SESSION_COLUMNS, sealedSessionOf } from './rows.ts';
import type { Actor } from './store.ts';

/** The one in use, and the one before it, whose last messages may still be on their way. */
const SESSIONS_PER_DEVICE = 2;

export class SealedSessionStore {
  readonly #db: Database;
  readonly #audit: AuditLog;

  constructor(db: Database, audit: AuditLog) {
    this.#db = db;
    this.#audit = audit;
  }

  /**
   * Keeps a new session. `counter` is the device's own number of it: one that is not higher than the last is that of a
   * device that has lost its state, or of a second device with the same key, and is on record. Returns the last one.
   */
  async open(
    session: SealedSession,
    counter: number,
    lifeMs: number,
    address: string,
  ): Promise<{ readonly expiresAt: string; readonly counter: number }> {
    const { id, serial, suite, secret } = session;
    const expiresAt = this.#db.timestamp(lifeMs);
    return this.#db.query.transaction().execute(async (transaction) => {
      const row = await transaction
        .selectFrom('device_keys')
        .select(['counter', 'twin_count'])
        .where('serial', '=', serial)
        .executeTakeFirst();
      const known = row === undefined ? { counter: 0, twin_count: 0 } : openedOf(row);
      const last = known.counter;
      if (counter <= last) {
        await this.#audit.add(transaction, {
          action: 'device.twin',
          who: serial,
          address,
          detail:
            `twin: session ${counter} after session ${last}: its state directory was copied and two devices use it, ` +
            'or an old state was restored',
        });
      }
      const highest = Math.max(counter, last);
      const twin = counter <= last;
      const seen = {
        counter: highest,
        ...(twin ? { twin_count: known.twin_count + 1, twin_at: this.#db.timestamp() } : {}),
      };
      await transaction
        .insertInto('device_keys')
        .values({ serial, next_key: null, changed_at: null, twin_count: 0, twin_at: null, ...seen })
        .onConflict((conflict) => conflict.column('serial').doUpdateSet(seen))
        .execute();
      await transaction
        .insertInto('sealed_sessions')
        .values({
          id: this.#db.newId(),
          session: id,
          serial,
          suite,
          secret: toHex(secret),
          highest: 0,
          opened_at: this.#db.timestamp(),
          expires_at: expiresAt,
        })
        .execute();
      await keepNewest(transaction, 'sealed_sessions', SESSIONS_PER_DEVICE, {
        column: 'serial',
        value: serial,
      });
      return { expiresAt, counter: last };
    });
  }

  /** One that has not expired. */
  async find(id: string): Promise<SealedSession | undefined> {
    const row = await this.#db.query
      .selectFrom('sealed_sessions')
      .select(SESSION_COLUMNS)
      .where('session', '=', id)
      .where('expires_at', '>', this.#db.timestamp())
      .executeTakeFirst();
    return row === undefined ? undefined : sealedSessionOf(row);
  }

  /** Durably takes a sequence number; false when it, or a higher one, was taken before. */
  async take(id: string, sequence: number): Promise<boolean> {
    const result = await this.#db.query
      .updateTable('sealed_sessions')
      .set({ highest: sequence })
      .where('session', '=', id)
      .where('highest', '<', sequence)
      .executeTakeFirst();
    return result.numUpdatedRows === 1n;
  }

  async end(serial: string): Promise<void> {
    await this.#db.query.deleteFrom('sealed_sessions').where('serial', '=', serial).execute();
  }

  /** The key that a device may have changed to, hexadecimal. */
  async nextKey(serial: string): Promise<string | undefined> {
    const row = await this.#db.query
      .selectFrom('device_keys')
      .select('next_key')
      .where('serial', '=', serial)
      .executeTakeFirst();
    return row === undefined ? undefined : (nextKeyOf(row).next_key ?? undefined);
  }

  /** From now on the device may prove either key; a next one that it has never used is forgotten. */
  async propose(serial: string, nextKey: string): Promise<void> {
    const changes = { next_key: nextKey, changed_at: this.#db.timestamp() };
    await this.#db.query
      .insertInto('device_keys')
      .values({ serial, counter: 0, twin_count: 0, twin_at: null, ...changes })
      .onConflict((conflict) => conflict.column('serial').doUpdateSet(changes))
      .execute();
  }

  /** The device has proven the next key: the one before opens nothing any more. */
  async changeTo(serial: string, key: string, { who, address }: Actor): Promise<void> {
    await this.#db.query.transaction().execute(async (transaction) => {
      const result = await transaction
        .updateTable('device_keys')
        .set({ next_key: null, changed_at: this.#db.timestamp() })
        .where('serial', '=', serial)
        .where('next_key', '=', key)
        .executeTakeFirst();
      if (result.numUpdatedRows !== 1n) return;
      await transaction
        .updateTable('devices')
        .set({ device_secret_hash: key, updated_at: this.#db.timestamp() })
        .where('serial', '=', serial)
        .execute();
      await this.#audit.add(transaction, { action: 'device.key', who, address, detail: serial });
    });
  }
}
