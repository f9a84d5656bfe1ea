// What operators want a vehicle to be configured as, in versions, and what the vehicle said about each.

import { isDeepStrictEqual } from 'node:util';
import type { Kysely } from 'kysely';
import type { WantedParameters } from '../../../src/contract/configuration.ts';
import type { ConfigurationReport } from '../../../src/contract/sync.ts';
import type { Database } from '../../platform/db/database.ts';
import type { Schema } from '../../platform/db/schema.ts';
import type { AuditLog } from '../audit/store.ts';
import type { Actor } from '../registry/store.ts';
import { configurationOf, type StoredConfiguration } from './rows.ts';
import { judgedVersionOf } from './vehicle-rows.ts';

/** Versions kept of one vehicle, each with its report. */
const KEEP_PER_VIN = 50;
/** The highest version that a vehicle is believed to have applied: a higher one would leave no room for the next. */
const HIGHEST_JUDGED = 2 ** 31;

export interface ConfigurationChange {
  readonly parameters: WantedParameters;
  readonly comment?: string | undefined;
  /** Only when this is the version that is wanted now; 0 for none. */
  readonly expected?: number | undefined;
}

export type ChangeResult =
  /** `same`: this is what was wanted already, and no new version. */
  | { readonly kind: 'changed' | 'same'; readonly configuration: StoredConfiguration }
  /** Another change came in between. */
  | { readonly kind: 'other-version'; readonly version: number };

export class ConfigurationStore {
  readonly #db: Database;
  readonly #audit: AuditLog;

  constructor(db: Database, audit: AuditLog) {
    this.#db = db;
    this.#audit = audit;
  }

  /** A new version, unless these parameters are what is wanted already. */
  async change(
    vin: string,
    { parameters, comment, expected }: ConfigurationChange,
    { who, address }: Actor,
  ): Promise<ChangeResult> {
    return this.#db.query.transaction().execute(async (transaction): Promise<ChangeResult> => {
      const last = await this.wanted(vin, transaction);
      const version = last?.version ?? 0;
      if (expected !== undefined && expected !== version) return { kind: 'other-version', version };
      if (last !== undefined && isSame(last.parameters, parameters)) {
        return { kind: 'same', configuration: last };
      }
      const row: Schema['configurations'] = {
        vin,
        // After a restore from an older copy a vehicle may know versions that are not stored here any more.
        version: Math.max(version, await this.judged(vin, transaction)) + 1,
        parameters: JSON.stringify(parameters),
        changed_by: who,
        changed_at: this.#db.timestamp(),
        comment: comment ?? null,
        results: null,
        in_force: null,
        judged_at: null,
        reported_at: null,
      };
      await transaction.insertInto('configurations').values(row).execute();
      await this.#audit.add(transaction, {
        action: 'config.changed',
        who,
        address,
        detail: `${vin}, version ${row.version}: ${differences(last?.parameters ?? {}, parameters)}`,
      });
      await transaction
        .deleteFrom('configurations')
        .where('vin', '=', vin)
        .where('version', '<=', row.version - KEEP_PER_VIN)
        .execute();
      return { kind: 'changed', configuration: configurationOf(row) };
    });
  }

  /** The newest version. */
  async wanted(
    vin: string,
    query: Kysely<Schema> = this.#db.query,
  ): Promise<StoredConfiguration | undefined> {
    const row = await query
      .selectFrom('configurations')
      .selectAll()
      .where('vin', '=', vin)
      .orderBy('version', 'desc')
      .limit(1)
      .executeTakeFirst();
    return row === undefined ? undefined : configurationOf(row);
  }

  /** The newest first. */
  async history(vin: string, limit = KEEP_PER_VIN): Promise<StoredConfiguration[]> {
    const rows = await this.#db.query
      .selectFrom('configurations')
      .selectAll()
      .where('vin', '=', vin)
      .orderBy('version', 'desc')
      .limit(limit)
      .execute();
    return rows.map(configurationOf);
  }

  /** The version that the vehicle says it has checked last, 0 for none. */
  async judged(vin: string, query: Kysely<Schema> = this.#db.query): Promise<number> {
    const row = await query
      .selectFrom('vehicle_services')
      .select('judged_version')
      .where('vin', '=', vin)
      .executeTakeFirst();
    return row === undefined ? 0 : judgedVersionOf(row).judged_version;
  }

  /** Takes in what the vehicle says in one contact; what was known already is not written again. */
  async heard(
    transaction: Kysely<Schema>,
    vin: string,
    { version, report }: { readonly version: number; readonly report?: ConfigurationReport },
    address: string,
  ): Promise<void> {
    if (version <= HIGHEST_JUDGED && (await this.judged(vin, transaction)) !== version) {
      await transaction
        .insertInto('vehicle_services')
        .values({
          ...{ vin, judged_version: version },
          ...{ catalogue: null, catalogue_digest: null, catalogue_at: null },
        })
        .onConflict((conflict) => conflict.column('vin').doUpdateSet({ judged_version: version }))
        .execute();
    }
    if (report === undefined) return;
    const told = {
      results: JSON.stringify(report.results),
      in_force: JSON.stringify(report.inForce),
      judged_at: report.at,
    };
    const result = await transaction
      .updateTable('configurations')
      .set({ ...told, reported_at: this.#db.timestamp() })
      .where('vin', '=', vin)
      .where('version', '=', report.version)
      // The acknowledgement was lost, and it is told again.
      .where((where) =>
        where.or([
          where('reported_at', 'is', null),
          where('results', '!=', told.results),
          where('in_force', '!=', told.in_force),
          where('judged_at', '!=', told.judged_at),
        ]),
      )
      .executeTakeFirst();
    if (result.numUpdatedRows !== 1n) return;
    const rejected = report.results.filter(({ status }) => status === 'rejected');
    const names = rejected.map(({ parameter }) => parameter).join(', ');
    await this.#audit.add(transaction, {
      action: 'config.reported',
      who: vin,
      address,
      detail: `version ${report.version}: ${names === '' ? 'all accepted' : `rejected ${names}`}`,
    });
  }
}

/** Whatever the order of names is. */
function isSame(known: WantedParameters, parameters: WantedParameters): boolean {
  return isDeepStrictEqual(known, JSON.parse(JSON.stringify(parameters)));
}

function differences(before: WantedParameters, after: WantedParameters): string {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const changed = names.filter(
    (name) => !isDeepStrictEqual(ownValue(before, name), ownValue(after, name)),
  );
  const texts = changed.map((name) =>
    Object.hasOwn(after, name) ? `${name}=${JSON.stringify(after[name])}` : `${name} left out`,
  );
  return texts.length === 0 ? 'no parameters' : texts.join(', ');
}

function ownValue(parameters: WantedParameters, name: string): unknown {
  return Object.hasOwn(parameters, name) ? parameters[name] : undefined;
}
