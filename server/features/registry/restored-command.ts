// What `can-ota server restored` does: data that came back from a backup goes on above all that was signed and given out since.

import { type Clock, systemClock } from '../../../src/core/clock.ts';
import { InputError } from '../../../src/core/errors.ts';
import { type Logger, silentLogger } from '../../../src/core/logger.ts';
import { type Random, systemRandom } from '../../../src/core/random.ts';
import { DiskStorage } from '../../../src/core/storage.ts';
import { readCounter, setCounter } from '../../platform/db/counters.ts';
import { enterLineage } from '../../platform/db/data-lineage.ts';
import {
  DATABASE_FILE,
  type Database,
  type DataFolder,
  openDatabase,
} from '../../platform/db/database.ts';
import { total } from '../../platform/db/row.ts';
import { AuditLog } from '../audit/store.ts';
import { VersionFloor } from '../director/version-floor.ts';
import { SERIAL_COUNTER } from './store.ts';

export interface Restored {
  /** New versions of Snapshot and Timestamp, and of Targets of the Director, are above this one. */
  readonly above: number;
  /** Serial numbers of new devices are above this one. */
  readonly serialsAbove: number;
  readonly endedSessions: number;
  /** Packages of small devices that are offered, as they were at the backup. */
  readonly packages: number;
}

/** Serial numbers after a restore count from seconds since this time: they stay short, and above those of every earlier one. */
const SERIALS_SINCE_MS = Date.UTC(2020, 0, 1);

/** What an operator has to do about packages of small devices. */
export const WITHDRAWN_SINCE =
  'Packages of small devices that were withdrawn since the backup are offered again: withdraw them again by can-ota release withdraw-device';

/** With or without a running server beside it, which goes on above with its next answer. Throws InputError. */
export async function declareRestored(
  data: DataFolder,
  options: { readonly clock?: Clock; readonly random?: Random } = {},
): Promise<Restored> {
  const clock = options.clock ?? systemClock;
  if (
    typeof data === 'string' &&
    !(await (await DiskStorage.open(data)).list('.')).includes(DATABASE_FILE)
  ) {
    throw new InputError('--data', `${data} holds no ${DATABASE_FILE}: put the backup back first`);
  }
  const db = await openDatabase(data, { clock, random: options.random ?? systemRandom });
  try {
    const audit = new AuditLog(db, silentLogger);
    return await goOnAbove(db, audit, { who: '', address: '' }, 'can-ota server restored');
  } finally {
    await db.close();
  }
}

/**
 * At the start of a server. A folder that was copied since the last start may have come back from a backup: then what it signs
 * goes on above what it may have signed since. That does no harm where it was only moved. `alone`: no vehicle checks in here,
 * so that nothing tells whether any of it was ever given out.
 */
export async function checkLineage(
  folder: string,
  {
    db,
    audit,
    logger,
    alone,
  }: {
    readonly db: Database;
    readonly audit: AuditLog;
    readonly logger: Logger;
    readonly alone: boolean;
  },
): Promise<void> {
  const lineage = await enterLineage(folder, db);
  if (lineage === 'same' || lineage === 'new') return;
  const served = await db.query
    .selectFrom('vehicles')
    .select('vin')
    .where('timestamp_version', '>', 0)
    .limit(1)
    .executeTakeFirst();
  if (served === undefined && !alone) return;
  const what =
    lineage === 'copied'
      ? 'the data folder is a copy (restored from a backup, or moved)'
      : 'the database is older than the last start of this server';
  const { above, packages } = await goOnAbove(db, audit, { who: '', address: '' }, what);
  logger.warn(
    { folder, above },
    `${what}: new versions of metadata go on above ${above}. Releases that were signed since the backup come back by can-ota release push.${packages === 0 ? '' : ` ${WITHDRAWN_SINCE}`}`,
  );
}

/**
 * One transaction. What is not stored here any more must not be given out a second time with other contents: versions of
 * metadata, serial numbers, sequence numbers of sealed sessions. Nonces that were used since would be good once more.
 */
async function goOnAbove(
  db: Database,
  audit: AuditLog,
  actor: { readonly who: string; readonly address: string },
  why: string,
): Promise<Restored> {
  return db.query.transaction().execute(async (transaction): Promise<Restored> => {
    const wallMs = db.clock.wallMs();
    const above = await new VersionFloor(db).raise(transaction, wallMs);
    const known = await readCounter(transaction, SERIAL_COUNTER);
    const seconds = Math.max(0, Math.floor((wallMs - SERIALS_SINCE_MS) / 1000));
    const serialsAbove = Math.max(known, seconds);
    await setCounter(transaction, SERIAL_COUNTER, serialsAbove);
    const ended = await transaction.deleteFrom('sealed_sessions').executeTakeFirst();
    const people = await transaction.deleteFrom('sessions').executeTakeFirst();
    await transaction.deleteFrom('nonces').execute();
    const endedSessions = Number(ended.numDeletedRows + people.numDeletedRows);
    await audit.add(transaction, {
      action: 'server.restored',
      ...actor,
      detail: `${why}: versions go on above ${above}, serial numbers above ${serialsAbove}`,
    });
    const offered = await transaction
      .selectFrom('device_packages')
      .select(({ fn }) => fn.countAll<number>().as('packages'))
      .where('withdrawn_at', 'is', null)
      .executeTakeFirstOrThrow();
    return {
      above,
      serialsAbove,
      endedSessions,
      packages: total('device_packages', offered.packages),
    };
  });
}
