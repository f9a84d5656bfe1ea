// Kysely on Node's own SQLite: the one place that knows which database stands behind the queries.

import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDialect,
  SqliteDriver,
  type SqliteStatement,
} from 'kysely';
import type { Clock } from '../../../src/core/clock.ts';
import { describeError } from '../../../src/core/errors.ts';
import { type DatabaseHold, databaseError, PatientConnection } from './busy.ts';

/** Statements kept compiled; the server has some forty different ones. */
const STATEMENT_CACHE = 200;

class Statement implements SqliteStatement {
  readonly reader: boolean;
  readonly #statement: StatementSync;

  constructor(statement: StatementSync) {
    this.#statement = statement;
    this.reader = statement.columns().length > 0;
  }

  all(parameters: readonly unknown[]): unknown[] {
    return this.#statement.all(...(parameters as SQLInputValue[]));
  }

  run(parameters: readonly unknown[]): {
    changes: number | bigint;
    lastInsertRowid: number | bigint;
  } {
    return this.#statement.run(...(parameters as SQLInputValue[]));
  }

  iterate(parameters: readonly unknown[]): IterableIterator<unknown> {
    return this.#statement.iterate(...(parameters as SQLInputValue[]));
  }
}

class Connection implements SqliteDatabase {
  readonly #database: DatabaseSync;
  readonly #owned: boolean;
  readonly #statements = new Map<string, Statement>();
  #ended = false;

  constructor(database: DatabaseSync, owned: boolean) {
    this.#database = database;
    this.#owned = owned;
  }

  prepare(sql: string): SqliteStatement {
    if (this.#ended) throw new Error('the database was closed, or another server has taken it');
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      if (this.#statements.size >= STATEMENT_CACHE) this.#statements.clear();
      statement = new Statement(this.#database.prepare(sql));
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** From now on every query throws. */
  end(): void {
    this.#ended = true;
    this.#statements.clear();
  }

  close(): void {
    this.end();
    if (this.#owned) this.#database.close();
  }
}

class PatientDriver extends SqliteDriver {
  readonly #clock: Clock;
  readonly #held: DatabaseHold = { gaveUp: false };

  constructor(open: () => Promise<SqliteDatabase>, clock: Clock) {
    super({ database: open });
    this.#clock = clock;
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    return new PatientConnection(await super.acquireConnection(), this.#clock, this.#held);
  }

  // A deferred transaction that reads first fails when another process (the user commands) wrote in between.
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    // A full disk ends the transaction by itself; its own error must not be hidden by that of this.
    await super.rollbackTransaction(connection).catch((error: unknown) => {
      if (!/no transaction is active/.test(describeError(error))) throw error;
    });
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }
}

class TransactionalAdapter extends SqliteAdapter {
  // SQLite rolls schema changes back, so a migration that a power cut hits has not happened.
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

/**
 * A dialect over the file, which is created where it is missing; or over a database that the caller keeps. Such a one
 * serves one dialect at a time: the next one takes it over, as a server that is started after the last one was killed.
 */
export class NodeSqliteDialect extends SqliteDialect {
  readonly #open: () => Promise<SqliteDatabase>;
  readonly #clock: Clock;

  constructor(target: string | DatabaseSync, clock: Clock) {
    const open = async (): Promise<SqliteDatabase> =>
      typeof target === 'string' ? openFile(target) : takeOver(target);
    super({ database: open });
    this.#open = open;
    this.#clock = clock;
  }

  override createDriver(): Driver {
    return new PatientDriver(this.#open, this.#clock);
  }

  override createAdapter(): SqliteAdapter {
    return new TransactionalAdapter();
  }
}

/** While it is opened, nothing else is served yet. */
const OPEN_MS = 5000;

function openFile(file: string): SqliteDatabase {
  const database = new DatabaseSync(file, { timeout: OPEN_MS, enableForeignKeyConstraints: true });
  try {
    // FULL: what a client was told is stored is still there after a power cut.
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
    // From here on SQLite itself never waits: it would do so in the event loop.
    database.exec('PRAGMA busy_timeout = 0;');
  } catch (error) {
    database.close();
    throw error;
  }
  return new Connection(database, true);
}

const lastConnections = new WeakMap<DatabaseSync, Connection>();

function takeOver(database: DatabaseSync): SqliteDatabase {
  lastConnections.get(database)?.end();
  // What a killed server had begun is undone, as SQLite does it with the file of a killed process.
  if (database.isTransaction) database.exec('ROLLBACK');
  database.exec('PRAGMA foreign_keys = ON');
  const connection = new Connection(database, false);
  lastConnections.set(database, connection);
  return connection;
}

/** A lock that the kernel gives back when the process ends, however it ends. */
export interface FileLock {
  release(): void;
}

/**
 * Takes the lock file exclusively; undefined where another process (or object) holds it. Throws ServerError
 * `DATABASE_STORAGE`.
 */
export function lockFile(file: string): FileLock | undefined {
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    const known = databaseError(error);
    if (known?.code === 'DATABASE_BUSY') return undefined;
    throw known ?? error;
  }
  return { release: () => database.close() };
}
