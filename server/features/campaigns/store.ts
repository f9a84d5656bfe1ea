// Campaigns as vehicles tell of them while they are under way.

import type { Kysely } from 'kysely';
import type { Database } from '../../platform/db/database.ts';
import { keepNewest } from '../../platform/db/keep-newest.ts';
import type { Schema } from '../../platform/db/schema.ts';
import { campaignOf, type StoredCampaign } from './rows.ts';

/** Campaigns kept of one vehicle, and of all together: vehicles may come without a log-in. */
const KEEP_PER_VIN = 20;
const KEEP_ALL = 200_000;
const PRUNE_ALL_EVERY = 500;
/** A vehicle that says the same again is written down at most this often. */
const TOUCH_AFTER_MS = 30_000;
/** The one outcome after which a campaign goes on: the vehicle tries the rollback again at each start. */
const STILL_OPEN = 'ROLLBACK_FAILED';
const OPEN_STATE = 'safe-state';

export class CampaignStore {
  readonly #db: Database;
  #sincePrune = PRUNE_ALL_EVERY;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Takes in where a campaign is. News of one whose outcome is known come late, and count for nothing. */
  async heard(vin: string, campaign: string, state: string): Promise<void> {
    const known = await this.#find(this.#db.query, vin, campaign);
    if (known === undefined) await this.#begin(this.#db.query, vin, campaign, state, undefined);
    else if (known.endedAt === undefined) await this.#touch(known, state);
  }

  /** The vehicle has reported an outcome. Inside the transaction that stores the report. */
  async reported(
    transaction: Kysely<Schema>,
    vin: string,
    campaign: string,
    outcome: string,
  ): Promise<void> {
    const now = this.#db.timestamp();
    const endedAt = outcome === STILL_OPEN ? undefined : now;
    const state = outcome === STILL_OPEN ? OPEN_STATE : outcome;
    if ((await this.#find(transaction, vin, campaign)) === undefined) {
      await this.#begin(transaction, vin, campaign, state, endedAt);
      return;
    }
    await transaction
      .updateTable('campaigns')
      .set({ state, heard_at: now, ended_at: endedAt ?? null })
      .where('vin', '=', vin)
      .where('campaign', '=', campaign)
      .execute();
  }

  /** The campaign that began last, ended or not. */
  async last(
    vin: string,
    query: Kysely<Schema> = this.#db.query,
  ): Promise<StoredCampaign | undefined> {
    const row = await query
      .selectFrom('campaigns')
      .selectAll()
      .where('vin', '=', vin)
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst();
    return row === undefined ? undefined : campaignOf(row);
  }

  /** Campaigns that are under way, of any vehicle: of each the one that began last. */
  async underWay(limit: number): Promise<StoredCampaign[]> {
    const newest = this.#db.query
      .selectFrom('campaigns')
      .select(({ fn }) => fn.max('id').as('id'))
      .groupBy('vin');
    const rows = await this.#db.query
      .selectFrom('campaigns')
      .selectAll()
      .where('id', 'in', newest)
      .where('ended_at', 'is', null)
      .orderBy('heard_at', 'desc')
      .limit(limit)
      .execute();
    return rows.map(campaignOf);
  }

  async #find(
    query: Kysely<Schema>,
    vin: string,
    campaign: string,
  ): Promise<StoredCampaign | undefined> {
    const row = await query
      .selectFrom('campaigns')
      .selectAll()
      .where('vin', '=', vin)
      .where('campaign', '=', campaign)
      .executeTakeFirst();
    return row === undefined ? undefined : campaignOf(row);
  }

  async #begin(
    query: Kysely<Schema>,
    vin: string,
    campaign: string,
    state: string,
    endedAt: string | undefined,
  ): Promise<void> {
    const now = this.#db.timestamp();
    await query
      .insertInto('campaigns')
      .values({
        ...{ id: this.#db.newId(), vin, campaign, state, started_at: now, heard_at: now },
        ended_at: endedAt ?? null,
      })
      // Another request of the same vehicle may have been faster.
      .onConflict((conflict) => conflict.columns(['vin', 'campaign']).doNothing())
      .execute();
    await this.#prune(query, vin);
  }

  async #touch(known: StoredCampaign, state: string): Promise<void> {
    const since = this.#db.timestamp(-TOUCH_AFTER_MS);
    if (known.state === state && known.heardAt > since) return;
    await this.#db.query
      .updateTable('campaigns')
      .set({ state, heard_at: this.#db.timestamp() })
      .where('vin', '=', known.vin)
      .where('campaign', '=', known.campaign)
      // Its report may have come meanwhile.
      .where('ended_at', 'is', null)
      .execute();
  }

  async #prune(query: Kysely<Schema>, vin: string): Promise<void> {
    await keepNewest(query, 'campaigns', KEEP_PER_VIN, { column: 'vin', value: vin });
    if (++this.#sincePrune < PRUNE_ALL_EVERY) return;
    this.#sincePrune = 0;
    await keepNewest(query, 'campaigns', KEEP_ALL);
  }
}
