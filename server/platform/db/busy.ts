// A database that another program holds: short tries that leave the event loop free, then an error that says so.

import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely';
import { type Clock, sleep } from '../../../src/core/clock.ts';
import { ServerError } from '../http/errors.ts';

/** Pauses between the tries of one statement, together about a second. */
const PAUSES_MS = [5, 10, 20, 40, 80, 160, 300, 400];

/** What one database knows of being held. */
export interface DatabaseHold {
  /**
   * The last statement that needed the database had to give up. Until one gets through, each has one try: those who
   * stand behind it must not wait for each other's patience.
   */
  gaveUp: boolean;
}

/** The connection with patience for SQLITE_BUSY. Throws ServerError `DATABASE_BUSY` and `DATABASE_STORAGE`. */
export class PatientConnection implements DatabaseConnection {
  readonly #connection: DatabaseConnection;
  readonly #clock: Clock;
  readonly #held: DatabaseHold;

  constructor(connection: DatabaseConnection, clock: Clock, held: DatabaseHold) {
    this.#connection = connection;
    this.#clock = clock;
    this.#held = held;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const pauses = this.#held.gaveUp ? [] : PAUSES_MS;
    for (let tries = 0; ; tries++) {
      try {
        const result = await this.#connection.executeQuery<R>(query);
        // A read says nothing: it gets through while another program writes.
        if (result.numAffectedRows !== undefined || WRITES.has(query.query.kind)) {
          this.#held.gaveUp = false;
        }
        return result;
      } catch (error) {
        const known = databaseError(error);
        if (known === undefined) throw error;
        if (known.code !== 'DATABASE_BUSY') throw known;
        const pauseMs = pauses[tries];
        if (pauseMs === undefined) {
          this.#held.gaveUp = true;
          throw known;
        }
        await sleep(this.#clock, 'database-busy', pauseMs);
      }
    }
  }

  streamQuery<R>(query: CompiledQuery, chunkSize?: number): AsyncIterableIterator<QueryResult<R>> {
    // Kysely asks for a size and SQLite reads row by row: it takes none.
    return this.#connection.streamQuery<R>(query, chunkSize ?? 1);
  }
}

/** With RETURNING they answer with rows, as reads do. */
const WRITES: ReadonlySet<string> = new Set([
  'InsertQueryNode',
  'UpdateQueryNode',
  'DeleteQueryNode',
]);

const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;
/** SQLITE_PERM, SQLITE_READONLY, SQLITE_IOERR, SQLITE_CANTOPEN. */
const SQLITE_ACCESS: readonly unknown[] = [3, 8, 10, 14];

/** Undefined for anything but a database that is held, and storage that does not take or give its bytes. */
export function databaseError(error: unknown): ServerError | undefined {
  if (error instanceof ServerError && /^DATABASE_/.test(error.code)) return error;
  const given = (error as { errcode?: unknown } | null)?.errcode;
  // Without what extended codes add in the upper bits (SQLITE_BUSY_SNAPSHOT).
  const code = typeof given === 'number' ? given & 0xff : undefined;
  if (code === SQLITE_BUSY) {
    return new ServerError(
      'DATABASE_BUSY',
      'another program holds the database: end it (a backup, sqlite3) or wait, nothing is lost',
      error,
    );
  }
  if (code === SQLITE_FULL) {
    return new ServerError(
      'DATABASE_STORAGE',
      'the disk of the data folder is full: free some space, nothing is lost',
      error,
    );
  }
  if (!SQLITE_ACCESS.includes(code)) return undefined;
  return new ServerError(
    'DATABASE_STORAGE',
    'the database cannot be read or written: check owner and mode of the data folder, and its disk',
    error,
  );
}
