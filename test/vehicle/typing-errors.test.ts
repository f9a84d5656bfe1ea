// Slips of the finger in a vehicle file: the message names the field, its line, and what was meant.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/core/errors.ts';
import { findEcu, parseVehicle } from '../../src/vehicle/load.ts';

const file = path.resolve(import.meta.dirname, '../../ecus/bench-vehicle.yaml');
const bench = readFileSync(file, 'utf8');

/** The error for the bench vehicle with one change, and the line of the change. */
function slip(good: string, bad: string): { readonly message: string; readonly line: number } {
  const at = bench.indexOf(good);
  expect(at, `${good} is in the bench vehicle`).toBeGreaterThanOrEqual(0);
  const text = `${bench.slice(0, at)}${bad}${bench.slice(at + good.length)}`;
  const offset = at + [...bad].findIndex((character) => !/[\s{,]/.test(character));
  const line = text.slice(0, offset).split('\n').length;
  try {
    parseVehicle(text, 'v.yaml');
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return { message: (error as InputError).message, line };
  }
  throw new Error(`${bad} was taken`);
}

describe('a slip in a vehicle file', () => {
  it.each([
    // A name of the file itself, of an ECU, inside of an object on one line, of a condition.
    ['\necus:', '\nceus:', 'ceus: Unrecognized key: "ceus"; did you mean "ecus"?'],
    ['    hardwareId: CGW', '    hardwareID: CGW', 'hardwareID"; did you mean "hardwareId"?'],
    ['mode: normal, request', 'mode: normal, reqest', 'reqest"; did you mean "request"?'],
    [
      '  - name: standing\n    require',
      '  - name: standing\n    requires',
      'did you mean "require"?',
    ],
    // A word of a closed list, of a variant, and a preset.
    ['mode: normal,', 'mode: normla,', '"normla" is not known; did you mean "normal"?'],
    ['algorithm: hmac-sha256', 'algorithm: hmac-sha265', 'did you mean "hmac-sha256"?'],
    // The name of something else in the file.
    ['ecu: CGW', 'ecu: CGV', 'CGV, which is not in ecus; did you mean "CGW"?'],
  ])('%j for %j', (good, bad, expected) => {
    const { message, line } = slip(good, bad);
    expect(message).toContain(expected);
    expect(message).toMatch(
      new RegExp(`^v\\.yaml:${bad.startsWith('  - name') ? line + 1 : line}: `),
    );
  });

  const head = 'vin: 1CANXTABENCH00001\nbuses: { main: {} }\necus:\n';
  const ecu = (more: string): string =>
    `${head}  - name: A\n    hardwareId: HW\n    address: { mode: normal, request: 1, response: 2 }\n${more}`;

  it.each([
    [
      '    dependsOn:\n      - AA\n',
      8,
      'ecus[0].dependsOn[0]: A depends on AA, which is not in ecus; did you mean "A"?',
    ],
    [
      '    bus: mian\n',
      7,
      'ecus[0].bus: A is on bus "mian", but buses has only main; did you mean "main"?',
    ],
    ['    programming: standart\n', 7, '"standart" is not known; did you mean "standard"?'],
    [
      '    programming:\n      identify: try\n      eraseWen: x\n',
      9,
      '"eraseWen"; did you mean "eraseWhen"?',
    ],
    [
      '    programming:\n      identify: tyr\n',
      8,
      'ecus[0].programming.identify: "tyr" is not known; did you mean "try"?',
    ],
    [
      '    fd:\n      brs: true\n      txDL: 64\n',
      9,
      'ecus[0].fd.txDL: Unrecognized key: "txDL"; did you mean "txDl"?',
    ],
    ['    fd: { txDl: 63 }\n', 7, 'ecus[0].fd.txDl: 63 is not known: expected one of 8, 12, 16'],
    ['    fd: yes\n', 7, 'ecus[0].fd: Invalid input: expected false or object'],
    ['    security: {}\n', 7, 'security.algorithm: is missing: expected one of none, hmac-sha256'],
    ['    verification: fuul\n', 7, '"fuul" is not known; did you mean "full"?'],
    [
      '    timing:\n      p2ms: 50\n',
      8,
      'ecus[0].timing.p2ms: Unrecognized key: "p2ms"; did you mean "p2Ms"?',
    ],
    [
      'policy:\n  approval: { install: asks }\n',
      8,
      'policy.approval.install: "asks" is not known; did you mean "ask"?',
    ],
    ['policy:\n  retry:\n    slient: { tries: 1, seconds: 1 }\n', 9, 'did you mean "silent"?'],
    ['signals:\n  Speed: { ecu: A, did: 1 }\n', 8, 'signals.Speed: expected a small letter'],
    [
      'signals:\n  speed: { ecu: B, did: 1 }\n',
      8,
      'signals.speed.ecu: B is not in ecus, which has A',
    ],
    ['    data:\n      speed: { did: 1, lenght: 2 }\n', 8, '"lenght"; did you mean "length"?'],
    ['    commands:\n      go: { titel: x }\n', 8, '"titel"; did you mean "title"?'],
    ['colour: red\n', 7, '"colour", expected one of '],
    ['    order:\n    wrongKey:\n', 8, '"wrongKey"'],
  ])('%j', (more, line, expected) => {
    const take = (): unknown => parseVehicle(ecu(more), 'v.yaml');
    expect(take).toThrow(InputError);
    expect(take).toThrow(expected);
    expect(take).toThrow(new RegExp(`^v\\.yaml:${line}: `));
  });

  it('offers only names that do not stand there already', () => {
    // `name` is taken: `hardwareId` and the others are not.
    const text = ecu('    nam: B\n');
    expect(() => parseVehicle(text, 'v.yaml')).not.toThrow('did you mean "name"?');
  });

  it('finds its line behind an alias', () => {
    const text = `${head}  - name: A\n    hardwareId: HW\n    address: &a { mode: normal, request: 1, response: 2 }\n  - name: B\n    hardwareId: HW\n    address: *a\n`;
    expect(() => parseVehicle(text, 'v.yaml')).toThrow(
      /^v\.yaml:\d+: ecus\[1\]\.address\.request: /,
    );
  });

  it('of an ECU on the command line has a hint, too', () => {
    const vehicle = parseVehicle(bench, 'v.yaml');
    expect(() => findEcu(vehicle, 'EDDT')).toThrow(
      'which has CGW, EDT, INV, BMS; did you mean "EDT"?',
    );
    expect(() => findEcu(vehicle, 'PUMP')).toThrow(/which has CGW, EDT, INV, BMS$/);
  });
});
