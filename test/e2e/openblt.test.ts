// A vehicle with a board that has OpenBLT: one campaign over UDS and XCP, its rollback, a kill, a power cut; and flash alone.

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { boardCampaign, firmware, openBoardFactory, runs } from './support/board-campaign.ts';
import { folder, freshBus, run, scenario, start } from './support/processes.ts';
import { image, outcomeOf, startTmu } from './support/vehicle.ts';

describe('a vehicle with an OpenBLT board', () => {
  scenario('is updated in one campaign, and flashed back when another ECU fails', () =>
    boardCampaign(),
  );

  scenario('goes on after a kill of the TMU and a power cut of the board', async () => {
    const factory = await openBoardFactory();
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
