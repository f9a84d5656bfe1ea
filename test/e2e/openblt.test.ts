// A vehicle with a board that has OpenBLT: one campaign over UDS and XCP, its rollback, a kill, a power cut; and flash alone.

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { ecuSchema } from '../../src/vehicle/schema.ts';
import { folder, freshBus, type Run, run, scenario, start } from './support/processes.ts';
import { cycle, image, outcomeOf, startTmu, TestFactory } from './support/vehicle.ts';

const BLT = ecuSchema.parse({
  name: 'BLT',
  hardwareId: 'BLT-HW-1',
  address: { mode: 'normal', request: 0x667, response: 0x668 },
  memory: { regions: [{ address: 0x0800_2000, size: 0x1_0000, eraseUnit: 1024 }] },
  security: { algorithm: 'arithmetic', steps: ['sub 1'], seedBytes: 1 },
  programming: { protocol: 'openblt', openblt: { alive: { id: 0x321, everyMs: 400 } } },
  // Before EDT, so that a failure of EDT comes when the board has its new image.
  order: -10,
});
const open = () => TestFactory.open(['EDT'], [BLT]);

function firmware(version: string, bytes = 3000): Promise<Awaited<ReturnType<typeof image>>> {
  const head = Buffer.from(`can-ota firmware BLT ${version}\n`);
  return image('BLT', bytes, version, Buffer.concat([head, Buffer.alloc(bytes - head.length, 7)]));
}

/** The version that the board's application had at its last start. */
function runs(board: Run): unknown {
  return board.events.filter(({ kind }) => kind === 'application').at(-1)?.version;
}

describe('a vehicle with an OpenBLT board', () => {
  scenario('is updated in one campaign, and flashed back when another ECU fails', async () => {
    const factory = await open();
    const backend = await factory.backend();
    const vehicle = await factory.vehicle();
    const state = await factory.state();
    await backend.release(await image('EDT', 4000), await firmware('2.0.0'));
    const done = await cycle({ vehicle, server: backend.url, state });
    expect(outcomeOf(done), String(done)).toMatchObject({
      outcome: 'SUCCESS',
      ecus: expect.arrayContaining([expect.objectContaining({ name: 'BLT', reported: '2.0.0' })]),
    });
    expect(runs(vehicle.ecu('BLT'))).toBe('2.0.0');
    expect(await vehicle.version('EDT')).toBe('2.0.0');
    const again = await cycle({ vehicle, server: backend.url, state });
    expect(outcomeOf(again)).toMatchObject({ outcome: 'UP_TO_DATE' });

    vehicle.ecu('EDT').kill();
    await vehicle.ecu('EDT').exited;
    const bad = start(
      [
        'ecu',
        'EDT',
        '--json',
        '--flash',
        vehicle.folder('EDT'),
        ...vehicle.shared,
        '--fault',
        'self-test',
      ],
      { supervised: true },
    );
    await bad.ready;
    await backend.release(await image('EDT', 4000, '3.0.0'), await firmware('3.0.0'));
    const back = await cycle({ vehicle, server: backend.url, state });
    expect(outcomeOf(back), String(back)).toMatchObject({ outcome: 'ROLLBACK_COMPLETED' });
    const versions = vehicle.ecu('BLT').events.filter(({ kind }) => kind === 'application');
    expect(versions.map(({ version }) => version)).toContain('3.0.0');
    expect(runs(vehicle.ecu('BLT'))).toBe('2.0.0');
    expect(await vehicle.version('EDT')).toBe('2.0.0');
  });

  scenario('goes on after a kill of the TMU and a power cut of the board', async () => {
    const factory = await open();
    const backend = await factory.backend();
    const vehicle = await factory.vehicle({
      bus: freshBus('bitrate=500000'),
      faults: { BLT: ['power-loss=9000'] },
    });
    const state = await factory.state();
    await backend.release(await image('EDT', 4000), await firmware('2.0.0', 20_000));
    const killed = startTmu({ vehicle, server: backend.url, state });
    await killed.event({ kind: 'ecu-progress', ecu: 'BLT' }, ({ sent }) => Number(sent) > 2000);
    killed.kill('SIGKILL');
    await killed.exited;

    const resumed = startTmu({ vehicle, server: backend.url, state });
    await vehicle.ecu('BLT').exited;
    const board = await vehicle.start('BLT');
    await resumed.exited;
    expect(outcomeOf(resumed), String(resumed)).toMatchObject({ outcome: 'SUCCESS' });
    expect(runs(board)).toBe('2.0.0');
    expect(await vehicle.version('EDT')).toBe('2.0.0');
  });
});

describe('can-ota flash', () => {
  scenario('programs a board alone, and waits for its power', async () => {
    const place = await folder();
    const at = (name: string) => path.join(place, name);
    const bus = ['--bus', freshBus()];
    await writeFile(at('app.bin'), (await firmware('2.0.0')).bytes);
    const made = await run([
      'image',
      'convert',
      `${at('app.bin')}@0x08002000`,
      '--out',
      at('app.s19'),
    ]);
    expect(await made.code(), made.stderr).toBe(0);
    const args = ['flash', '667:7E1', at('app.s19'), '--profile', 'openblt', '--json', ...bus];
    const waiting = start([...args, '--version', '2.0.0', '--wait-for-power-on']);
    await waiting.event({ kind: 'waiting' });
    const board = start(
      ['ecu', 'BLT', '--kind', 'openblt', '--no-upload', '--json', '--flash', at('flash'), ...bus],
      { supervised: true },
    );
    expect(await waiting.code(), waiting.stderr).toBe(0);
    expect(waiting.last).toMatchObject({ ok: true, bytes: 3000, sha256: null });
    expect(waiting.stderr).toContain('acknowledged and not read back');
    expect(runs(board)).toBe('2.0.0');

    const wrong = await run(['flash', '7E0:7E8', at('app.s19'), '--wait-for-power-on', ...bus]);
    expect(await wrong.code()).toBe(2);
    expect(wrong.stderr).toContain('--wait-for-power-on');
  });
});
