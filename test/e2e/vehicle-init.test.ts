// `can-ota vehicle init` on the local bus: asks, scans, writes a file with which `check` and `flash` work; templates.

import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { cli, folder, freshBus, run, scenario, start } from './support/processes.ts';
import { hasScript, Terminal } from './support/terminal.ts';

const VEHICLE = `
vin: 1CANXTATEST000007
buses: { main: {} }
ecus:
  - name: LAMP
    hardwareId: LAMP-HW-2
    profile: plain-uds
    address: { mode: normal, request: 0x714, response: 0x77E, functional: 0x7DF }
    memory: { bankSize: 0x10000 }
  - name: PUMP
    hardwareId: PUMP-HW-1
    profile: plain-uds
    address: { mode: normal-fixed, ecu: 0x21 }
`;

async function place(): Promise<{ readonly cwd: string; readonly bus: readonly string[] }> {
  const cwd = await folder();
  const bus = ['--bus', freshBus('bitrate=500000')];
  await writeFile(path.join(cwd, 'real.yaml'), VEHICLE);
  for (const name of ['LAMP', 'PUMP']) {
    const args = ['ecu', name, '--vehicle', 'real.yaml', '--flash', name, ...bus];
    await start(args, { supervised: true, cwd }).ready;
  }
  return { cwd, bus };
}

describe('vehicle init', () => {
  scenario(
    'writes a vehicle file of what answers, with which the ECUs are checked and programmed',
    async () => {
      const { cwd, bus } = await place();
      const scan = await run(['vehicle', 'init', '--yes', '--json', '--wait', '20', ...bus], {
        cwd,
      });
      expect(await scan.code(), scan.stderr).toBe(0);
      expect(scan.stderr).toMatch(/sending 512 requests \(3E 00\) in \d+ s or more on local:/);
      expect(scan.events).toMatchObject([
        { kind: 'found', request: 0x714, response: 0x77e, functional: true },
        { kind: 'found', request: 0x18da21f1, response: 0x18daf121, extended: true },
        { kind: 'written', file: 'vehicle.yaml', ecus: ['ECU_714', 'ECU_21'] },
      ]);
      const text = await readFile(path.join(cwd, 'vehicle.yaml'), 'utf8');
      expect(text).toContain('hardwareId: "LAMP-HW-2"');
      expect(text).toMatch(/^ +address: \{ mode: normal-fixed, ecu: 0x21 \}/m);
      const valid = await run(['vehicle', 'check', 'vehicle.yaml'], { cwd });
      expect(await valid.code(), valid.stderr).toBe(0);

      const vehicle = ['--vehicle', 'vehicle.yaml', ...bus];
      const checked = await run(['check', ...vehicle], { cwd });
      expect(await checked.code(), checked.stderr).toBe(0);
      expect(checked.lines.at(-1)).toBe('all 2 ECUs answer');
      await writeFile(
        path.join(cwd, 'lamp.bin'),
        `can-ota firmware LAMP 2.0.0\n${'x'.repeat(500)}`,
      );
      const flashed = await run(
        ['flash', 'ECU_714', 'lamp.bin@0x08000000', '--version', '2.0.0', ...vehicle],
        { cwd },
      );
      expect(await flashed.code(), flashed.stderr).toBe(0);

      const again = await run(['vehicle', 'init', '--yes', ...bus], { cwd });
      expect(await again.code()).toBe(2);
      expect(again.stderr).toContain('vehicle.yaml is there already and is never replaced');
      expect(await readFile(path.join(cwd, 'vehicle.yaml'), 'utf8')).toBe(text);
    },
  );

  scenario('asks before it sends, and sends nothing without a yes', async () => {
    const { cwd, bus } = await place();
    const trace = path.join(cwd, 'scan.log');
    const args = ['vehicle', 'init', '--trace', trace, ...bus];
    const unasked = await run(args, { cwd });
    expect(await unasked.code()).toBe(2);
    expect(unasked.stderr).toMatch(
      /--yes: this sends 512 requests .* there is no terminal to ask on/,
    );
    expect(await readFile(trace, 'utf8')).toBe('');
    expect(await readdir(cwd)).not.toContain('vehicle.yaml');
    if (!hasScript) return;
    const terminal = new Terminal(cwd, { ...process.env, NO_COLOR: '1' });
    const words = [process.execPath, cli, ...args].map((word) => `'${word}'`);
    terminal.type(`${words.join(' ')}; echo ended with $?\n`);
    await terminal.shows('Go on? [y/N]');
    terminal.type('n\n');
    await terminal.shows('nothing was sent');
    await terminal.shows('ended with 3');
    expect(await readFile(trace, 'utf8')).toBe('');
  });

  scenario('says so when nothing answers, and writes nothing', async () => {
    const cwd = await folder();
    const args = ['vehicle', 'init', '--yes', '--ids', '11', '--wait', '10', '--bus', freshBus()];
    const scan = await run(args, { cwd });
    expect(await scan.code(), scan.stderr).toBe(13);
    expect(scan.stderr).toMatch(/no ECU answered, so no file is written: check power/);
    expect(await readdir(cwd)).toEqual([]);
  });

  scenario('writes templates without a bus', async () => {
    const cwd = await folder();
    const vin = '1CANXTATEST000009';
    const engine = await run(
      ['vehicle', 'init', 'engine.yaml', '--template', 'vw-like', '--vin', vin],
      { cwd },
    );
    expect(await engine.code(), engine.stderr).toBe(0);
    const valid = await run(['vehicle', 'check', 'engine.yaml'], { cwd });
    expect(valid.lines[0]).toContain(`${vin}, 1 ECUs`);
    const bench = await run(['vehicle', 'init', '-', '--template', 'bench', '--vin', vin], { cwd });
    const fresh = await run(['vehicle', 'new', vin], { cwd });
    expect(bench.lines).toEqual(fresh.lines);
    expect(await readdir(cwd)).toEqual(['engine.yaml']);
    for (const [args, message] of [
      [['--template', 'no-such'], 'no-such is not known'],
      [['--template', 'bench', '--vin', 'SHORT'], 'expected 17 characters'],
      [['--wait', '1', '--yes'], 'expected 10 to 5000 ms'],
    ] as const) {
      const refused = await run(['vehicle', 'init', 'x.yaml', ...args], { cwd });
      expect(await refused.code(), args.join(' ')).toBe(2);
      expect(refused.stderr).toContain(message);
    }
  });
});
