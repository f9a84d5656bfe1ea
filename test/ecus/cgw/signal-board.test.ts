// The sensors of the simulated gateway: usual values, values that are set, and who can read them.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createCgw } from '../../../ecus/cgw/create-cgw.ts';
import { SignalBoard } from '../../../ecus/cgw/signal-board.ts';
import { parseSignals } from '../../../src/cli/ecu/cgw.ts';
import { toHex } from '../../../src/core/bytes.ts';
import { InputError } from '../../../src/core/errors.ts';
import { silentLogger } from '../../../src/core/logger.ts';
import { seededRandom } from '../../../src/sim/seeded-random.ts';
import { conditionsAt } from '../../../src/vehicle/conditions.ts';
import { parseVehicle } from '../../../src/vehicle/load.ts';
import { vehicleSchema } from '../../../src/vehicle/schema.ts';
import { decodeSignal } from '../../../src/vehicle/signals.ts';
import { benchVehicle, EcuBench } from '../../support/ecu-bench.ts';
import { FakeTerminal } from '../../support/fake-terminal.ts';

const text = readFileSync('ecus/bench-vehicle.yaml', 'utf8');
const vehicle = parseVehicle(text, 'bench-vehicle.yaml');
/** The sensors ask no application. */
const AT_REST = { upMs: 0, hot: false, value: () => 0 };

describe('the bench vehicle', () => {
  it('stands, parked and charged, unless told otherwise', () => {
    const board = new SignalBoard(vehicle, 'CGW');
    expect(board.lines()).toEqual([
      'speed is 0 km/h',
      'ignition is on',
      'gear is park',
      'battery is 12.6 V',
      'temperature is 20 degC',
    ]);
    expect(board.dids().map(({ did, read }) => [did, toHex(read(0, AT_REST))])).toEqual([
      [0xfd40, '0000020004ec14'],
    ]);
  });

  it('fulfils its conditions then, with room for an hour of update and as much of rollback', () => {
    const data = new SignalBoard(vehicle, 'CGW').dids()[0]!.read(0, AT_REST);
    const signals = new Map(
      Object.entries(vehicle.signals).map(([name, signal]) => [name, decodeSignal(signal, data)]),
    );
    const problems = (seconds: number) =>
      conditionsAt(vehicle, 'stage').flatMap((condition) => {
        const inputs = { updateSeconds: seconds, rollbackSeconds: seconds, localMinutes: 0 };
        return condition.problem({ ...inputs, signals }) ?? [];
      });
    expect(problems(3600)).toEqual([]);
    expect(problems(3700)).toEqual([expect.stringContaining('Charge the 12 V battery.')]);
  });
});

