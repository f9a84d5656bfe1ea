// The reader of rows: what a table holds passes, everything else is named.

import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { count, json, tableRows, text, total } from '../../server/platform/db/row.ts';

const rows = tableRows('counters', { name: text, value: count });

describe('tableRows', () => {
  it('hands out what fits', () => {
    expect(rows.read({ name: 'a', value: 3 })).toEqual({ name: 'a', value: 3 });
    expect(rows.only('value')({ value: 0 })).toEqual({ value: 0 });
  });

  it.each([
    [{ name: 'a', value: -1 }, 'table counters, column value'],
    [{ name: 'a', value: 1.5 }, 'table counters, column value'],
    [{ name: 'a', value: '3' }, 'table counters, column value'],
    [{ name: null, value: 3 }, 'table counters, column name'],
    [{ value: 3 }, 'table counters, column name'],
    [{ name: 'a', value: 3, more: 1 }, 'table counters, column more'],
  ])('names the column of %j', (row, where) => {
    expect(() => rows.read(row)).toThrow(where);
    expect(() => rows.read(row)).toThrow(expect.objectContaining({ code: 'DATABASE_ROW' }));
  });

  it('names the place inside of JSON', () => {
    const { read } = tableRows('counters', {
      name: json(z.object({ a: z.array(z.string()) })),
      value: count,
    });
    expect(read({ name: '{"a":["x"]}', value: 1 }).name).toEqual({ a: ['x'] });
    expect(() => read({ name: '{"a":["x",2]}', value: 1 })).toThrow(/column name: .* at a\.1/);
    expect(() => read({ name: '{', value: 1 })).toThrow('column name: expected JSON');
  });
});

describe('total', () => {
  it('takes what drivers give for sums, and names the table of anything else', () => {
    expect([null, 3, '12', 5n].map((value) => total('commands', value))).toEqual([0, 3, 12, 5]);
    expect(() => total('commands', 'many')).toThrow('table commands, column a sum');
  });
});
