// Numbers that outlast a restart, each under its name.

import type { Kysely } from 'kysely';
import { count, tableRows, text } from './row.ts';
import type { Schema } from './schema.ts';

const { only } = tableRows('counters', { name: text, value: count });
const counterOf = only('value');

/** 0 for a number that was never set. */
export async function readCounter(query: Kysely<Schema>, name: string): Promise<number> {
  const row = await query
    .selectFrom('counters')
    .select('value')
    .where('name', '=', name)
    .executeTakeFirst();
  return row === undefined ? 0 : counterOf(row).value;
}

export async function setCounter(
  query: Kysely<Schema>,
  name: string,
  value: number,
): Promise<void> {
  await query
    .insertInto('counters')
    .values({ name, value })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
    .execute();
}

/** The next number after the last one; 1 for the first. One statement counts, so no number is given out twice. */
export async function nextNumber(query: Kysely<Schema>, name: string): Promise<number> {
  await query
    .insertInto('counters')
    .values({ name, value: 0 })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
  const row = await query
    .updateTable('counters')
    .set((set) => ({ value: set('value', '+', 1) }))
    .where('name', '=', name)
    .returning('value')
    .executeTakeFirstOrThrow();
  return counterOf(row).value;
}
