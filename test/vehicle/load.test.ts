// The vehicle file: what is good is read, what is bad is named with its place.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { InputError } from '../../src/core/errors.ts';
import { vehicleJsonSchema } from '../../src/vehicle/json-schema.ts';
import { activationOrder, findEcu, parseVehicle } from '../../src/vehicle/load.ts';

const root = path.resolve(import.meta.dirname, '../..');
const benchText = readFileSync(path.join(root, 'ecus/bench-vehicle.yaml'), 'utf8');

const minimal = (ecus: string): string =>
  `vin: 1CANXTABENCH00001\nbuses: { main: {} }\necus:\n${ecus}`;
const ecu = (name: string, request: string, response: string, more = ''): string =>
  `  - { name: ${name}, hardwareId: HW, address: { mode: normal, request: ${request}, response: ${response}, functional: 0x7DF }${more} }\n`;

describe('the bench vehicle', () => {
  const vehicle = parseVehicle(benchText, 'bench-vehicle.yaml');

  it('has the four ECUs in the order of activation', () => {
    expect(activationOrder(vehicle).map((e) => e.name)).toEqual(['EDT', 'INV', 'BMS', 'CGW']);
    expect(vehicle.approval?.ecu).toBe('CGW');
  });

  it('gets its defaults', () => {
    expect(findEcu(vehicle, 'EDT')).toMatchObject({
      timing: { p2Ms: 500, p2StarMs: 5000 },
      memory: { bankSize: 16 * 1024 * 1024, banks: 2 },
      programming: { eraseRoutine: 0xff00, activation: 'bank' },
    });
    expect(() => findEcu(vehicle, 'XYZ')).toThrow(
      /XYZ is not in the vehicle file, which has CGW, EDT/,
    );
  });

  it('verifies partially unless told otherwise, and needs no secret in the file', () => {
    expect(findEcu(vehicle, 'EDT').verification).toBe('partial');
    const text = minimal(
      ecu('A', '1', '2', ', verification: full, security: { algorithm: hmac-sha256 }'),
    );
    const plain = parseVehicle(`${text}approval: { ecu: A }`, 'v.yaml');
    expect(plain.ecus[0]).toMatchObject({
      verification: 'full',
      security: { algorithm: 'hmac-sha256', level: 1 },
    });
    expect(plain.approval).toEqual({ ecu: 'A' });
    expect(() => parseVehicle(text.replace('full', 'none'), 'v.yaml')).toThrow(/verification/);
  });

  it('passes the published schema, which is up to date', () => {
    const published = readFileSync(path.join(root, 'src/vehicle/vehicle.schema.json'), 'utf8');
    expect(JSON.parse(published)).toEqual(JSON.parse(JSON.stringify(vehicleJsonSchema())));
    const validate = new Ajv2020({ strict: false }).compile(JSON.parse(published));
    expect(validate(parse(benchText))).toBe(true);
    expect(validate({ vin: 'short' })).toBe(false);
  });
});

describe('bad vehicle files say where and what', () => {
  it.each([
    ['', /the whole file/],
    ['vin: [', /v\.yaml:1:\d+: not readable as YAML/],
    ['vin: 1\nvin: 2', /v\.yaml:2:1: not readable as YAML: Map keys must be unique/],
    [
      `vin: SHORT\nbuses: { main: {} }\necus:\n${ecu('A', '1', '2')}`,
      /v\.yaml:1: vin: expected 17 characters/,
    ],
    [minimal(ecu('a', '1', '2')), /v\.yaml:4: ecus\[0\]\.name: expected 1 to 16 characters/],
    [minimal(ecu('A', '0x7E0', '0x7E8', ', colour: red')), /Unrecognized key: "colour"/],
    [minimal(ecu('A', '1', '2') + ecu('A', '3', '4')), /two ECUs are named A/],
    [
      minimal(ecu('A', '0x7E0', '0x7E8') + ecu('B', '0x7E1', '0x7E8')),
      /B and A both use identifier 7E8 \(response of B\)/,
    ],
    [minimal(ecu('A', '0x7E0', '0x7E0')), /A and A both use identifier 7E0/],
    [
      minimal(ecu('A', '0x7DF', '0x7E8')),
      /functional identifier 7DF of A is a physical identifier of A/,
    ],
    [minimal(ecu('A', '1', '2', ', bus: other')), /A is on bus "other", but buses has only main/],
    [minimal(ecu('A', '1', '2', ', dependsOn: [B]')), /A depends on B, which is not in ecus/],
    [
      minimal(ecu('A', '1', '2', ', dependsOn: [B]') + ecu('B', '3', '4', ', dependsOn: [A]')),
      /dependsOn goes in a circle: A, B/,
    ],
    [
      minimal(ecu('A', '1', '2', ', security: { algorithm: hmac-sha256, secret: 00 }')),
      /secret: expected 16 to 64 bytes.* in quotes/,
    ],
    [
      `${minimal(ecu('A', '1', '2'))}approval: { ecu: B, key: '${'00'.repeat(16)}' }`,
      /approval\.ecu is B, which is not in ecus/,
    ],
  ])('%#', (text, message) => {
    expect(() => parseVehicle(text, 'v.yaml')).toThrow(message);
    expect(() => parseVehicle(text, 'v.yaml')).toThrow(InputError);
  });

  it('refuses a bomb of aliases', () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefgh'
      .split('')
      .map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`)
      .join('\n')}`;
    expect(() => parseVehicle(bomb, 'v.yaml')).toThrow(InputError);
  });

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
