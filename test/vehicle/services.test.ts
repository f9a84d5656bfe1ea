// Data and commands of an ECU in the vehicle file: what is read, how arguments become bytes, and what is refused where.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { profileOf } from '../../ecus/profiles.ts';
import { toHex } from '../../src/core/bytes.ts';
import { InputError } from '../../src/core/errors.ts';
import { actOf, encodeArguments, placeArguments } from '../../src/vehicle/commands.ts';
import { findEcu, parseVehicle } from '../../src/vehicle/load.ts';

const bench = parseVehicle(readFileSync('ecus/bench-vehicle.yaml', 'utf8'), 'bench-vehicle.yaml');

/** One ECU; `more` begins in line 6 and belongs to it. */
const fileWith = (more: string): string => `vin: 1CANXTABENCH00001
buses: { main: {} }
ecus:
  - name: A
    address: { mode: normal, request: 1, response: 2 }
${more}    hardwareId: HW
`;
const commandIn = (text: string) =>
  findEcu(parseVehicle(fileWith(`    commands: { act: ${text} }\n`), 'v.yaml'), 'A').commands.act!;

describe('the bench vehicle', () => {
  it('has data of what its ECUs answer, and commands for what they take', () => {
    const inverter = findEcu(bench, 'INV');
    expect(Object.keys(inverter.commands)).toEqual([
      'setPowerLimit',
      'setFan',
      'releaseFan',
      'calibrate',
    ]);
    for (const ecu of bench.ecus) {
      const { live, writable = [], controllable = [], routines = [] } = profileOf(ecu.name);
      const known = new Set([...live, ...writable, ...controllable].map(({ did }) => did));
      expect(new Set(Object.values(ecu.data).map(({ did }) => did))).toEqual(known);
      for (const command of Object.values(ecu.commands)) {
        const act = actOf(command);
        const [dids, did]: [readonly { did: number }[], number] =
          act.kind === 'routine'
            ? [routines.map(({ routine }) => ({ did: routine })), act.routine]
            : [act.kind === 'write' ? writable : controllable, act.did];
        expect(dids.map((each) => each.did)).toContain(did);
      }
    }
  });

  it('makes bytes of arguments', () => {
    const { setPowerLimit, setFan, releaseFan } = findEcu(bench, 'INV').commands;
    expect(toHex(encodeArguments(setPowerLimit!, { power: 60 }))).toBe('0258');
    expect(toHex(encodeArguments(setPowerLimit!, { power: 59.96 }))).toBe('0258');
    expect(toHex(encodeArguments(setFan!, { duty: 80 }))).toBe('50');
    expect(toHex(encodeArguments(releaseFan!, {}))).toBe('');
  });
});

describe('a command', () => {
  it('gets its defaults', () => {
    expect(commandIn('{ title: x, routine: 0x0230 }')).toEqual({
      title: 'x',
      routine: 0x230,
      arguments: {},
      session: 'extended',
      security: 'ecu',
    });
  });

  it.each([
    [
      '{ title: x, write: 0xFD50, arguments: { a: { min: 0, max: 1 } } }',
      { kind: 'write', did: 0xfd50, readBack: true },
    ],
    [
      '{ title: x, write: 0xFD50, readBack: false, arguments: { a: { min: 0, max: 1 } } }',
      { kind: 'write', did: 0xfd50, readBack: false },
    ],
    [
      '{ title: x, control: 1, option: adjust, mask: "80", arguments: { a: { min: 0, max: 1 } } }',
      { kind: 'adjust', did: 1, mask: Uint8Array.of(0x80), readBack: true },
    ],
    ['{ title: x, control: 1, option: return }', { kind: 'return', did: 1, readBack: true }],
    [
      '{ title: x, routine: 1 }',
      { kind: 'routine', routine: 1, counter: undefined, running: undefined },
    ],
    [
      '{ title: x, routine: 1, counter: { offset: 3 } }',
      { kind: 'routine', routine: 1, counter: { offset: 3, length: 1 }, running: undefined },
    ],
  ])('%s', (text, act) => {
    expect(actOf(commandIn(text))).toEqual(act);
  });

  it('lays its arguments one behind the other, or where they say', () => {
    const command = commandIn(`{ title: x, routine: 1, arguments: {
      late: { offset: 3, length: 2, signed: true, scale: 0.5, add: 10, min: -100, max: 100 },
      first: { offset: 0, values: { 7: on, 0: off } },
      second: { length: 2, min: 0, max: 9 } } }`);
    expect(placeArguments(command).map(({ name, offset }) => [name, offset])).toEqual([
      ['late', 3],
      ['first', 0],
      ['second', 1],
    ]);
    expect(toHex(encodeArguments(command, { first: 'on', second: 9, late: -100 }))).toBe(
      '070009ff24',
    );
    expect(() => encodeArguments(command, { first: 'on', second: 9 })).toThrow('late is missing');
    expect(() => encodeArguments(command, { first: 'up', second: 9, late: 0 })).toThrow(
      'up is none of off, on',
    );
    expect(() => encodeArguments(command, { first: 'on', second: 70_000, late: 0 })).toThrow(
      RangeError,
    );
  });
});

