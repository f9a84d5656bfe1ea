// Commands to the ECUs of a vehicle: ordered, looked at and cancelled by operators. What the vehicle says is in contact.ts.

import { isDeepStrictEqual } from 'node:util';
import { type Kysely, sql } from 'kysely';
import {
  type Catalogue,
  type CheckedArguments,
  type CommandRequest,
  type CommandState,
  checkCommand,
  FINAL_STATES,
  isFinal,
  LONGEST_EXPIRY_S,
} from '../../../src/contract/command.ts';
import type { Database } from '../../platform/db/database.ts';
import { total } from '../../platform/db/row.ts';
import type { Schema } from '../../platform/db/schema.ts';
import type { AuditLog } from '../audit/store.ts';
import { catalogueOf } from '../configuration/vehicle-rows.ts';
import type { Actor } from '../registry/store.ts';
import { commandOf, OPEN_STATES, orderedCommandOf, type StoredCommand } from './rows.ts';

/** Commands kept of one vehicle that are over. */
const KEEP_PER_VIN = 500;
/** Commands of one vehicle that are not over. */
export const MAX_OPEN = 100;
/** A command that its vehicle never spoke of again is as good as over so long after its expiry. */
const FORGOTTEN_AFTER_MS = 30 * 24 * 3600_000;
const DEFAULT_EXPIRY_S = 3600;

export interface OrderedCommand extends CommandRequest {
  /** In place of `expiresAt`: from now, by our clock. */
  readonly expiresInS?: number | undefined;
}

export type CommandOrderResult =
  | { readonly kind: 'ordered'; readonly command: StoredCommand }
  /** The same request came before, under the same key. */
  | { readonly kind: 'known'; readonly command: StoredCommand }
  | NotOrdered;

export type NotOrdered =
  /** Another request came before under this key. */
  | { readonly kind: 'key-reused'; readonly command: StoredCommand }
  /** The vehicle has never told what its ECUs can do. */
  | { readonly kind: 'no-catalogue' }
  | { readonly kind: 'too-many' }
  | { readonly kind: 'expiry'; readonly reason: string }
  | { readonly kind: 'refused'; readonly refusal: Extract<CheckedArguments, { ok: false }> };

export type CancelResult =
  | { readonly kind: 'cancelled'; readonly command: StoredCommand }
  /** The vehicle may have it, and answers whether this was in time. */
  | { readonly kind: 'requested'; readonly command: StoredCommand }
  | { readonly kind: 'over'; readonly command: StoredCommand }
  | { readonly kind: 'unknown' };

export interface StoredCatalogue {
  readonly catalogue: Catalogue;
  readonly digest: string;
  readonly toldAt: string;
}

export class CommandStore {
  readonly #db: Database;
  readonly #audit: AuditLog;

  constructor(db: Database, audit: AuditLog) {
    this.#db = db;
    this.#audit = audit;
  }

  /** A new command, checked against what the vehicle says that its ECUs can do. */
  async order(
    vin: string,
    request: OrderedCommand,
    { who, address }: Actor,
  ): Promise<CommandOrderResult> {
    const { ecu, action, arguments: given, priority, key } = request;
    return this.#db.query
      .transaction()
      .execute(async (transaction): Promise<CommandOrderResult> => {
        await expireAtHome(transaction, this.#db, vin);
        const before = key === undefined ? undefined : await this.#byKey(transaction, vin, key);
        if (before !== undefined) {
          const { command, request: known } = orderedCommandOf(before);
          const isSame = isDeepStrictEqual(known, asked(request));
          return { kind: isSame ? 'known' : 'key-reused', command };
        }
        const told = await this.catalogue(vin, transaction);
        if (told === undefined) return { kind: 'no-catalogue' };
        const refusal = checkCommand(told.catalogue, request);
        if (!refusal.ok) return { kind: 'refused', refusal };
        const expiry = expiryOf(request, this.#db.clock.wallMs());
        if (!expiry.ok) return { kind: 'expiry', reason: expiry.reason };
        if ((await this.#countOpen(transaction, vin)) >= MAX_OPEN) return { kind: 'too-many' };
        const row: Schema['commands'] = {
          ...NEW_COMMAND,
          ...{ id: this.#db.newId(), vin, ecu, action, priority, key: key ?? null },
          arguments: JSON.stringify(given),
          expires_at: expiry.at,
          request: JSON.stringify(asked(request)),
          created_by: who,
          created_at: this.#db.timestamp(),
        };
        await transaction.insertInto('commands').values(row).execute();
        await this.#audit.add(transaction, {
          action: 'command.ordered',
          ...{ who, address },
          detail: `${vin}, ${row.id}: ${ecu} ${action} ${row.arguments}, until ${expiry.at}`,
        });
        await this.#prune(transaction, vin);
        return { kind: 'ordered', command: commandOf(row) };
      });
  }

  /** At once while it is here; what has left for the vehicle is asked back. */
  async cancel(vin: string, id: string, { who, address }: Actor): Promise<CancelResult> {
    return this.#db.query.transaction().execute(async (transaction): Promise<CancelResult> => {
      await expireAtHome(transaction, this.#db, vin);
      const known = await commandWith(transaction, vin, id);
      if (known === undefined) return { kind: 'unknown' };
      if (known.state === 'cancelled') return { kind: 'cancelled', command: known };
      if (isFinal(known.state)) return { kind: 'over', command: known };
      if (known.cancelledAt !== undefined) return { kind: 'requested', command: known };
      const isHere = known.state === 'pending' && known.handedOutAt === undefined;
      const now = this.#db.timestamp();
      const changed = await transaction
        .updateTable('commands')
        .set({
          cancelled_by: who,
          cancelled_at: now,
          ...(isHere ? { state: 'cancelled', ended_at: now } : {}),
        })
        .where('id', '=', id)
        .returningAll()
        .executeTakeFirstOrThrow();
      await this.#audit.add(transaction, {
        action: 'command.cancelled',
        ...{ who, address },
        detail: `${vin}, ${id}: ${isHere ? 'it had not left for the vehicle' : 'the vehicle is asked'}`,
      });
      return { kind: isHere ? 'cancelled' : 'requested', command: commandOf(changed) };
    });
  }

