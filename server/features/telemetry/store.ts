// Measured data: batches are counted by their senders' numbers, the newest samples of each vehicle are kept.

import type { Kysely } from 'kysely';
import type { Batch, Sample } from '../../../src/contract/telemetry.ts';
import type { Database } from '../../platform/db/database.ts';
import { keepNewest } from '../../platform/db/keep-newest.ts';
import { total } from '../../platform/db/row.ts';
import type { Schema } from '../../platform/db/schema.ts';
import type { AuditLog } from '../audit/store.ts';
import { type StoredSample, sampleOf, senderOf } from './rows.ts';

/** Samples kept of one vehicle. */
const KEEP_SAMPLES = 20_000;
/** Senders kept of one vehicle: a new one begins with each new store of its data. */
const KEEP_SENDERS = 16;
/** Parameters of one statement are few; a sample has eleven. */
const ROWS_AT_ONCE = 64;

/** Over all senders of the vehicle that are known. */
export interface TelemetryCounts {
  readonly batches: number;
  readonly samples: number;
  /** Batches that came again, and were not counted again. */
  readonly duplicates: number;
  /** Batches that never came: a gap in the numbers. */
  readonly lost: number;
  /** Samples that the vehicle threw away because it had no room for them. */
  readonly dropped: number;
}

export interface SampleFilter {
  readonly did?: string | undefined;
  /** ISO 8601 in UTC; samples of this time are included. */
  readonly since?: string | undefined;
  readonly limit: number;
}

export class TelemetryStore {
  readonly #db: Database;
  readonly #audit: AuditLog;

  constructor(db: Database, audit: AuditLog) {
    this.#db = db;
    this.#audit = audit;
  }

  /** Returns the number up to which everything is here. A batch that is here already is not stored again. */
  async store(batch: Batch, address: string): Promise<number> {
    const { vin, sender, number, dropped, samples } = batch;
    return this.#db.query.transaction().execute(async (transaction) => {
      const known = await this.#sender(transaction, vin, sender);
      const now = this.#db.timestamp();
      if (number <= known.highest) {
        await transaction
          .updateTable('telemetry_senders')
          .set({ duplicates: known.duplicates + 1, heard_at: now })
          .where('id', '=', known.id)
          .execute();
        return known.highest;
      }
      const lost = number - known.highest - 1;
      await transaction
        .updateTable('telemetry_senders')
        .set({
          highest: number,
          batches: known.batches + 1,
          samples: known.samples + samples.length,
          lost: known.lost + lost,
          dropped: known.dropped + dropped,
          heard_at: now,
        })
        .where('id', '=', known.id)
        .execute();
      if (lost > 0) {
        await this.#audit.add(transaction, {
          action: 'telemetry.lost',
          ...{ who: vin, address },
          detail: `${lost} batches before number ${number} of ${sender} never came`,
        });
      }
      const rows = samples.map((sample) => this.#row(vin, sample, now));
      for (let from = 0; from < rows.length; from += ROWS_AT_ONCE) {
        await transaction
          .insertInto('telemetry_samples')
          .values(rows.slice(from, from + ROWS_AT_ONCE))
          .execute();
      }
      if (rows.length > 0) {
        const of = { column: 'vin', value: vin } as const;
        await keepNewest(transaction, 'telemetry_samples', KEEP_SAMPLES, of);
      }
      return number;
    });
  }

  /** The newest first. */
  async samples(vin: string, { did, since, limit }: SampleFilter): Promise<StoredSample[]> {
    let select = this.#db.query.selectFrom('telemetry_samples').selectAll().where('vin', '=', vin);
    if (did !== undefined) select = select.where('did', '=', did);
    if (since !== undefined) select = select.where('at', '>=', since);
    const rows = await select.orderBy('at', 'desc').orderBy('id', 'desc').limit(limit).execute();
    return rows.map(sampleOf);
  }

  /** Of each DID the sample that came last, by DID. */
  async latest(vin: string): Promise<StoredSample[]> {
    const newest = this.#db.query
      .selectFrom('telemetry_samples')
      .select(({ fn }) => fn.max('id').as('id'))
      .where('vin', '=', vin)
      .groupBy('did');
    const rows = await this.#db.query
      .selectFrom('telemetry_samples')
      .selectAll()
      .where('id', 'in', newest)
      .orderBy('did')
      .execute();
    return rows.map(sampleOf);
  }

  async counts(vin: string): Promise<TelemetryCounts> {
    const sums = await this.#db.query
      .selectFrom('telemetry_senders')
      .select(({ fn }) => [
        fn.sum<number | null>('batches').as('batches'),
        fn.sum<number | null>('samples').as('samples'),
        fn.sum<number | null>('duplicates').as('duplicates'),
        fn.sum<number | null>('lost').as('lost'),
        fn.sum<number | null>('dropped').as('dropped'),
      ])
      .where('vin', '=', vin)
      .executeTakeFirstOrThrow();
    return {
      batches: total('telemetry_senders', sums.batches),
      samples: total('telemetry_senders', sums.samples),
      duplicates: total('telemetry_senders', sums.duplicates),
      lost: total('telemetry_senders', sums.lost),
      dropped: total('telemetry_senders', sums.dropped),
    };
  }

  async #sender(
    transaction: Kysely<Schema>,
    vin: string,
    sender: string,
  ): Promise<Schema['telemetry_senders']> {
    const known = await transaction
      .selectFrom('telemetry_senders')
      .selectAll()
      .where('vin', '=', vin)
      .where('sender', '=', sender)
      .executeTakeFirst();
    if (known !== undefined) return senderOf(known);
    const row: Schema['telemetry_senders'] = {
      ...{ id: this.#db.newId(), vin, sender, highest: 0, batches: 0, samples: 0 },
      ...{ duplicates: 0, lost: 0, dropped: 0, heard_at: this.#db.timestamp() },
    };
    await transaction.insertInto('telemetry_senders').values(row).execute();
    const of = { column: 'vin', value: vin } as const;
    await keepNewest(transaction, 'telemetry_senders', KEEP_SENDERS, of);
    return row;
  }

  #row(vin: string, sample: Sample, now: string): Schema['telemetry_samples'] {
    return {
      id: this.#db.newId(),
      vin,
      did: sample.did,
      at: new Date(sample.at).toISOString(),
      count: sample.count,
      mean: sample.mean ?? null,
      min: sample.min ?? null,
      max: sample.max ?? null,
      unit: sample.unit ?? null,
      raw: sample.raw ?? null,
      received_at: now,
    };
  }
}
