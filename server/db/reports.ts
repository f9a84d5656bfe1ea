// What vehicles report after a campaign: outcome and version per ECU, the last ones of each vehicle.

import type { CampaignStore } from './campaigns.ts';
import type { Database } from './database.ts';
import { keepNewest } from './keep-newest.ts';

/** Reports kept of one vehicle, and of all together: vehicles do not log in, so what they fill has an end. */
const KEEP_PER_VIN = 100;
const KEEP_ALL = 200_000;
const PRUNE_ALL_EVERY = 500;

export interface ReportEcu {
  readonly name: string;
  readonly hardwareId: string | undefined;
  readonly from: string | undefined;
  readonly version: string | undefined;
  readonly sha256: string | undefined;
  readonly error: string | undefined;
}

export interface Report {
  readonly vin: string;
  readonly outcome: string;
  /** Finer than the outcome: FREEZE. */
  readonly code: string | undefined;
  readonly campaign: string | undefined;
  readonly reason: string | undefined;
  readonly warnings: readonly string[];
  readonly ecus: readonly ReportEcu[];
}

export interface StoredReport extends Report {
  readonly id: string;
  readonly address: string;
  readonly receivedAt: string;
}

export class ReportStore {
  readonly #db: Database;
  readonly #campaigns: CampaignStore;
  #sincePrune = PRUNE_ALL_EVERY;

  constructor(db: Database, campaigns: CampaignStore) {
    this.#db = db;
    this.#campaigns = campaigns;
  }

  /**
   * False where this outcome of this campaign was stored before: a vehicle that did not get our answer says it again.
   * A campaign may have two outcomes: the way back failed, and came to its end later.
   */
  async add(report: Report, address: string): Promise<boolean> {
    const id = this.#db.newId();
    const { vin, campaign, outcome } = report;
    const added = await this.#db.query.transaction().execute(async (transaction) => {
      if (campaign !== undefined) {
        const known = await transaction
          .selectFrom('reports')
          .select('id')
          .where('vin', '=', vin)
          .where('campaign', '=', campaign)
          .where('outcome', '=', outcome)
          .executeTakeFirst();
        if (known !== undefined) return false;
        await this.#campaigns.reported(transaction, vin, campaign, outcome);
      }
      await transaction
        .insertInto('reports')
        .values({
          id,
          vin: report.vin,
          address,
          outcome: report.outcome,
          code: report.code ?? null,
          campaign: report.campaign ?? null,
          reason: report.reason ?? null,
          warnings: report.warnings.length === 0 ? null : JSON.stringify(report.warnings),
          received_at: this.#db.timestamp(),
        })
        .execute();
      if (report.ecus.length > 0) {
        await transaction
          .insertInto('report_ecus')
          .values(
            report.ecus.map((ecu, position) => ({
              report_id: id,
              position,
              name: ecu.name,
              hardware_id: ecu.hardwareId ?? null,
              from_version: ecu.from ?? null,
              version: ecu.version ?? null,
              sha256: ecu.sha256 ?? null,
              error: ecu.error ?? null,
            })),
          )
          .execute();
      }
      await keepNewest(transaction, 'reports', KEEP_PER_VIN, { column: 'vin', value: report.vin });
      return true;
    });
    if (added) await this.#pruneAll();
    return added;
  }

  /** The last reports, newest first; of one vehicle when `vin` is given. */
  async latest(limit: number, vin?: string): Promise<StoredReport[]> {
    let select = this.#db.query.selectFrom('reports').selectAll().orderBy('id', 'desc');
    if (vin !== undefined) select = select.where('vin', '=', vin);
    return this.#withEcus(await select.limit(limit).execute());
  }

  /** The last report of each vehicle, the vehicle heard most recently first. */
  async vehicles(limit: number): Promise<StoredReport[]> {
    const newest = this.#db.query
      .selectFrom('reports')
      .select((select) => select.fn.max('id').as('id'))
      .groupBy('vin');
    const rows = await this.#db.query
      .selectFrom('reports')
      .selectAll()
      .where('id', 'in', newest)
      .orderBy('id', 'desc')
      .limit(limit)
      .execute();
    return this.#withEcus(rows);
  }

  async #withEcus(
    rows: readonly {
      id: string;
      vin: string;
      address: string;
      outcome: string;
      code: string | null;
      campaign: string | null;
      reason: string | null;
      warnings: string | null;
      received_at: string;
    }[],
  ): Promise<StoredReport[]> {
    if (rows.length === 0) return [];
    const ecus = await this.#db.query
      .selectFrom('report_ecus')
      .selectAll()
      .where(
        'report_id',
        'in',
        rows.map((row) => row.id),
      )
      .orderBy('position')
      .execute();
    const byReport = Map.groupBy(ecus, (ecu) => ecu.report_id);
    return rows.map((row) => ({
      id: row.id,
      vin: row.vin,
      address: row.address,
      outcome: row.outcome,
      code: row.code ?? undefined,
      campaign: row.campaign ?? undefined,
      reason: row.reason ?? undefined,
      warnings: row.warnings === null ? [] : (JSON.parse(row.warnings) as string[]),
      receivedAt: row.received_at,
      ecus: (byReport.get(row.id) ?? []).map((ecu) => ({
        name: ecu.name,
        hardwareId: ecu.hardware_id ?? undefined,
        from: ecu.from_version ?? undefined,
        version: ecu.version ?? undefined,
        sha256: ecu.sha256 ?? undefined,
        error: ecu.error ?? undefined,
      })),
    }));
  }

  async #pruneAll(): Promise<void> {
    if (++this.#sincePrune < PRUNE_ALL_EVERY) return;
    this.#sincePrune = 0;
    await keepNewest(this.#db.query, 'reports', KEEP_ALL);
  }
}
