// The list of services: a row in each file, and each row in the list.

import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import type { ServiceRow } from '../../../src/uds/service-row.ts';
import { Sid, serviceOf, sidText } from '../../../src/uds/services/all.ts';
import { OTHER_SERVICES } from '../../../src/uds/services/other.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../../src/uds/services');
const files = readdirSync(FOLDER).filter((file) => file !== 'all.ts' && file !== 'other.ts');

const rowOf = async (file: string): Promise<ServiceRow> =>
  ((await import(path.join(FOLDER, file))) as { row: ServiceRow }).row;

it.each(files)('%s is in the list under its name', async (file) => {
  const row = await rowOf(file);
  expect(serviceOf(row.sid)).toBe(row);
  expect(Sid).toHaveProperty(row.name, row.sid);
  expect(sidText(row.sid)).toMatch(new RegExp(`^${row.name} \\(0x[0-9A-F]{2}\\)$`));
});

it('has each service identifier once, and no name without a file', () => {
  const codes = [...Object.values<number>(Sid), ...OTHER_SERVICES.map(({ sid }) => sid)];
  expect(new Set(codes).size).toBe(codes.length);
  expect(Object.keys(Sid)).toHaveLength(files.length);
  // 8.2.1: bit 6 marks responses.
  expect(codes.filter((code) => (code & 0x40) !== 0)).toEqual([]);
});

it.each(OTHER_SERVICES)('$name has a name in traces only', ({ sid }) => {
  expect(serviceOf(sid)).toBeDefined();
  expect(sidText(sid)).toMatch(/^service 0x/);
});
