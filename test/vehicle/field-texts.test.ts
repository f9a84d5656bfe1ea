// Each field of a vehicle file has a sentence, and the published schema and page are what the code makes of them.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { FIELD_TEXTS } from '../../src/vehicle/field-texts.ts';
import { fieldPaths } from '../../src/vehicle/json-schema.ts';
import { vehicleFilePage } from '../../src/vehicle/reference-page.ts';

it('there is a sentence for each field, and none for a field that is not there', () => {
  expect([...FIELD_TEXTS.keys()].sort()).toEqual(fieldPaths().sort());
  const isSentence = (text: string): boolean => /^[A-Z0-9a-z].*\.$/.test(text);
  expect([...FIELD_TEXTS].filter(([, text]) => !isSentence(text))).toEqual([]);
});

it('docs/vehicle-file.md is made from the schema: npm run schema', () => {
  const page = path.resolve(import.meta.dirname, '../../docs/vehicle-file.md');
  expect(readFileSync(page, 'utf8')).toBe(vehicleFilePage());
});