  async find(vin: string, id: string): Promise<StoredCommand | undefined> {
    await expireAtHome(this.#db.query, this.#db, vin);
    return commandWith(this.#db.query, vin, id);
  }

  /** The newest first. */
  async list(
    vin: string,
    { state, limit }: { readonly state?: CommandState | undefined; readonly limit: number },
  ): Promise<StoredCommand[]> {
    await expireAtHome(this.#db.query, this.#db, vin);
    let select = this.#db.query.selectFrom('commands').selectAll().where('vin', '=', vin);
    if (state !== undefined) select = select.where('state', '=', state);
    const rows = await select.orderBy('id', 'desc').limit(limit).execute();
    return rows.map(commandOf);
  }

  /** What the vehicle says that its ECUs can be told to do; undefined when it has never told. */
  async catalogue(
    vin: string,
    query: Kysely<Schema> = this.#db.query,
  ): Promise<StoredCatalogue | undefined> {
    const row = await query
      .selectFrom('vehicle_services')
      .select(['catalogue', 'catalogue_digest', 'catalogue_at'])
      .where('vin', '=', vin)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const { catalogue, catalogue_digest: digest, catalogue_at: toldAt } = catalogueOf(row);
    if (catalogue === null || digest === null || toldAt === null) return undefined;
    return { catalogue, digest, toldAt };
  }

  #byKey(query: Kysely<Schema>, vin: string, key: string): Promise<Schema['commands'] | undefined> {
    return query
      .selectFrom('commands')
      .selectAll()
      .where('vin', '=', vin)
      .where('key', '=', key)
      .executeTakeFirst();
  }

  async #countOpen(query: Kysely<Schema>, vin: string): Promise<number> {
    const { open } = await query
      .selectFrom('commands')
      .select(({ fn }) => fn.countAll<number>().as('open'))
      .where('vin', '=', vin)
      .where('state', 'in', OPEN_STATES)
      .where('expires_at', '>', this.#db.timestamp(-FORGOTTEN_AFTER_MS))
      .executeTakeFirstOrThrow();
    return total('commands', open);
  }

  async #prune(query: Kysely<Schema>, vin: string): Promise<void> {
    const forgotten = this.#db.timestamp(-FORGOTTEN_AFTER_MS);
    const over = sql`vin = ${vin} and (state in (${sql.join(FINAL_STATES)}) or expires_at <= ${forgotten})`;
    // With fewer rows the inner query has no id, and nothing is compared with it.
    await sql`
      delete from commands where ${over} and id <= (
        select id from commands where ${over} order by id desc limit 1 offset ${KEEP_PER_VIN}
      )`.execute(query);
  }
}

/**
 * Ends what was not begun in time and never left for the vehicle. What has left is for the vehicle to end: it may have
 * done it, and only the news of it is missing.
 */
export async function expireAtHome(
  query: Kysely<Schema>,
  db: Pick<Database, 'timestamp'>,
  vin: string,
): Promise<void> {
  const now = db.timestamp();
  await query
    .updateTable('commands')
    .set({
      ...{ state: 'expired', ended_at: now, code: 'EXPIRED' },
      reason: 'the vehicle did not come for it in time',
    })
    .where('vin', '=', vin)
    .where('state', '=', 'pending')
    .where('handed_out_at', 'is', null)
    .where('expires_at', '<=', now)
    .execute();
}

async function commandWith(
  query: Kysely<Schema>,
  vin: string,
  id: string,
): Promise<StoredCommand | undefined> {
  const row = await query
    .selectFrom('commands')
    .selectAll()
    .where('vin', '=', vin)
    .where('id', '=', id)
    .executeTakeFirst();
  return row === undefined ? undefined : commandOf(row);
}

const NEW_COMMAND = {
  ...{ state: 'pending', runs: 0 },
  ...{ handed_out_at: null, delivered_at: null, executing_at: null, ended_at: null },
  ...{ vehicle_at: null, cancelled_by: null, cancelled_at: null },
  ...{ code: null, reason: null, nrc: null, result: null },
};

/** What makes two requests the same: all that was said, and nothing that was added here. */
function asked(request: OrderedCommand): object {
  const { ecu, action, arguments: given, priority, expiresAt = null, expiresInS = null } = request;
  return { ecu, action, arguments: given, priority, expiresAt, expiresInS };
}

function expiryOf(
  { expiresAt, expiresInS = DEFAULT_EXPIRY_S }: OrderedCommand,
  nowMs: number,
): { readonly ok: true; readonly at: string } | { readonly ok: false; readonly reason: string } {
  const atMs = expiresAt === undefined ? nowMs + expiresInS * 1000 : Date.parse(expiresAt);
  if (!(atMs > nowMs)) {
    return { ok: false, reason: `${expiresAt} is over: expected a time that is still to come` };
  }
  if (atMs > nowMs + LONGEST_EXPIRY_S * 1000) {
    return { ok: false, reason: `${expiresAt} is too far away: at most 30 days from now` };
  }
  return { ok: true, at: new Date(atMs).toISOString() };
}