describe('a signal', () => {
  it('is set as a value or as a person writes it', () => {
    const board = new SignalBoard(vehicle, 'CGW', { speed: 50, gear: 'drive' });
    expect([board.get('speed'), board.get('gear')]).toEqual([50, 'drive']);
    board.setText('speed', '7.5');
    board.setText('gear', 'park');
    board.setText('temperature', '-20');
    board.setText('battery', 'none');
    expect(toHex(board.dids()[0]!.read(0, AT_REST))).toBe('02ee0200ffffec');
    expect(board.lines()).toContain('battery is not available');
  });

  it.each([
    ['brake', '1', /^signal brake: CGW has only speed, ignition, gear, battery, temperature$/],
    ['gear', 'fourth', /^signal gear: fourth is none of park, reverse, neutral, drive$/],
    ['gear', '3', /is none of/],
    ['gear', 'none', /is none of/],
    ['speed', 'fast', /^signal speed: "fast" is no number$/],
    ['speed', '', /is no number/],
    ['speed', '-1', /-1 does not fit/],
    ['speed', '700', /does not fit/],
  ])('%s cannot be "%s"', (name, value, message) => {
    const board = new SignalBoard(vehicle, 'CGW');
    expect(() => board.setText(name, value)).toThrow(InputError);
    expect(() => board.setText(name, value)).toThrow(message);
    expect(board.lines()).toEqual(new SignalBoard(vehicle, 'CGW').lines());
  });

  it('of another vehicle file has its usual value in its own unit, or zero', () => {
    const other = vehicleSchema.parse({
      ...benchVehicle,
      signals: {
        battery: { ecu: 'CGW', did: 1, length: 2, unit: 'mV' },
        speed: { ecu: 'CGW', did: 2, length: 2, add: -10, unit: 'm/s' },
        gear: { ecu: 'CGW', did: 3, values: { 4: 'N', 5: 'D' } },
        hood: { ecu: 'CGW', did: 4, values: { 1: 'closed', 2: 'open' } },
        level: { ecu: 'CGW', did: 5, add: 100 },
        charge: { ecu: 'EDT', did: 6 },
      },
    });
    expect(new SignalBoard(other, 'CGW').lines()).toEqual([
      'battery is 12600 mV',
      'speed is 0 m/s',
      'gear is N',
      'hood is closed',
      'level is 100',
    ]);
    expect(() => new SignalBoard(benchVehicle, 'CGW', { speed: 1 })).toThrow(
      'the vehicle file has no signals of CGW',
    );
  });
});

it('--signal is checked before anything starts', () => {
  expect(parseSignals(['speed=50', 'gear=drive', 'battery=none'], vehicle)).toEqual({
    speed: 50,
    gear: 'drive',
    battery: undefined,
  });
  expect(() => parseSignals(['speed'], vehicle)).toThrow(/^--signal: speed: expected NAME=VALUE/);
  expect(() => parseSignals(['sped=1'], vehicle)).toThrow(/CGW has only/);
});

describe('the gateway', () => {
  async function start() {
    const bench = EcuBench.idle();
    const terminal = new FakeTerminal(false);
    const cgw = await bench.clock.within(
      60_000,
      createCgw({
        vehicle,
        storage: bench.storage,
        clock: bench.clock,
        random: seededRandom(),
        logger: silentLogger,
        connect: bench.connect,
        approve: 'ask',
        benchKeys: true,
        terminal,
        signals: { speed: 50 },
        onEvent: (event) => bench.events.push(event),
      }),
    );
    bench.ecu = cgw.ecu;
    return { bench, cgw, terminal };
  }

  it('answers for its sensors in every session, and as they change', async () => {
    const { bench, cgw, terminal } = await start();
    expect(await bench.ask('22FD40')).toBe('62FD401388020004EC14');
    cgw.signals.set('speed', 0);
    for (const session of ['1003', '1002']) {
      await bench.ask(session);
      expect(await bench.ask('22FD40')).toBe('62FD400000020004EC14');
    }
    terminal.type('signal gear drive\n');
    expect(await bench.ask('22FD40')).toBe('62FD400000020304EC14');
    expect(terminal.text).toBe('gear is drive\n');
    terminal.type('signal gear fifth\nsignal gear\nsignal gear a b\nsignal\n');
    expect(terminal.text).toContain('signal gear: fifth is none of park');
    expect(terminal.text.match(/expected signal NAME VALUE/g)).toHaveLength(2);
    expect(terminal.text).toContain('temperature is 20 degC');
    expect(cgw.signals.get('gear')).toBe('drive');
  });

  it('answers without software too: its sensors must not keep it from being repaired', async () => {
    const { bench } = await start();
    bench.storage.corrupt('bank-a.bin', 100);
    expect(await bench.ask('1101')).toBe('7F1122'); // it moves
    await bench.crash();
    expect(await bench.ask('22FD00')).toMatch(/^62FD00/);
    expect(bench.events).toContainEqual(
      expect.objectContaining({ kind: 'boot', mode: 'recovery' }),
    );
    expect(await bench.ask('22FD40')).toBe('62FD401388020004EC14');
  });
});
