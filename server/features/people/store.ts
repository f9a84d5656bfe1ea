// People: names, roles and password hashes.

import type { Role } from '../../platform/auth/identity.ts';
import type { Database } from '../../platform/db/database.ts';
import { type User, type UserWithHash, userOf, userWithHashOf } from './rows.ts';

export class UserStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async find(name: string): Promise<UserWithHash | undefined> {
    const row = await this.#db.query
      .selectFrom('users')
      .selectAll()
      .where('name', '=', name)
      .executeTakeFirst();
    return row === undefined ? undefined : userWithHashOf(row);
  }

  /** False when the name is taken. */
  async add(name: string, role: Role, passwordHash: string): Promise<boolean> {
    const now = this.#db.timestamp();
    const result = await this.#db.query
      .insertInto('users')
      .values({ name, role, password_hash: passwordHash, created_at: now, changed_at: now })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .executeTakeFirst();
    return result.numInsertedOrUpdatedRows === 1n;
  }

  /** Ends the sessions of the user as well. False when there is no such user. */
  async setPassword(name: string, passwordHash: string): Promise<boolean> {
    return this.#db.query.transaction().execute(async (transaction) => {
      const result = await transaction
        .updateTable('users')
        .set({ password_hash: passwordHash, changed_at: this.#db.timestamp() })
        .where('name', '=', name)
        .executeTakeFirst();
      await transaction.deleteFrom('sessions').where('user_name', '=', name).execute();
      return result.numUpdatedRows === 1n;
    });
  }

  /** Sessions go with the user. False when there is no such user. */
  async remove(name: string): Promise<boolean> {
    const result = await this.#db.query
      .deleteFrom('users')
      .where('name', '=', name)
      .executeTakeFirst();
    return result.numDeletedRows === 1n;
  }

  async list(): Promise<User[]> {
    const rows = await this.#db.query
      .selectFrom('users')
      .select(['name', 'role', 'created_at'])
      .orderBy('name')
      .execute();
    return rows.map(userOf);
  }
}
