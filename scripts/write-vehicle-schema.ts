// Writes the JSON schema of the vehicle description, which editors use, and the reference page of vehicle files.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { vehicleFilePage, vehicleJsonSchema } from '../src/vehicle/json-schema.ts';

const root = path.resolve(import.meta.dirname, '..');
const texts = {
  'src/vehicle/vehicle.schema.json': `${JSON.stringify(vehicleJsonSchema(), null, 2)}\n`,
  'docs/vehicle-file.md': vehicleFilePage(),
};
for (const [file, text] of Object.entries(texts)) {
  writeFileSync(path.join(root, file), text);
  process.stdout.write(`${file}\n`);
}
