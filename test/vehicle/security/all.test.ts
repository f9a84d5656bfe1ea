// The list of algorithms: a file each, and all of them in the schema of the vehicle file.

import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { vehicleJsonSchema } from '../../../src/vehicle/json-schema.ts';
import { securitySchema } from '../../../src/vehicle/security/all.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../../src/vehicle/security');

const files = readdirSync(FOLDER)
  .map((file) => path.basename(file, '.ts'))
  .filter((name) => name !== 'all' && name !== 'algorithm');

it('names the algorithm of every file, and no other', () => {
  const listed = securitySchema.options.map(({ shape }) => shape.algorithm.value);
  expect([...listed].sort()).toEqual([...files, 'none'].sort());
});

it.each(files)('%s is in the published schema', (name) => {
  expect(JSON.stringify(vehicleJsonSchema())).toContain(`"const":"${name}"`);
});
