// Pages whose commands no other test runs: releases, remote features, small devices, throttling. Run as they stand there.

import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { PASSWORD, PERSON } from '../support/provisioned-world.ts';
import { DocsPage } from './support/docs-page.ts';
import { freePort } from './support/http.ts';
import { freshBus, root, run, scenario, start } from './support/processes.ts';
import { startTmu, TestFactory } from './support/vehicle.ts';

describe('the page', () => {
  scenario('releases leads from keys to an updated vehicle', async () => {
    const page = await DocsPage.open('releases');
    const at = (name: string): string => path.join(page.place, name);
    const text = await readFile(path.join(root, 'ecus', 'bench-vehicle.yaml'), 'utf8');
    const two = text.slice(0, text.indexOf('  - name: INV'));
    await writeFile(at('vehicle.yaml'), two.replaceAll(/^ +(?:secret|key): .*\n/gm, ''));
    await writeFile(at('edt.bin'), randomBytes(20_000));
    const env = { CAN_OTA_PASSPHRASE: 'a passphrase for tests' };
    await page.does('Keys and tokens', { env });
    const port = String(await freePort());
    const server = page.starts('The backend', { env, replace: { '8080': port } });
    await server.line(/listening on/);
    const bus = freshBus();
    const shared = ['--bus', bus, '--vehicle', at('vehicle.yaml')];
    const ecus = [
      start(['ecu', 'EDT', '--flash', at('flash/edt'), ...shared], { supervised: true }),
      start(['cgw', '--approve', 'yes', '--flash', at('flash/cgw'), ...shared], {
        supervised: true,
      }),
    ];
    await Promise.all(ecus.map((ecu) => ecu.ready));
    const said = await page.does('A vehicle and its first release', {
      env,
      url: `http://127.0.0.1:${port}`,
      replace: { can0: `'${bus}'`, 'can-ota tmu': 'can-ota tmu --once' },
    });
    expect(said).toMatch(/SUCCESS/);
    page.expectAllTried();
  });

  scenario('remote features configures, commands and measures a vehicle', async () => {
    const factory = await TestFactory.open(['CGW', 'INV']);
    const backend = await factory.backend();
    const page = await DocsPage.open('remote-features');
    await page.use('data', backend.data);
    const vehicle = await factory.vehicle();
    const state = await factory.state();
    const { url } = backend;
    startTmu({ vehicle, server: url, state, more: ['--sync', '1', '--poll', '2'] });
    const said = await page.does('At the command line', {
      replace: { URL: url, VIN: '1CANXTABENCH00001', '--since 10m': '--since 10m --json' },
    });
    expect(said).toMatch(/setPowerLimit/);
    // The rest of the page: services.test.ts.
    page.expectAllTried(['On your desk']);
  });

  scenario('small devices leads from a key to an updated and a withdrawn package', async () => {
    const page = await DocsPage.open('small-devices');
    const at = (name: string): string => path.join(page.place, name);
    await writeFile(at('pump.bin'), 'new software '.repeat(500));
    for (const role of ['factory', 'release']) {
      const out = at(`${role}.token`);
      const token = ['server', 'token', role, '--role', role, '--data', at('data'), '--out', out];
      expect(await (await run(token)).code()).toBe(0);
    }
    const server = start(['server', '--port', '0', '--data', at('data'), '--json'], {
      supervised: true,
    });
    const { url } = (await server.ready) as { url: string };
    const said = await page.does('At the command line', {
      replace: { URL: url, 'can-ota device run': 'can-ota device run --once' },
    });
    expect(said).toMatch(/1\.1\.0/);
    expect(said).toMatch(/PUMP-1 1\.1\.0 is withdrawn/);
    page.expectAllTried();
  });

  scenario('throttling shows what the guards refused, and changes tokens', async () => {
    const factory = await TestFactory.open(['CGW', 'EDT']);
    const backend = await factory.backend();
    const page = await DocsPage.open('operations/throttling');
    const at = (name: string): string => path.join(page.place, name);
    await page.use('data', backend.data);
    const token = ['server', 'token', 'ops', '--role', 'operator', '--data', backend.data];
    expect(await (await run([...token, '--out', at('operator-token.txt')])).code()).toBe(0);
    const line = ['server', 'token', 'line-1', '--role', 'factory', '--data', backend.data];
    expect(await (await run(line)).code()).toBe(0);
    await writeFile(at('log-in.json'), JSON.stringify({ name: PERSON, password: PASSWORD }));
    const { url } = backend;
    const seen = await page.does('How an operator sees it', { url });
    expect(seen).toMatch(/^can_ota_guard_refused_total\{guard="address"\} \d+$/m);
    expect(seen).toContain('refused.rate');
    const changed = await page.does('What an operator does');
    expect(changed).toMatch(/^line-1\tfactory/m);
    const left = await run(['server', 'token', '--list', '--data', backend.data]);
    expect(left.lines.join('\n')).toMatch(/^line-2\tfactory/m);
    expect(left.lines.join('\n')).not.toMatch(/^line-1\t/m);
    page.expectAllTried();
  });
});
