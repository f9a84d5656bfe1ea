// Writes files made from schemas: the JSON schema of vehicle files for editors, and two pages of the documentation.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { httpPage } from '../src/contract/http-page.ts';
import { vehicleJsonSchema } from '../src/vehicle/json-schema.ts';
import { vehicleFilePage } from '../src/vehicle/reference-page.ts';

const root = path.resolve(import.meta.dirname, '..');
const texts = {
  'src/vehicle/vehicle.schema.json': `${JSON.stringify(vehicleJsonSchema(), null, 2)}\n`,
  'docs/vehicle-file.md': vehicleFilePage(),
  'docs/http-paths.md': httpPage(),
};
for (const [file, text] of Object.entries(texts)) {
  writeFileSync(path.join(root, file), text);
  process.stdout.write(`${file}\n`);
}
