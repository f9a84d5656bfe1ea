// What operators want of campaigns: orders to cancel, and the one answer of the vehicle to each.

import type { Database } from '../../platform/db/database.ts';
import { keepNewest } from '../../platform/db/keep-newest.ts';
import type { Schema } from '../../platform/db/schema.ts';
import type { AuditLog } from '../audit/store.ts';
import type { Actor } from '../registry/store.ts';
import type { CampaignStore, StoredCampaign } from './store.ts';

/** Orders kept of one vehicle. Only people and tools give any. */
const KEEP_PER_VIN = 20;

export interface CancelAnswer {
  readonly order: string;
  readonly accepted: boolean;
  readonly reason: string;
}

export interface StoredOrder {
  readonly order: string;
  readonly vin: string;
  readonly campaign: string;
  readonly by: string;
  readonly reason: string;
  readonly orderedAt: string;
  readonly state: 'open' | 'accepted' | 'refused';
  /** Why, as the vehicle says it. */
  readonly answer: string | undefined;
  readonly answeredAt: string | undefined;
}

export type CancelOrderResult =
  /** `known`: the order that is open, or that the vehicle has accepted, and no second one. */
  | { readonly kind: 'ordered' | 'known'; readonly order: StoredOrder }
  /** `last`: the last one that was heard of. */
  | { readonly kind: 'no-campaign'; readonly last: StoredCampaign | undefined };

export class CancelOrderStore {
  readonly #db: Database;
  readonly #audit: AuditLog;
  readonly #campaigns: CampaignStore;

  constructor(db: Database, audit: AuditLog, campaigns: CampaignStore) {
    this.#db = db;
    this.#audit = audit;
    this.#campaigns = campaigns;
  }

  /** Orders the end of the campaign that is under way; asking twice makes no second order. */
  async cancel(vin: string, reason: string, { who, address }: Actor): Promise<CancelOrderResult> {
    return this.#db.query.transaction().execute(async (transaction): Promise<CancelOrderResult> => {
      const last = await this.#campaigns.last(vin, transaction);
      if (last === undefined || last.endedAt !== undefined) return { kind: 'no-campaign', last };
      const { campaign } = last;
      const given = await transaction
        .selectFrom('cancel_orders')
        .selectAll()
        .where('vin', '=', vin)
        .where('campaign', '=', campaign)
        .where((where) => where.or([where('accepted', 'is', null), where('accepted', '=', 1)]))
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst();
      if (given !== undefined) return { kind: 'known', order: orderOf(given) };
      const row: Schema['cancel_orders'] = {
        id: this.#db.newId(),
        vin,
        campaign,
        ordered_by: who,
        reason,
        ordered_at: this.#db.timestamp(),
        accepted: null,
        answer: null,
        answered_at: null,
      };
      await transaction.insertInto('cancel_orders').values(row).execute();
      await this.#audit.add(transaction, {
        action: 'cancel.ordered',
        who,
        address,
        detail: `${vin}, campaign ${campaign}: ${reason}`,
      });
      await keepNewest(transaction, 'cancel_orders', KEEP_PER_VIN, { column: 'vin', value: vin });
      return { kind: 'ordered', order: orderOf(row) };
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

  /** The order that the vehicle has not answered. */
  async open(vin: string, campaign: string): Promise<StoredOrder | undefined> {
    const row = await this.#db.query
      .selectFrom('cancel_orders')
      .selectAll()
      .where('vin', '=', vin)
      .where('campaign', '=', campaign)
      .where('accepted', 'is', null)
      .orderBy('id')
      .limit(1)
      .executeTakeFirst();
    return row === undefined ? undefined : orderOf(row);
  }

  /** Orders for a vehicle, the newest first. */
  async list(vin: string, limit = KEEP_PER_VIN): Promise<StoredOrder[]> {
    const rows = await this.#db.query
      .selectFrom('cancel_orders')
      .selectAll()
      .where('vin', '=', vin)
      .orderBy('id', 'desc')
      .limit(limit)
      .execute();
    return rows.map(orderOf);
  }
}

function orderOf(row: Schema['cancel_orders']): StoredOrder {
  return {
    order: row.id,
    vin: row.vin,
    campaign: row.campaign,
    by: row.ordered_by,
    reason: row.reason,
    orderedAt: row.ordered_at,
    state: row.accepted === null ? 'open' : row.accepted === 1 ? 'accepted' : 'refused',
    answer: row.answer ?? undefined,
    answeredAt: row.answered_at ?? undefined,
  };
}
