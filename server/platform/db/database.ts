// Opens the database of a data folder, brings its schema up to date, and hands out sortable identifiers.

import path from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { Kysely, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import { toHex } from '../../../src/core/bytes.ts';
import type { Clock } from '../../../src/core/clock.ts';
import type { Random } from '../../../src/core/random.ts';
import { DiskStorage } from '../../../src/core/storage.ts';
import { ServerError } from '../http/errors.ts';
import { databaseError } from './busy.ts';
import { migrations } from './migrations.ts';
import type { Schema } from './schema.ts';
import { NodeSqliteDialect } from './sqlite-dialect.ts';

/** What every store of this folder works on. */
export interface Database {
  readonly query: Kysely<Schema>;
  readonly clock: Clock;
  /** 28 characters that sort by time of creation within this process and, to the millisecond, across processes. */
  newId(): string;
  /** The time as the tables hold it; `offsetMs` from now. */
  timestamp(offsetMs?: number): string;
  /** Throws when the database does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Where the data is: a folder, or a database that the caller keeps open and closes himself. */
export type DataFolder = string | DatabaseSync;

/** In the data folder. */
export const DATABASE_FILE = 'can-ota.db';

/** Another process may be migrating the same file at this moment (a user command beside a starting server). */
const MIGRATION_TRIES = 3;

/**
 * Throws ServerError `DATABASE` when the file cannot be opened or is not a database. Of a given database the last one
 * who opened it is the only one who can still use it: what the one before has not committed is undone.
 */
export async function openDatabase(
  target: DataFolder,
  deps: { clock: Clock; random: Random },
): Promise<Database> {
  const file = typeof target === 'string' ? await privateFile(target, DATABASE_FILE) : target;
  const query = new Kysely<Schema>({ dialect: new NodeSqliteDialect(file, deps.clock) });
  let failure: unknown;
  for (let attempt = 0; attempt < MIGRATION_TRIES; attempt++) {
    const migrator = new Migrator({ db: query, provider: migrations });
    try {
      failure = (await migrator.migrateToLatest()).error;
    } catch (error) {
      failure = error;
    }
    if (failure === undefined) return database(query, deps);
  }
  await query.destroy();
  const known = databaseError(failure);
  if (known !== undefined) throw known;
  throw new ServerError(
    'DATABASE',
    `${typeof file === 'string' ? file : 'the given database'} cannot be used as the server's database: check its owner, the free space, and that it is a file of this or an older version`,
    failure,
  );
}

/**
 * The path of a file in the data folder, readable by its owner only even where the folder is open to others.
 * A file that exists is not touched: closing it here would drop the locks that SQLite holds on it.
 */
export async function privateFile(dataDir: string, name: string): Promise<string> {
  const storage = await DiskStorage.openOwn(dataDir);
  if (!(await storage.list('.')).includes(name)) await (await storage.open(name)).close();
  return path.join(storage.location, name);
}

function database(query: Kysely<Schema>, deps: { clock: Clock; random: Random }): Database {
  let lastMs = 0;
  let sequence = 0;
  return {
    query,
    clock: deps.clock,
    newId: () => {
      const nowMs = Math.max(lastMs, Math.floor(deps.clock.wallMs()));
      sequence = nowMs === lastMs ? sequence + 1 : 0;
      lastMs = nowMs;
      const time = nowMs.toString(16).padStart(12, '0');
      return `${time}${sequence.toString(16).padStart(6, '0')}${toHex(deps.random.bytes(5))}`;
    },
    timestamp: (offsetMs = 0) => new Date(deps.clock.wallMs() + offsetMs).toISOString(),
    ping: async () => {
      await sql`select 1`.execute(query);
    },
    close: () => query.destroy(),
  };
}
