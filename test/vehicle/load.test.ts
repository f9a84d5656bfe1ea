// The vehicle file: what is good is read, what is bad is named with its place.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { FAILURE_KINDS } from '../../src/campaign/retry-policy.ts';
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
      timing: {
        ...{ p2Ms: 500, p2StarMs: 5000, pendingLimitMs: 120_000, resetMs: 10_000 },
        ...{ busyLimitMs: 25_000, waitLimitMs: 25_000 },
        ...{ resourceLimitMs: 25_000, securityDelayLimitMs: 25_000 },
      },
      memory: { bankSize: 16 * 1024 * 1024, banks: 2 },
      programming: { sessionPauseMs: 0, eraseRoutine: 0xff00, activation: 'bank' },
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

  it('has signals, conditions and a policy; a file without them has none, and the defaults', () => {
    expect(vehicle.conditions.map(({ name }) => name)).toEqual([
      'standing',
      'parked',
      'ignition',
      'battery',
      'temperature',
    ]);
    expect(vehicle.signals.ignition).toMatchObject({
      did: 0xfd40,
      offset: 2,
      length: 1,
      values: { 0: 'off', 1: 'accessory', 2: 'on' },
    });
    const plain = parseVehicle(minimal(ecu('A', '1', '2')), 'v.yaml');
    expect(plain).toMatchObject({
      signals: {},
      conditions: [],
      policy: {
        approval: { download: 'none', install: 'ask', activate: 'none' },
        retry: {},
        network: { bytesPerDay: null },
        diagnostics: { heartbeatSeconds: 2, troubleCodes: 'compare' },
      },
    });
    const text = `${minimal(ecu('A', '1', '2'))}conditions: [{ name: x, require: update < 1 h }]`;
    expect(parseVehicle(text, 'v.yaml').conditions).toEqual([
      { name: 'x', require: 'update < 1 h', gates: ['stage', 'activate'], say: '' },
    ]);
  });

  it('can limit every kind of failure that a campaign knows, and no other', () => {
    const limits = FAILURE_KINDS.map((kind) => `${kind}: { tries: 2, seconds: 3 }`).join(', ');
    const text = `${minimal(ecu('A', '1', '2'))}policy: { retry: { ${limits} } }`;
    const { retry } = parseVehicle(text, 'v.yaml').policy;
    expect(Object.keys(retry).sort()).toEqual([...FAILURE_KINDS].sort());
    const known = vehicleJsonSchema() as {
      properties: { policy: { properties: { retry: { properties: object } } } };
    };
    const published = known.properties.policy.properties.retry.properties;
    expect(Object.keys(published).sort()).toEqual([...FAILURE_KINDS].sort());
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
    [
      `vin: 1CANXTABENCH00001\nbuses:\n  main: {}\n  body: {}\necus:\n${ecu('A', '1', '2')}`,
      /^v\.yaml:4: buses\.body: a vehicle with several buses is not supported yet.*after "main": leave/,
    ],
    [
      minimal(ecu('A', '1', '2', ', bus: b') + ecu('B', '1', '2')).replace('{} }', '{}, b: {} }'),
      /buses\.b: a vehicle with several buses is not supported yet/,
    ],
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
      minimal(ecu('A', '1', '2', ', memory: { bankSize: -1 }')),
      /v\.yaml:4: ecus\[0\]\.memory\.bankSize/,
    ],
    [minimal(ecu('A', '1', '2', ', timing: { waitLimitMs: 0 }')), /timing\.waitLimitMs/],
    [minimal(ecu('A', '1', '2', ', programming: { sessionPauseMs: -1 }')), /programming/],
    [
      `${minimal(ecu('A', '1', '2'))}approval: { ecu: B, key: '${'00'.repeat(16)}' }`,
      /approval\.ecu is B, which is not in ecus/,
    ],
  ])('%#', (text, message) => {
    expect(() => parseVehicle(text, 'v.yaml')).toThrow(message);
    expect(() => parseVehicle(text, 'v.yaml')).toThrow(InputError);
  });

  const base = minimal(ecu('A', '1', '2'));
  const signals = `${base}signals:
  speed: { ecu: A, did: 0xFD40, length: 2, scale: 0.01, unit: km/h }
  gear: { ecu: A, did: 0xFD40, offset: 2, values: { 0: park, 1: drive } }
`;
  it.each([
    // The line of the condition, the column inside the expression, and a hint.
    [
      `${signals}conditions:\n  - name: one\n    require: speed == 0\n  - name: two\n    require: gear == park and sped < 3\n`,
      'v.yaml:12: conditions[1].require: two, column 18: "sped" is not known; did you mean "speed"?, in "gear == park and sped < 3"',
    ],
    [
      `${signals}conditions:\n  - { name: one,\n      require: 'gear == 3' }\n`,
      'v.yaml:10: conditions[0].require: one, column 9: gear has named values: found a number, expected one of park, drive',
    ],
    [
      `${signals}conditions:\n  - { name: one, require: speed < 3 V }\n`,
      'v.yaml:9: conditions[0].require: one, column 7: "<" cannot join km/h and V',
    ],
    [
      `${signals}conditions: [{ name: one, require: speed }]`,
      'column 1: this is a quantity in km/h',
    ],
    [
      `${signals}conditions: [{ name: one }]`,
      'v.yaml:8: conditions[0].require: Invalid input: expected string',
    ],
    [
      `${signals}conditions: [{ name: a, require: speed == 0 },\n  { name: a, require: speed == 1 }]`,
      'v.yaml:9: conditions[1].name: two conditions are named a',
    ],
    [`${signals}conditions: [{ name: a, require: speed == 0, gates: [boot] }]`, 'gates[0]'],
    [
      `${base}signals:\n  speed: { ecu: B, did: 1 }`,
      'v.yaml:6: signals.speed.ecu: B is not in ecus, which has A',
    ],
    [
      `${base}signals:\n  time: { ecu: A, did: 1 }`,
      'v.yaml:6: signals.time: time has a fixed meaning in conditions',
    ],
    [`${base}signals: { and: { ecu: A, did: 1 } }`, 'signals.and: and has a fixed meaning'],
    [`${base}signals: { km: { ecu: A, did: 1 } }`, 'signals.km: km has a fixed meaning'],
    [
      `${signals}  door: { ecu: A, did: 1, values: { 0: speed } }`,
      'v.yaml:8: signals.door.values: speed is already a name in conditions',
    ],
    [`${base}signals: { a: { ecu: A, did: 1, unit: kph } }`, 'v.yaml:5: signals.a.unit: '],
    [
      `${base}signals: { a: { ecu: A, did: 1, unit: V, values: { 0: off } } }`,
      'signals.a: a signal has either a unit or named values',
    ],
    [`${base}signals: { a: { ecu: A, did: 1, values: {} } }`, 'expected at least one value'],
    [
      `${base}signals: { a: { ecu: A, did: 1, values: { 300: x } } }`,
      '300 does not fit into 1 bytes',
    ],
    [
      `${base}signals: { a: { ecu: A, did: 1, signed: true, notAvailable: 0xFF } }`,
      'signals.a.notAvailable: 0xFF does not fit into 1 bytes (-128 to 127)',
    ],
    [`${base}signals: { a: { ecu: A, did: 1, scale: 0 } }`, 'expected a factor other than 0'],
    [`${base}signals: { a: { ecu: A, did: 0x10000 } }`, 'signals.a.did'],
    [
      `${base}policy: { approval: { activate: ask } }`,
      'v.yaml:5: policy.approval.activate: asks the driver, but the file has no approval.ecu',
    ],
    [`${base}policy: { retry: { bus: { tries: 0, seconds: 1 } } }`, 'policy.retry.bus.tries'],
    [`${base}policy: { retry: { weather: { tries: 1, seconds: 1 } } }`, 'key: "weather"'],
    [`${base}policy: { network: { bytesPerDay: 0 } }`, 'policy.network.bytesPerDay'],
  ])('conditions, signals, policy: %#', (text, message) => {
    expect(() => parseVehicle(text, 'v.yaml')).toThrow(InputError);
    expect(() => parseVehicle(text, 'v.yaml')).toThrow(message);
  });

  it('refuses a bomb of aliases', () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefgh'
      .split('')
      .map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`)
      .join('\n')}`;
    expect(() => parseVehicle(bomb, 'v.yaml')).toThrow(InputError);
  });
});
