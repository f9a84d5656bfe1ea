// What vehicles report after a campaign: outcome and version per ECU, the last ones of each vehicle.

import { sql } from 'kysely';
import type { Database } from '../../platform/db/database.ts';
import { keepNewest } from '../../platform/db/keep-newest.ts';
import { total } from '../../platform/db/row.ts';
import type { CampaignStore } from '../campaigns/store.ts';
import {
  type ReceivedReport,
  reportEcuOf,
  reportOf,
  reportOwnerOf,
  type StoredReport,
} from './rows.ts';

/** Reports kept of one vehicle. */
const KEEP_PER_VIN = 100;
/** What the reports of logged-in vehicles and those of strangers may fill. Each has a share of its own. */
export const DEFAULT_REPORT_BYTES = { vehicles: 512 * 1024 * 1024, strangers: 16 * 1024 * 1024 };
/** After this part of a share the reports beyond the share are deleted. */
const PRUNE_PARTS = 16;
/** Row and indexes of a report, and of each ECU in it. */
const ROW_BYTES = 300;

export class ReportStore {
  readonly #db: Database;
  readonly #campaigns: CampaignStore;
  readonly #keep: typeof DEFAULT_REPORT_BYTES;
  /** Bytes that came since the last look, or more than that before the first one. */
  readonly #since = { vehicles: Number.POSITIVE_INFINITY, strangers: Number.POSITIVE_INFINITY };

  constructor(db: Database, campaigns: CampaignStore, keep = DEFAULT_REPORT_BYTES) {
    this.#db = db;
    this.#campaigns = campaigns;
    this.#keep = keep;
  }

  /**
   * False where this outcome of this campaign was stored before: a vehicle that did not get our answer says it again.
   * A campaign may have two outcomes: its rollback failed, and was completed later. `stranger`: the network that it
   * came from, where no device was logged in.
   */
  async add(report: ReceivedReport, address: string, stranger?: string): Promise<boolean> {
    const id = this.#db.newId();
    const bytes = bytesOf(report);
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
          bytes,
          stranger: stranger ?? null,
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
    if (added) await this.#prune(stranger === undefined ? 'vehicles' : 'strangers', bytes);
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

  async #withEcus(rows: readonly unknown[]): Promise<StoredReport[]> {
    const reports = rows.map(reportOf);
    if (reports.length === 0) return [];
    const ecus = await this.#db.query
      .selectFrom('report_ecus')
      .selectAll()
      .where(
        'report_id',
        'in',
        reports.map(({ id }) => id),
      )
      .orderBy('position')
      .execute();
    const byReport = Map.groupBy(ecus.map(reportEcuOf), ({ reportId }) => reportId);
    return reports.map((report) => ({
      ...report,
      ecus: (byReport.get(report.id) ?? []).map(({ reportId: _, ...ecu }) => ecu),
    }));
  }

  async #prune(share: keyof typeof DEFAULT_REPORT_BYTES, bytes: number): Promise<void> {
    this.#since[share] += bytes;
    const most = this.#keep[share];
    if (this.#since[share] < most / PRUNE_PARTS) return;
    this.#since[share] = 0;
    if (share === 'vehicles') await this.#keepNewest(sql`stranger is null`, most);
    else await this.#pruneStrangers(most);
  }

  /** The network that fills the most loses first: it cannot push out what others have told. */
  async #pruneStrangers(most: number): Promise<void> {
    const rows = await this.#db.query
      .selectFrom('reports')
      .select((select) => ['stranger', select.fn.sum<number | string>('bytes').as('bytes')])
      .where('stranger', 'is not', null)
      .groupBy('stranger')
      .execute();
    const held = rows.map(({ stranger, bytes }) => ({
      stranger: reportOwnerOf({ stranger }).stranger,
      bytes: total('reports', bytes),
    }));
    const share = fairShare(
      held.map(({ bytes }) => bytes),
      most,
    );
    for (const { stranger, bytes } of held) {
      if (bytes > share) await this.#keepNewest(sql`stranger = ${stranger}`, share);
    }
  }

  async #keepNewest(which: ReturnType<typeof sql>, most: number): Promise<void> {
    await sql`
      delete from reports where ${which} and id in (
        select id from (
          select id, sum(bytes) over (order by id desc) as total from reports where ${which}
        ) as sums where total > ${most}
      )`.execute(this.#db.query);
  }
}

/** The most that each may keep, so that all together keep at most `most`. */
function fairShare(amounts: readonly number[], most: number): number {
  let left = most;
  const sorted = [...amounts].sort((a, b) => a - b);
  for (const [index, amount] of sorted.entries()) {
    const share = left / (sorted.length - index);
    if (amount > share) return share;
    left -= amount;
  }
  return most;
}

/** What a report fills, about. */
function bytesOf(report: ReceivedReport): number {
  return Buffer.byteLength(JSON.stringify(report)) + ROW_BYTES * (1 + report.ecus.length);
}
