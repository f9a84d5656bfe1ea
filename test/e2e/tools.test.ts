// The tools of the bench, each as its user calls it: flash, read, monitor, ecu, and the users of a server.

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { cli, folder, root, run, scenario, start } from './support/processes.ts';
import { image, sha256, startBenchVehicle } from './support/vehicle.ts';

describe('tools', () => {
  scenario('flash keeps away from the bus of another tester, read and monitor say so', async () => {
    const vehicle = await startBenchVehicle(['EDT']);
    const keys = ['--bus', vehicle.bus, '--bench-keys'];
    const edt = await image('EDT', 4000, '2.5.0');
    const flash = ['flash', 'EDT', edt.file, '--version', '2.5.0', '--log-level', 'error', ...keys];
    const tmu = start(
      [
        ...['tmu', '--server', 'http://127.0.0.1:9', '--state-dir', await folder()],
        ...['--log-level', 'silent', ...keys],
      ],
      { supervised: true },
    );
    await tmu.ready;
    const said = `${vehicle.bus.split('?')[0]}: can-ota tmu (process ${tmu.process.pid}) is the tester on this bus`;

    const refused = await run([...flash, '--json']);
    expect(await refused.code()).toBe(14);
    expect(refused.last).toMatchObject({ error: { code: 'BUS_IN_USE', exitCode: 14 } });
    expect(refused.stderr).toContain(said);
    expect((await vehicle.banks('EDT')).map(sha256)).not.toContain(edt.sha256);

    const read = await run(['read', 'EDT', 'F189', ...keys]);
    expect(await read.code()).toBe(0);
    expect(read.stderr).toContain(said);
    const monitor = start(['monitor', '--bus', vehicle.bus], { supervised: true });
    await monitor.ready;
    monitor.kill('SIGTERM');
    expect(await monitor.code()).toBe(0);
    expect(monitor.stderr).toContain(said);

    const beside = await run([...flash, '--beside']);
    expect(beside.stderr).toContain(said);
    expect(await beside.code()).toBe(0);
    tmu.kill('SIGKILL');
    await tmu.exited;
    const alone = await run(flash);
    expect(await alone.code()).toBe(0);
    expect(alone.stderr).toBe('');
  });

  scenario('flash and read speak with an ECU, monitor listens', async () => {
    const vehicle = await startBenchVehicle(['EDT']);
    const bus = ['--bus', vehicle.bus];
    const keys = [...bus, '--bench-keys'];
    const monitor = start(['monitor', '--json', ...bus], { supervised: true });
    await monitor.ready;
    const edt = await image('EDT', 50_000, '2.5.0');

    // Without warnings: on a busy machine an answer may come after P2, and the block is sent again.
    const flash = await run([
      ...[
        'flash',
        'EDT',
        edt.file,
        '--version',
        '2.5.0',
        '--json',
        '--log-level',
        'error',
        ...keys,
      ],
    ]);
    expect(flash.stderr).toBe('');
    expect(await flash.code()).toBe(0);
    expect(flash.last).toMatchObject({
      ...{ kind: 'result', ecu: 'EDT', ok: true, from: '1.0.0', reported: '2.5.0' },
      ...{ sha256: edt.sha256, imageSha256: edt.sha256, bytes: 50_000, warnings: [] },
    });
    expect(flash.events.length).toBe(flash.lines.length);
    expect((await vehicle.banks('EDT')).map(sha256)).toContain(edt.sha256);

    const read = await run(['read', 'EDT', 'F189', 'F190', 'FFFF', '--json', ...keys]);
    expect(await read.code()).toBe(13);
    expect(read.events).toMatchObject([
      { ecu: 'EDT', did: 'F189', text: '2.5.0', bytes: Buffer.from('2.5.0').toString('hex') },
      { ecu: 'EDT', did: 'F190', text: '1CANXTABENCH00001' },
      { ecu: 'EDT', did: 'FFFF', error: { code: 'REFUSED' } },
    ]);
    expect(read.stderr).toContain('does not know DID FFFF');
    const known = await run(['read', 'EDT', 'F18C', ...keys]);
    expect(await known.code()).toBe(0);
    expect(known.lines).toEqual([expect.stringMatching(/^F18C {2}\S+ {2}/)]);

    await monitor.event({ kind: 'message' }, ({ text }) => /FFFF/i.test(String(text)));
    monitor.kill('SIGTERM');
    expect(await monitor.code()).toBe(0);
    expect(monitor.last).toMatchObject({ kind: 'summary', errors: 0 });
    expect(Number(monitor.last.frames)).toBeGreaterThan(50_000 / 7);

    // No ECU on the bus has this name; and a wrong secret.
    const silent = await run(['flash', 'INV', edt.file, '--json', ...keys]);
    expect(await silent.code()).toBe(13);
    expect(silent.last).toMatchObject({ ok: false, error: { code: 'SILENT' } });
    expect(silent.stderr).toContain('check power, wiring');
    const secrets = await readFile(path.join(root, 'ecus', 'bench-vehicle.yaml'), 'utf8');
    const wrong = path.join(await folder(), 'wrong.yaml');
    await writeFile(wrong, secrets.replaceAll(/secret: c0de/g, 'secret: beef'));
    const other = await image('EDT', 4000, '2.6.0');
    const before = (await vehicle.banks('EDT')).map(sha256);
    const refused = await run([
      ...['flash', 'EDT', other.file, '--version', '2.6.0', '--json', '--vehicle', wrong, ...keys],
    ]);
    expect(await refused.code()).toBe(7);
    expect(refused.last).toMatchObject({ ok: false, error: { code: 'SECURITY' } });
    expect(refused.stderr).toContain('secret in the vehicle file');
    expect((await vehicle.banks('EDT')).map(sha256)).toEqual(before);

    const edtProcess = vehicle.ecu('EDT').kill('SIGTERM');
    expect(await edtProcess.code()).toBe(0);
    expect(edtProcess.stderr).toBe('');
  });

  scenario('output can be cut off by a pipe', async () => {
    const log = path.join(await folder(), 'long.log');
    const line = (at: number): string =>
      `(${(at / 1000).toFixed(6)}) can0 7E1#0322F18900000000\n(${(at / 1000 + 0.001).toFixed(6)}) can0 7E9#0762F189312E3030\n`;
    await writeFile(log, Array.from({ length: 20_000 }, (_, index) => line(index)).join(''));
    const piped = await run([], {
      program: [
        ...['sh', '-c', '"$0" "$1" monitor --file "$2" | head -1'],
        ...[process.execPath, cli, log],
      ],
    });
    expect(piped.lines).toHaveLength(1);
    expect(piped.stderr).toBe('');
  });

  scenario('monitor says which lines of a log it cannot read', async () => {
    const place = await folder();
    const mixed = path.join(place, 'mixed.log');
    await writeFile(
      mixed,
      '(1.000000) can0 7E1#0322F189\n\nwhat is this\n(1.100000) can0 7E9#037F2231\n',
    );
    const text = path.join(place, 'text.log');
    await writeFile(text, 'no log\n\nat all\n');
    const [some, none, missing] = await Promise.all([
      run(['monitor', '--file', mixed, '--json']),
      run(['monitor', '--file', text]),
      run(['monitor', '--file', path.join(place, 'missing')]),
    ]);
    expect(await some.code()).toBe(0);
    expect(some.stderr).toContain(`${mixed}:3: not a line of candump`);
    expect(some.last).toMatchObject({ kind: 'summary', frames: 2, messages: 2 });
    expect(await none.code()).toBe(2);
    expect(none.stderr).toContain('holds no line of a candump log');
    expect(await missing.code()).toBe(2);
    expect(missing.stderr).toContain('does not exist');
  });

  scenario('people are added with a password from standard input', async () => {
    const data = ['--data', await folder()];
    const add = ['server', 'user', 'add', 'alice', '--role', 'admin', ...data];
    const short = await run(add, { input: 'short\n' });
    expect(await short.code()).toBe(2);
    expect(short.stderr).toMatch(/password: too short: use at least \d+ characters/);
    const nothing = await run(add);
    expect(await nothing.code()).toBe(2);
    expect(nothing.stderr).toContain('standard input holds none');
    const empty = await run(['server', 'user', 'list', '--json', ...data]);
    expect(empty.lines).toEqual([]);

    const added = await run(add, { input: 'a long enough password\n' });
    expect(await added.code()).toBe(0);
    expect(added.lines).toEqual(['alice may log in as admin']);
    const list = await run(['server', 'user', 'list', '--json', ...data]);
    expect(list.events).toEqual([{ name: 'alice', role: 'admin' }]);
    const twice = await run(add, { input: 'a long enough password\n' });
    expect(await twice.code()).toBe(2);
    expect(twice.stderr).toContain('alice exists already');
    const role = await run(['server', 'user', 'add', 'bob', '--role', 'king', ...data]);
    expect(await role.code()).toBe(2);
    expect(role.stderr).toContain('admin, viewer');
  });
});
