// What operators order about campaigns: to cancel one that is under way, and to ask the driver again about one that was refused.

import type { Transaction } from 'kysely';
import type { Database } from '../../platform/db/database.ts';
import { keepNewest } from '../../platform/db/keep-newest.ts';
import type { Schema } from '../../platform/db/schema.ts';
import type { AuditLog } from '../audit/store.ts';
import type { Actor } from '../registry/store.ts';
import {
  askOrderOf,
  cancelOrderOf,
  type StoredAskOrder,
  type StoredCampaign,
  type StoredCancelOrder,
} from './rows.ts';
import type { CampaignStore } from './store.ts';

/** Orders of each kind that are kept of one vehicle. Only people and tools give any. */
const KEEP_PER_VIN = 20;
/** Ends of a campaign that the driver has chosen, or that came because the driver did not answer. */
const REFUSALS: ReadonlySet<string> = new Set(['USER_REJECTED', 'DEFERRED']);

export interface CancelAnswer {
  readonly order: string;
  readonly accepted: boolean;
  readonly reason: string;
}

export type OrderResult<Order, Impossible extends string> =
  /** `known`: an order that is still in force, and no second one. */
  | { readonly kind: 'ordered' | 'known'; readonly order: Order }
  /** `last`: the campaign that was heard of last. */
  | { readonly kind: Impossible; readonly last: StoredCampaign | undefined };

type Kind = 'ask' | 'cancel';
type Table = `${Kind}_orders`;

export class OrderStore {
  readonly #db: Database;
  readonly #audit: AuditLog;
  readonly #campaigns: CampaignStore;

  constructor(db: Database, audit: AuditLog, campaigns: CampaignStore) {
    this.#db = db;
    this.#audit = audit;
    this.#campaigns = campaigns;
  }

  /** Orders the end of the campaign that is under way, unless an order is open or accepted. */
  async cancel(
    vin: string,
    reason: string,
    actor: Actor,
  ): Promise<OrderResult<StoredCancelOrder, 'no-campaign'>> {
    return this.#db.query.transaction().execute(async (transaction) => {
      const last = await this.#campaigns.last(vin, transaction);
      if (last === undefined || last.endedAt !== undefined) return { kind: 'no-campaign', last };
      const given = await this.#ordersFor(transaction, 'cancel_orders', last)
        .where((where) => where.or([where('accepted', 'is', null), where('accepted', '=', 1)]))
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst();
      if (given !== undefined) return { kind: 'known', order: cancelOrderOf(given) };
      const row = {
        ...this.#order(last, reason, actor),
        ...{ accepted: null, answer: null, answered_at: null },
      };
      await transaction.insertInto('cancel_orders').values(row).execute();
      await this.#ordered(transaction, 'cancel', last, reason, actor);
      return { kind: 'ordered', order: cancelOrderOf(row) };
    });
  }

  /** Has the driver asked again about the campaign that he refused last. The next campaign of the vehicle spends the order. */
  async askAgain(
    vin: string,
    reason: string,
    actor: Actor,
  ): Promise<OrderResult<StoredAskOrder, 'no-refusal'>> {
    return this.#db.query.transaction().execute(async (transaction) => {
      const last = await this.#campaigns.last(vin, transaction);
      if (last?.endedAt === undefined || !REFUSALS.has(last.state)) {
        return { kind: 'no-refusal', last };
      }
      const given = await this.#ordersFor(transaction, 'ask_orders', last).executeTakeFirst();
      if (given !== undefined) return { kind: 'known', order: askOrderOf(given) };
      const row = this.#order(last, reason, actor);
      await transaction.insertInto('ask_orders').values(row).execute();
      await this.#ordered(transaction, 'ask', last, reason, actor);
      return { kind: 'ordered', order: askOrderOf(row) };
    });
  }

  /** The first answer counts; one to an order that this vehicle never had counts for nothing. */
  async answered(
    vin: string,
    { order, accepted, reason }: CancelAnswer,
    address: string,
  ): Promise<void> {
    await this.#db.query.transaction().execute(async (transaction) => {
      const result = await transaction
        .updateTable('cancel_orders')
        .set({
          accepted: accepted ? 1 : 0,
          answer: reason,
          answered_at: this.#db.timestamp(),
        })
        .where('id', '=', order)
        .where('vin', '=', vin)
        .where('accepted', 'is', null)
        .executeTakeFirst();
      if (result.numUpdatedRows !== 1n) return;
      await this.#audit.add(transaction, {
        action: 'cancel.answered',
        who: vin,
        address,
        detail: `${accepted ? 'accepted' : 'refused'}: ${reason}`,
      });
    });
  }

  /** The order to cancel that the vehicle has not answered. */
  async openCancel(vin: string, campaign: string): Promise<StoredCancelOrder | undefined> {
    const row = await this.#ordersFor(this.#db.query, 'cancel_orders', { vin, campaign })
      .where('accepted', 'is', null)
      .orderBy('id')
      .limit(1)
      .executeTakeFirst();
    return row === undefined ? undefined : cancelOrderOf(row);
  }

  /** What a vehicle hears that names a campaign which its driver has refused. Writes nothing. */
  async openAsk(vin: string, campaign: string): Promise<StoredAskOrder | undefined> {
    const row = await this.#ordersFor(this.#db.query, 'ask_orders', {
      vin,
      campaign,
    }).executeTakeFirst();
    return row === undefined ? undefined : askOrderOf(row);
  }

  /** Orders to cancel for a vehicle, the newest first. */
  async list(vin: string, limit = KEEP_PER_VIN): Promise<StoredCancelOrder[]> {
    const rows = await this.#db.query
      .selectFrom('cancel_orders')
      .selectAll()
      .where('vin', '=', vin)
      .orderBy('id', 'desc')
      .limit(limit)
      .execute();
    return rows.map(cancelOrderOf);
  }

  #ordersFor<T extends Table>(
    query: Database['query'],
    table: T,
    { vin, campaign }: { readonly vin: string; readonly campaign: string },
  ) {
    return query
      .selectFrom<Table>(table)
      .selectAll()
      .where('vin', '=', vin)
      .where('campaign', '=', campaign);
  }

  #order({ vin, campaign }: StoredCampaign, reason: string, { who }: Actor): Schema['ask_orders'] {
    return {
      ...{ id: this.#db.newId(), vin, campaign, reason },
      ...{ ordered_by: who, ordered_at: this.#db.timestamp() },
    };
  }

  async #ordered(
    transaction: Transaction<Schema>,
    kind: Kind,
    { vin, campaign }: StoredCampaign,
    reason: string,
    { who, address }: Actor,
  ): Promise<void> {
    await this.#audit.add(transaction, {
      action: `${kind}.ordered`,
      ...{ who, address },
      detail: `${vin}, campaign ${campaign}: ${reason}`,
    });
    await keepNewest(transaction, `${kind}_orders`, KEEP_PER_VIN, { column: 'vin', value: vin });
  }
}
