// The vehicle file: its published schema, and any text.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { InputError } from '../../src/core/errors.ts';
import { FIELD_EXAMPLES } from '../../src/vehicle/field-examples.ts';
import { vehicleJsonSchema } from '../../src/vehicle/json-schema.ts';
import { parseVehicle } from '../../src/vehicle/load.ts';
import { exampleVehicles } from '../support/vehicle-examples.ts';

const root = path.resolve(import.meta.dirname, '../..');
const benchText = readFileSync(path.join(root, 'ecus/bench-vehicle.yaml'), 'utf8');

describe('the published schema', () => {
  const published = readFileSync(path.join(root, 'src/vehicle/vehicle.schema.json'), 'utf8');
  const validate = new Ajv2020({ strict: false }).compile(JSON.parse(published));

  it('is up to date and accepts the bench vehicle', () => {
    expect(JSON.parse(published)).toEqual(JSON.parse(JSON.stringify(vehicleJsonSchema())));
    expect(validate(parse(benchText))).toBe(true);
    expect(validate({ vin: 'short' })).toBe(false);
  });

  it('accepts the examples of the reference, as the loader does', () => {
    for (const { label, text } of exampleVehicles(FIELD_EXAMPLES)) {
      validate(JSON.parse(text));
      expect(validate.errors ?? [], label).toEqual([]);
    }
  });
});

describe('bad vehicle files say where and what', () => {
  it('any text is read or refused with an InputError', () => {
    fc.assert(
      fc.property(
        fc.nat(benchText.length),
        fc.string({ maxLength: 8 }),
        fc.nat(40),
        (at, insert, cut) => {
          const mutated = benchText.slice(0, at) + insert + benchText.slice(at + cut);
          try {
            parseVehicle(mutated, 'v.yaml');
          } catch (error) {
            expect(error).toBeInstanceOf(InputError);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
