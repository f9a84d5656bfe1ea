// Rows as they come out of the database: each passes a strict schema once, and a damaged one is named in the error.

import { z } from 'zod';
import { ServerError } from '../http/errors.ts';
import type { Schema } from './schema.ts';

export const text = z.string();
/** ISO 8601 in UTC, as `Database.timestamp` writes it. */
export const time = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/, 'expected a time in UTC');
export const hex = z.string().regex(/^[0-9a-f]*$/, 'expected lower-case hexadecimal');
export const count = z.int().nonnegative();
/** Boolean columns: the tables know no other form. */
export const bit = z.literal([0, 1]);
export const bytes = z.instanceof(Uint8Array);

/** JSON text with a value of this form. */
export function json<T extends z.ZodType>(value: T) {
  return z
    .string()
    .transform((given, ctx): unknown => {
      try {
        return JSON.parse(given);
      } catch {
        ctx.addIssue({ code: 'custom', message: 'expected JSON' });
        return z.NEVER;
      }
    })
    .pipe(value);
}

type Shape<T extends keyof Schema> = { readonly [C in keyof Schema[T]]: z.ZodType };
type Values<S> = { [C in keyof S]: S[C] extends z.ZodType ? z.output<S[C]> : never };

export interface TableRows<S> {
  /** Throws ServerError `DATABASE_ROW`. */
  read(row: unknown): Values<S>;
  /** Reads rows of which these columns were selected. Made once a query: a schema costs more than its use. */
  only<C extends keyof S & string>(...columns: readonly C[]): (row: unknown) => Pick<Values<S>, C>;
}

/** The rows of one table; each of its columns has a schema. */
export function tableRows<T extends keyof Schema & string, S extends Shape<T>>(
  table: T,
  shape: S,
): TableRows<S> {
  const reader =
    <R>(schema: z.ZodType) =>
    (row: unknown): R => {
      const parsed = schema.safeParse(row);
      if (!parsed.success) throw damagedBy(table, parsed.error);
      return parsed.data as R;
    };
  return {
    read: reader(z.strictObject(shape as z.ZodRawShape)),
    only: (...columns) => {
      const picked = Object.entries(shape).filter(([name]) =>
        (columns as readonly string[]).includes(name),
      );
      return reader(z.strictObject(Object.fromEntries(picked) as z.ZodRawShape));
    },
  };
}

/**
 * A sum, a count or a maximum over rows of a table, 0 where there is none; drivers give large ones as text. Throws ServerError
 * `DATABASE_ROW`.
 */
export function total(table: keyof Schema, value: unknown): number {
  const number = value === null ? 0 : Number(value);
  if (Number.isFinite(number)) return number;
  throw damagedRow(table, 'a sum', `expected a number, got ${String(value).slice(0, 40)}`);
}

function damagedBy(table: keyof Schema, { issues }: z.ZodError): ServerError {
  const [first] = issues;
  if (first?.code === 'unrecognized_keys') {
    return damagedRow(table, first.keys.join(', '), 'no such column is known');
  }
  const [column = '', ...inside] = first?.path ?? [];
  const place = inside.length === 0 ? '' : ` at ${inside.join('.')}`;
  return damagedRow(table, String(column), `${first?.message ?? 'unexpected'}${place}`);
}

function damagedRow(table: keyof Schema, column: string, what: string): ServerError {
  return new ServerError(
    'DATABASE_ROW',
    `the database is damaged: table ${table}, column ${column}: ${what}. Restore the data folder from its last backup, or set ` +
      'the column right with sqlite3 while the server is stopped',
  );
}