describe('a mistake is named with its line and field', () => {
  const act = 'ecus[0].commands.act';
  const one = 'arguments: { a: { min: 0, max: 1 } }';
  it.each([
    ['{ write: 1 }', `${act}.title: `],
    [
      '{ title: x }',
      `v.yaml:6: ${act}.title: the command does nothing: give write, control or routine`,
    ],
    [
      `{ title: x, write: 1, routine: 2, ${one} }`,
      `${act}.routine: write and routine are two commands`,
    ],
    [`{ title: x, control: 1, ${one} }`, `${act}.control: option is missing: adjust takes`],
    ['{ title: x, control: 1, option: freeze }', `${act}.option: `],
    ['{ title: x, routine: 1, option: adjust }', `${act}.option: belongs to control only`],
    [`{ title: x, write: 1, mask: "80", ${one} }`, `${act}.mask: belongs to control with`],
    [`{ title: x, write: 1, counter: {}, ${one} }`, `${act}.counter: belongs to routine only`],
    [
      `{ title: x, write: 1, running: { value: 1 }, ${one} }`,
      `${act}.running: belongs to routine only`,
    ],
    ['{ title: x, routine: 1, readBack: true }', `${act}.readBack: belongs to write and control`],
    [
      `{ title: x, control: 1, option: return, ${one} }`,
      `${act}.arguments: an output is given back without arguments`,
    ],
    ['{ title: x, write: 1 }', `v.yaml:6: ${act}.write: arguments are missing`],
    ['{ title: x, control: 1, option: adjust }', `${act}.control: arguments are missing`],
    [
      '{ title: x, write: 1, arguments: { a: {} } }',
      `${act}.arguments.a: expected min and max, or`,
    ],
    [
      '{ title: x, write: 1, arguments: { a: { min: 0, max: 1, values: { 0: x } } } }',
      `${act}.arguments.a.values: an argument has either named values, or min, max and unit`,
    ],
    [
      '{ title: x, write: 1, arguments: { a: { values: { 0: x, 1: x } } } }',
      `${act}.arguments.a.values: two raw values have the same name`,
    ],
    [
      '{ title: x, write: 1, arguments: { a: { values: { 256: x } } } }',
      `${act}.arguments.a.values: 256 does not fit into 1 byte (0 to 255)`,
    ],
    [
      '{ title: x, write: 1, arguments: { a: { min: 2, max: 1 } } }',
      `${act}.arguments.a.min: 2 is above max, which is 1`,
    ],
    [
      '{ title: x, write: 1, arguments: { a: { scale: 0.1, min: 0, max: 120 } } }',
      `${act}.arguments.a.max: 120 does not fit into 1 byte with this scale`,
    ],
    [
      '{ title: x, write: 1, arguments: { a: { min: -1, max: 1 } } }',
      `${act}.arguments.a.min: -1 does not fit`,
    ],
    [
      '{ title: x, write: 1, arguments: { a: { length: 2, min: 0, max: 1 }, b: { offset: 1, min: 0, max: 1 } } }',
      `${act}.arguments.b: b begins at byte 1, where a still is (up to byte 1)`,
    ],
    [
      '{ title: x, write: 1, arguments: { a: { min: 0, max: 1 }, b: { offset: 3, min: 0, max: 1 } } }',
      `${act}.arguments.b: no argument covers byte 1`,
    ],
    ['{ title: x, routine: 1, session: programming }', `${act}.session: `],
  ])('%s', (text, message) => {
    const file = fileWith(`    commands: { act: ${text} }\n`);
    expect(() => parseVehicle(file, 'v.yaml')).toThrow(InputError);
    expect(() => parseVehicle(file, 'v.yaml')).toThrow(message);
  });

  it.each([
    ['{ did: 1, text: true, unit: V }', 'ecus[0].data.x.text: text has neither'],
    ['{ did: 1, unit: V, values: { 0: a } }', 'data has either a unit or named values'],
    ['{ did: 1, values: { 300: a } }', '300 does not fit into 1 byte (0 to 255)'],
    [
      '{ did: 1, signed: true, notAvailable: 255 }',
      'ecus[0].data.x.notAvailable: 255 does not fit into 1 byte (-128 to 127)',
    ],
    ['{ offset: 1 }', 'ecus[0].data.x.did: '],
    ['{ did: 1, unit: "k W" }', 'expected a unit of at most 16 characters'],
  ])('data: %s', (text, message) => {
    expect(() => parseVehicle(fileWith(`    data: { x: ${text} }\n`), 'v.yaml')).toThrow(message);
  });
});
