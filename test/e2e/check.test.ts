// `can-ota check` on the local bus: ECUs of ours and of other makes, one that is off, and a bus that somebody programs on.

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { folder, freshBus, run, scenario, start } from './support/processes.ts';

const VEHICLE = `
vin: 1CANXTABENCH00001
buses: { main: {} }
ecus:
  - name: BMW
    hardwareId: BMW-HW
    profile: bmw-extended
    address: { ecu: 0x12, response: 0x612 }
    memory: { bankSize: 0x10000 }
    security: { algorithm: xor, constant: A5 }
  - name: FAST
    hardwareId: FAST-HW
    profile: plain-uds
    address: { mode: normal, request: 0x7E1, response: 0x7E9 }
    fd: {}
  - name: GONE
    hardwareId: GONE-HW
    profile: plain-uds
    address: { mode: normal, request: 0x7E3, response: 0x7EB }
    timing: { p2Ms: 100 }
`;

describe('check', () => {
  scenario('tells of every ECU what it answers', async () => {
    const place = await folder();
    const file = path.join(place, 'vehicle.yaml');
    await writeFile(file, VEHICLE);
    const bus = ['--bus', freshBus('bitrate=500000'), '--vehicle', file];
    const trace = path.join(place, 'check.log');
    for (const name of ['BMW', 'FAST']) {
      const flash = path.join(place, name);
      await start(['ecu', name, '--flash', flash, ...bus], { supervised: true }).ready;
    }

    const all = await run(['check', '--json', '--trace', trace, ...bus]);
    expect(await all.code(), all.stderr).toBe(13);
    const of = (name: string) => all.events.find(({ ecu }) => ecu === name);
    expect(of('BMW')).toMatchObject({
      reachable: true,
      answered: '3E 00',
      activeSession: 1,
      security: { level: 1, session: 'extended', seedBytes: 16, algorithm: 'xor' },
      frames: { answered: 'classic', longest: 8 },
      notes: [],
    });
    expect(of('FAST')).toMatchObject({
      security: { answer: 'refused securityAccess (0x27): serviceNotSupported (0x11)' },
      frames: { answered: 'fd', asked: 'fd' },
      sessions: [
        { session: 'default', told: { p2Ms: 50, p2StarMs: 5000 } },
        { session: 'extended', entered: true },
      ],
    });
    expect(of('GONE')).toMatchObject({ reachable: false, error: { code: 'SILENT' } });
    expect(all.last).toEqual({ kind: 'summary', ecus: 3, unreachable: ['GONE'], unasked: [] });
    expect(all.stderr).toMatch(/GONE .*check power, wiring, bit rate/);

    // What was on the wire, by the program that decodes it.
    const seen = await run(['monitor', '--file', trace, '--vehicle', file]);
    const text = seen.lines.join('\n');
    expect(text).toContain('10 03 diagnosticSessionControl extended');
    expect(text).not.toMatch(/> \w+ +(?:10 02|11|14|28|2E|2F|31|34|35|36|37|38|85|27 02) /);

    const table = await run(['check', 'BMW', ...bus]);
    expect(await table.code(), table.stderr).toBe(0);
    expect(table.lines.join('\n')).toMatch(/F191 +"BMW-HW"/);
    expect(table.lines.join('\n')).toMatch(/frames +classic CAN/);
    expect(table.lines.at(-1)).toBe('it answers');

    const named = await run(['check', '7E1:7E9', '--fd', ...bus.slice(0, 2)]);
    expect(await named.code(), named.stderr).toBe(0);
    expect(named.lines.join('\n')).toMatch(/frames +CAN FD/);
  });

  scenario('asks nothing of a board with OpenBLT, whose application would restart', async () => {
    const place = await folder();
    const file = path.join(place, 'vehicle.yaml');
    const board = '  - { name: BLT, hardwareId: BLT-HW, programming: openblt }\n';
    await writeFile(file, `vin: 1CANXTABENCH00001\nbuses: { main: {} }\necus:\n${board}`);
    const trace = path.join(place, 'board.log');
    const bus = ['--bus', freshBus(), '--vehicle', file, '--trace', trace];
    const checked = await run(['check', '--json', ...bus]);
    expect(await checked.code(), checked.stderr).toBe(0);
    expect(checked.events.find(({ ecu }) => ecu === 'BLT')).toMatchObject({ asked: false });
    expect(checked.last).toMatchObject({ unreachable: [], unasked: ['BLT'] });
    expect(await readFile(trace, 'utf8')).toBe('');
  });

  scenario('says which options are wrong', async () => {
    const bus = ['--bus', freshBus()];
    for (const [words, message] of [
      [['EDT', 'EDT'], 'EDT is named twice'],
      [['7E0:7'], 'expected REQUEST:RESPONSE'],
      [['NONE'], 'NONE is not in the vehicle file'],
      [['7E0:7E8', '--level', '2'], 'an odd number'],
    ] as const) {
      const refused = await run(['check', ...words, ...bus]);
      expect(await refused.code(), words.join(' ')).toBe(2);
      expect(refused.stderr).toContain(message);
    }
  });
});
