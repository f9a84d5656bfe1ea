// Vehicles as the Director knows them: their state, what their ECUs said last, and what was signed for them.

import type { Transaction } from 'kysely';
import type { CheckinTelemetry } from '../../../src/contract/checkin-telemetry.ts';
import type { Database } from '../../platform/db/database.ts';
import { total } from '../../platform/db/row.ts';
import type { Schema } from '../../platform/db/schema.ts';
import type { AuditEvent, AuditLog } from '../audit/store.ts';
import {
  ecuReportOf,
  type FleetState,
  type StoredEcuReport,
  type VehicleRecord,
  vehicleFileOf,
  vehicleOf,
} from './rows.ts';

export type NewReport = Omit<StoredEcuReport, 'attackAt' | 'receivedAt'>;

export interface SignedVehicleFiles {
  readonly versions: {
    readonly targets: number;
    readonly snapshot: number;
    readonly timestamp: number;
  };
  /** Those of the versions that are new. */
  readonly files: Readonly<Partial<Record<'targets' | 'snapshot' | 'timestamp', Uint8Array>>>;
  readonly decisionSha256: string;
  readonly renewAt: string;
}

/** Versions kept of each role for a vehicle that is in the middle of a refresh. */
const KEEP_VERSIONS = 3;

export class VehicleStore {
  readonly #db: Database;
  readonly #audit: AuditLog;

  constructor(db: Database, audit: AuditLog) {
    this.#db = db;
    this.#audit = audit;
  }

  async find(vin: string): Promise<VehicleRecord | undefined> {
    const row = await this.#db.query
      .selectFrom('vehicles')
      .selectAll()
      .where('vin', '=', vin)
      .executeTakeFirst();
    return row === undefined ? undefined : vehicleOf(row);
  }

  async list(limit: number): Promise<VehicleRecord[]> {
    const rows = await this.#db.query
      .selectFrom('vehicles')
      .selectAll()
      .orderBy('checked_in_at', 'desc')
      .orderBy('vin')
      .limit(limit)
      .execute();
    return rows.map(vehicleOf);
  }

