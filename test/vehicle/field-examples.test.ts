// Each field of a vehicle file has an example in docs/vehicle-file.md, and the loader accepts every example.

import { expect, it } from 'vitest';
import { readProfile } from '../../src/onboard/profiles.ts';
import { FIELD_EXAMPLES } from '../../src/vehicle/field-examples.ts';
import { fieldPaths } from '../../src/vehicle/json-schema.ts';
import { parseVehicle } from '../../src/vehicle/load.ts';
import { exampleVehicles, fieldsWithoutExample } from '../support/vehicle-examples.ts';

const PATHS = fieldPaths();

it('there is an example of each field in the blocks of its section', () => {
  expect(fieldsWithoutExample(PATHS, FIELD_EXAMPLES)).toEqual([]);
});

it('the first block is a whole vehicle file', () => {
  const [text = ''] = FIELD_EXAMPLES.get('') ?? [];
  expect(parseVehicle(text, 'The file').vin).toMatch(/./);
});

it.each(exampleVehicles(FIELD_EXAMPLES))('is accepted in a vehicle file: $label', ({ text }) => {
  expect(() => parseVehicle(text, 'example', (name) => readProfile(name, '.'))).not.toThrow();
});

it('blocks belong to sections of the page', () => {
  const isSection = (key: string): boolean =>
    key === '' || PATHS.some((path) => path.startsWith(`${key}.`));
  expect([...FIELD_EXAMPLES.keys()].filter((key) => !isSection(key))).toEqual([]);
});

it('a field that no block shows is named, with the place where its example is missing', () => {
  const examples = new Map([
    ['', ['vin: X\necus: [{ memory: {} }]']],
    ['ecus[].memory', ['memory: { gaps: { fill: 0xFF } }', 'memory: { regions: [{ size: 1 }] }']],
  ]);
  const shown = ['vin', 'ecus', 'ecus[]', 'ecus[].memory'];
  const below = ['gaps', 'gaps.fill', 'regions', 'regions[]', 'regions[].size'].map(
    (name) => `ecus[].memory.${name}`,
  );
  expect(fieldsWithoutExample([...shown, ...below], examples)).toEqual([]);
  // `memory` of the file's block does not count for a section that has blocks of its own.
  expect(fieldsWithoutExample([...shown, ...below, 'ecus[].memory.gaps.bridge'], examples)).toEqual(
    [
      "ecus[].memory.gaps.bridge has no example: add it to a block of 'ecus[].memory' in src/vehicle/field-examples.ts, or give its section a block there, then run npm run schema",
    ],
  );
});
