// What operators want of a release that a driver has refused: the driver is asked again, once an order.

import type { Database } from '../../platform/db/database.ts';
import { keepNewest } from '../../platform/db/keep-newest.ts';
import type { Schema } from '../../platform/db/schema.ts';
import type { AuditLog } from '../audit/store.ts';
import type { Actor } from '../registry/store.ts';
import type { CampaignStore, StoredCampaign } from './store.ts';

/** Orders kept of one vehicle. Only people and tools give any. */
const KEEP_PER_VIN = 20;
/** Ends of a campaign that are the driver's word, or silence. */
const REFUSALS: ReadonlySet<string> = new Set(['USER_REJECTED', 'DEFERRED']);

export interface AskOrder {
  readonly vin: string;
  /** The campaign that the driver has refused. */
  readonly campaign: string;
  readonly by: string;
  readonly reason: string;
  readonly orderedAt: string;
}

export type AskResult =
  | { readonly kind: 'ordered' | 'known'; readonly order: AskOrder }
  | { readonly kind: 'no-refusal'; readonly last: StoredCampaign | undefined };

export class AskOrderStore {
  readonly #db: Database;
  readonly #audit: AuditLog;
  readonly #campaigns: CampaignStore;

  constructor(db: Database, audit: AuditLog, campaigns: CampaignStore) {
    this.#db = db;
    this.#audit = audit;
    this.#campaigns = campaigns;
  }

  /** For the campaign that the driver refused last. The next campaign of the vehicle spends the order. */
  async order(vin: string, reason: string, { who, address }: Actor): Promise<AskResult> {
    return this.#db.query.transaction().execute(async (transaction): Promise<AskResult> => {
      const last = await this.#campaigns.last(vin, transaction);
      if (last?.endedAt === undefined || !REFUSALS.has(last.state)) {
        return { kind: 'no-refusal', last };
      }
      const { campaign } = last;
      const given = await transaction
        .selectFrom('ask_orders')
        .selectAll()
        .where('vin', '=', vin)
        .where('campaign', '=', campaign)
        .executeTakeFirst();
      if (given !== undefined) return { kind: 'known', order: orderOf(given) };
      const row: Schema['ask_orders'] = {
        id: this.#db.newId(),
        vin,
        campaign,
        ordered_by: who,
        reason,
        ordered_at: this.#db.timestamp(),
      };
      await transaction.insertInto('ask_orders').values(row).execute();
      await this.#audit.add(transaction, {
        action: 'ask.ordered',
        who,
        address,
        detail: `${vin}, campaign ${campaign}: ${reason}`,
      });
      await keepNewest(transaction, 'ask_orders', KEEP_PER_VIN, { column: 'vin', value: vin });
      return { kind: 'ordered', order: orderOf(row) };
    });
  }

  /** What a vehicle hears that names a campaign which its driver has refused. Writes nothing. */
  async open(vin: string, campaign: string): Promise<AskOrder | undefined> {
    const row = await this.#db.query
      .selectFrom('ask_orders')
      .selectAll()
      .where('vin', '=', vin)
      .where('campaign', '=', campaign)
      .executeTakeFirst();
    return row === undefined ? undefined : orderOf(row);
  }
}

function orderOf(row: Schema['ask_orders']): AskOrder {
  return {
    vin: row.vin,
    campaign: row.campaign,
    by: row.ordered_by,
    reason: row.reason,
    orderedAt: row.ordered_at,
  };
}
