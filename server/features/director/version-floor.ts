// The number above which every new version of metadata goes on: raised when this data came back from a backup.

import type { Kysely } from 'kysely';
import { readCounter, setCounter } from '../../platform/db/counters.ts';
import type { Database } from '../../platform/db/database.ts';
import { total } from '../../platform/db/row.ts';
import type { Schema } from '../../platform/db/schema.ts';

const FLOOR = 'version-floor';

export class VersionFloor {
  readonly #db: Database;
  #latest = 0;

  constructor(db: Database) {
    this.#db = db;
  }

  /** As it was read last. */
  get latest(): number {
    return this.#latest;
  }

  /** 0 as long as nothing was ever restored. */
  async current(query: Kysely<Schema> = this.#db.query): Promise<number> {
    this.#latest = await readCounter(query, FLOOR);
    return this.#latest;
  }

  /**
   * Above everything that is stored here, and above what was signed after the backup was made and is not stored here any
   * more: seconds since 1970 are more than all versions that a server can have signed one after the other, and more than the
   * floor of every earlier restore.
   */
  async raise(query: Kysely<Schema>, wallMs: number): Promise<number> {
    const stored = await query
      .selectFrom('metadata')
      .select(({ fn }) => fn.max('version').as('version'))
      .where('role', 'in', ['snapshot', 'timestamp'])
      .executeTakeFirstOrThrow();
    const vehicles = await query
      .selectFrom('vehicles')
      .select(({ fn }) => [
        fn.max('targets_version').as('targets'),
        fn.max('snapshot_version').as('snapshot'),
        fn.max('timestamp_version').as('timestamp'),
      ])
      .executeTakeFirstOrThrow();
    const value = Math.max(
      Math.floor(wallMs / 1000),
      (await this.current(query)) + 1,
      total('metadata', stored.version),
      total('vehicles', vehicles.targets),
      total('vehicles', vehicles.snapshot),
      total('vehicles', vehicles.timestamp),
    );
    await setCounter(query, FLOOR, value);
    return value;
  }
}
