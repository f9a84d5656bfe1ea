// Chunked downloads: one that is open for each device, and how the last ones ended.

import type { Database } from '../../platform/db/database.ts';
import { keepNewest } from '../../platform/db/keep-newest.ts';
import type { TransfersTable } from '../../platform/db/schema.ts';
import type { AuditLog } from '../audit/store.ts';
import type { Actor } from '../registry/store.ts';
import { type TransferRow, transferOf, transferStateOf } from './rows.ts';

export type NewTransfer = Pick<
  TransferRow,
  'serial' | 'packageId' | 'what' | 'image' | 'content' | 'length' | 'chunkBytes'
>;

/** How it ended, or that it was verified. */
export type TransferEnd = Pick<TransferRow, 'state'> &
  Partial<Pick<TransferRow, 'version' | 'code' | 'reason' | 'diagnostics'>>;

/** Transfers kept of one device. */
const KEEP_PER_DEVICE = 20;

export class TransferStore {
  readonly #db: Database;
  readonly #audit: AuditLog;

  constructor(db: Database, audit: AuditLog) {
    this.#db = db;
    this.#audit = audit;
  }

  /** Begins one, and ends the one that this device has open. Undefined when the package was withdrawn meanwhile. */
  async begin(wanted: NewTransfer, actor: Actor): Promise<TransferRow | undefined> {
    const { serial } = wanted;
    const now = this.#db.timestamp();
    const row: TransfersTable = {
      id: this.#db.newId(),
      serial,
      package_id: wanted.packageId ?? null,
      what: wanted.what,
      image: wanted.image,
      content: wanted.content,
      length: wanted.length,
      chunk_bytes: wanted.chunkBytes,
      state: 'downloading',
      asked: 0,
      version: null,
      code: null,
      reason: null,
      diagnostics: null,
      started_at: now,
      changed_at: now,
    };
    const begun = await this.#db.query.transaction().execute(async (transaction) => {
      if (wanted.packageId !== undefined) {
        const gone = await transaction
          .selectFrom('device_packages')
          .select('id')
          .where('id', '=', wanted.packageId)
          .where('withdrawn_at', 'is not', null)
          .executeTakeFirst();
        if (gone !== undefined) return false;
      }
      await transaction
        .updateTable('transfers')
        .set({ state: 'superseded', changed_at: now })
        .where('serial', '=', serial)
        .where('state', '=', 'downloading')
        .execute();
      await transaction.insertInto('transfers').values(row).execute();
      await keepNewest(transaction, 'transfers', KEEP_PER_DEVICE, {
        column: 'serial',
        value: serial,
      });
      await this.#audit.add(transaction, {
        action: 'transfer.started',
        ...actor,
        detail: `${wanted.what}, ${wanted.length} bytes`,
      });
      return true;
    });
    return begun ? transferOf(row) : undefined;
  }

  /** Undefined when this device has no such transfer (any more). */
  async find(serial: string, id: string): Promise<TransferRow | undefined> {
    const row = await this.#db.query
      .selectFrom('transfers')
      .selectAll()
      .where('id', '=', id)
      .where('serial', '=', serial)
      .executeTakeFirst();
    return row === undefined ? undefined : transferOf(row);
  }

  /** The last one of a device. */
  async last(serial: string): Promise<TransferRow | undefined> {
    return (await this.list({ serial, limit: 1 }))[0];
  }

  /** Whether this device came back from this package the last time that it ran it. */
  async cameBack(serial: string, packageId: string): Promise<boolean> {
    const row = await this.#db.query
      .selectFrom('transfers')
      .select('state')
      .where('serial', '=', serial)
      .where('package_id', '=', packageId)
      .where('state', 'in', ['success', 'rolled-back'])
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst();
    return row !== undefined && transferStateOf(row).state === 'rolled-back';
  }

  /** The newest first. */
  async list(filter: {
    readonly serial?: string | undefined;
    readonly limit: number;
  }): Promise<TransferRow[]> {
    let select = this.#db.query.selectFrom('transfers').selectAll().orderBy('id', 'desc');
    if (filter.serial !== undefined) select = select.where('serial', '=', filter.serial);
    return (await select.limit(filter.limit).execute()).map(transferOf);
  }

  /** Goes on with another size of chunks: numbers mean something else from now on. */
  async setChunkBytes(id: string, chunkBytes: number): Promise<void> {
    await this.#db.query
      .updateTable('transfers')
      .set({ chunk_bytes: chunkBytes, asked: 0, changed_at: this.#db.timestamp() })
      .where('id', '=', id)
      .execute();
  }

  async setAsked(id: string, asked: number): Promise<void> {
    await this.#db.query
      .updateTable('transfers')
      .set({ asked, changed_at: this.#db.timestamp() })
      .where('id', '=', id)
      .where('asked', '<', asked)
      .execute();
  }

  async end(transfer: TransferRow, end: TransferEnd, actor: Actor): Promise<void> {
    await this.#db.query.transaction().execute(async (transaction) => {
      await transaction
        .updateTable('transfers')
        .set({
          state: end.state,
          version: end.version ?? transfer.version ?? null,
          code: end.code ?? null,
          reason: end.reason ?? null,
          diagnostics: end.diagnostics === undefined ? null : JSON.stringify(end.diagnostics),
          changed_at: this.#db.timestamp(),
        })
        .where('id', '=', transfer.id)
        .execute();
      const why = [end.code, end.reason].filter((part) => part !== undefined).join(': ');
      await this.#audit.add(transaction, {
        action: 'transfer.ended',
        ...actor,
        detail: `${transfer.what}: ${end.state}${why === '' ? '' : `, ${why}`}`,
      });
    });
  }
}
