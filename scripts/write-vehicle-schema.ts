// Writes the JSON schema of the vehicle description, which editors use to complete and check vehicle.yaml.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { vehicleJsonSchema } from '../src/vehicle/json-schema.ts';

const file = path.resolve(import.meta.dirname, '../src/vehicle/vehicle.schema.json');
writeFileSync(file, `${JSON.stringify(vehicleJsonSchema(), null, 2)}\n`);
process.stdout.write(`${path.relative(process.cwd(), file)}\n`);