  /** Vehicles that have checked in, and how many of them are silent for longer than each of these times. */
  async silence<T extends string>(
    longerThanMs: Readonly<Record<T, number>>,
  ): Promise<{ readonly known: number } & Readonly<Record<T, number>>> {
    const count = async (before?: string): Promise<number> => {
      const select = this.#db.query
        .selectFrom('vehicles')
        .select(({ fn }) => fn.countAll<number>().as('vehicles'))
        .where('checked_in_at', 'is not', null);
      const row = await (before === undefined
        ? select
        : select.where('checked_in_at', '<', before)
      ).executeTakeFirstOrThrow();
      return total('vehicles', row.vehicles);
    };
    const silent = Object.entries<number>(longerThanMs).map(
      async ([name, ms]) => [name, await count(this.#db.timestamp(-ms))] as const,
    );
    const each = Object.fromEntries(await Promise.all(silent)) as Record<T, number>;
    return { known: await count(), ...each };
  }

  async reports(serials: readonly string[]): Promise<Map<string, StoredEcuReport>> {
    if (serials.length === 0) return new Map();
    const rows = await this.#db.query
      .selectFrom('ecu_reports')
      .selectAll()
      .where('serial', 'in', serials)
      .execute();
    return new Map(rows.map(ecuReportOf).map((report) => [report.serial, report]));
  }

  /**
   * Stores what a manifest said that was found right. False when a counter is not higher than the stored one: another
   * request with the same reports was faster. Then nothing is stored.
   */
  async acceptManifest(manifest: {
    readonly vin: string;
    readonly sha256: string;
    readonly telemetry: CheckinTelemetry | undefined;
    readonly reports: readonly NewReport[];
    readonly attacks: readonly AuditEvent[];
  }): Promise<boolean> {
    const now = this.#db.timestamp();
    return this.#db.query
      .transaction()
      .execute(async (transaction) => {
        await this.#ensure(transaction, manifest.vin);
        for (const report of manifest.reports) {
          const row = {
            counter: report.counter,
            file: report.file,
            length: report.length,
            sha256: report.sha256,
            release_counter: report.releaseCounter,
            attack: report.attack,
            verified_time: report.time ?? null,
            received_at: now,
          };
          const attackAt = report.attack === '' ? {} : { attack_at: now };
          const result = await transaction
            .insertInto('ecu_reports')
            .values({ ...row, attack_at: null, ...attackAt, serial: report.serial })
            .onConflict((conflict) =>
              conflict
                .column('serial')
                .doUpdateSet({ ...row, ...attackAt })
                .where('ecu_reports.counter', '<', report.counter),
            )
            .executeTakeFirst();
          if (result.numInsertedOrUpdatedRows !== 1n) throw new CounterReused();
        }
        await transaction
          .updateTable('vehicles')
          .set({
            checked_in_at: now,
            manifest_sha256: manifest.sha256,
            ...(manifest.telemetry === undefined
              ? {}
              : { telemetry: JSON.stringify(manifest.telemetry), telemetry_at: now }),
          })
          .where('vin', '=', manifest.vin)
          .execute();
        for (const event of manifest.attacks) await this.#audit.add(transaction, event);
        return true;
      })
      .catch((error: unknown) => {
        if (error instanceof CounterReused) return false;
        throw error;
      });
  }

  /** Writes, and notes in the audit log, only what is new. */
  async setState(vin: string, state: FleetState, reason: string, address: string): Promise<void> {
    await this.#db.query.transaction().execute(async (transaction) => {
      const known = await this.#ensure(transaction, vin);
      if (known.state === state && known.reason === reason) return;
      const since = known.state === state ? {} : { state_since: this.#db.timestamp() };
      await transaction
        .updateTable('vehicles')
        .set({ state, reason, ...since })
        .where('vin', '=', vin)
        .execute();
      await this.#audit.add(transaction, {
        action: 'vehicle.state',
        who: vin,
        address,
        detail: `${state}${reason === '' ? '' : `: ${reason}`}`,
      });
    });
  }

  /** Durable when it resolves: no version is given out twice with other content, also after a power cut. */
  async storeSigned(vin: string, signed: SignedVehicleFiles): Promise<void> {
    const { versions, files } = signed;
    await this.#db.query.transaction().execute(async (transaction) => {
      await this.#ensure(transaction, vin);
      for (const role of ['targets', 'snapshot', 'timestamp'] as const) {
        const version = versions[role];
        const bytes = files[role];
        if (bytes === undefined) continue;
        await transaction
          .insertInto('vehicle_metadata')
          .values({ vin, role, version, bytes })
          .execute();
        await transaction
          .deleteFrom('vehicle_metadata')
          .where('vin', '=', vin)
          .where('role', '=', role)
          .where('version', '<=', version - KEEP_VERSIONS)
          .execute();
      }
      await transaction
        .updateTable('vehicles')
        .set({
          targets_version: versions.targets,
          snapshot_version: versions.snapshot,
          timestamp_version: versions.timestamp,
          decision_sha256: signed.decisionSha256,
          renew_at: signed.renewAt,
        })
        .where('vin', '=', vin)
        .execute();
    });
  }

  async file(vin: string, role: string, version: number): Promise<Uint8Array | undefined> {
    const row = await this.#db.query
      .selectFrom('vehicle_metadata')
      .select('bytes')
      .where('vin', '=', vin)
      .where('role', '=', role)
      .where('version', '=', version)
      .executeTakeFirst();
    return row === undefined ? undefined : vehicleFileOf(row).bytes;
  }

  async #ensure(transaction: Transaction<Schema>, vin: string): Promise<VehicleRecord> {
    await transaction
      .insertInto('vehicles')
      .values({
        vin,
        state: 'new',
        reason: '',
        state_since: this.#db.timestamp(),
        checked_in_at: null,
        manifest_sha256: null,
        telemetry: null,
        telemetry_at: null,
        decision_sha256: null,
        targets_version: 0,
        snapshot_version: 0,
        timestamp_version: 0,
        renew_at: null,
      })
      .onConflict((conflict) => conflict.column('vin').doNothing())
      .execute();
    const row = await transaction
      .selectFrom('vehicles')
      .selectAll()
      .where('vin', '=', vin)
      .executeTakeFirstOrThrow();
    return vehicleOf(row);
  }
}

/** Rolls the transaction back. */
class CounterReused extends Error {}
