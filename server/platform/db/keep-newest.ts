// Tables do not grow without end: of each group only the newest rows are kept.

import { type Kysely, sql } from 'kysely';
import type { Schema } from './schema.ts';

/** A table whose `id` grows with time, and the columns by which its rows are told apart. */
type Table =
  | 'audit'
  | 'reports'
  | 'campaigns'
  | 'cancel_orders'
  | 'ask_orders'
  | 'sealed_sessions'
  | 'telemetry_senders'
  | 'telemetry_samples'
  | 'transfers';

/** Deletes all rows but the newest `keep`; with `of`, among those that have this value in this column. */
export async function keepNewest(
  query: Kysely<Schema>,
  table: Table,
  keep: number,
  of?: { readonly column: 'vin' | 'share' | 'serial'; readonly value: string },
): Promise<void> {
  const same = of === undefined ? sql`true` : sql`${sql.ref(of.column)} = ${of.value}`;
  const rows = sql.table(table);
  // With fewer rows the inner query has no id, and nothing is compared with it.
  await sql`
    delete from ${rows} where ${same} and id <= (
      select id from ${rows} where ${same} order by id desc limit 1 offset ${keep}
    )`.execute(query);
}
