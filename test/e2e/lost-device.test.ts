// A device that lost its flash and keeps its chip, and a copied state directory: docs/operations/lost-device.md repairs
// both.

import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { DocsPage } from './support/docs-page.ts';
import { freshBus, type Run, root, run, scenario, start } from './support/processes.ts';
import { image, outcomeOf } from './support/vehicle.ts';

async function succeeds(args: readonly string[]): Promise<Run> {
  const done = await run(args);
  expect(done.exit?.code, String(done)).toBe(0);
  return done;
}

async function tokens(place: string, ...roles: readonly string[]): Promise<void> {
  for (const role of roles) {
    const out = path.join(place, `${role}.token`);
    const data = path.join(place, 'data');
    await succeeds(['server', 'token', role, '--role', role, '--data', data, '--out', out]);
  }
}

describe('a lost device', () => {
  scenario(
    'a small device is enrolled again on the same chip, and its copy is a twin',
    async () => {
      const page = await DocsPage.open('operations/lost-device');
      const at = (name: string): string => path.join(page.place, name);
      await tokens(page.place, 'factory');
      await succeeds(['keys', 'device-key', '--out', at('release.pem')]);
      await cp(at('release.pem.pub'), at('release.pub.pem'));
      const server = start(['server', '--port', '0', '--data', at('data'), '--json'], {
        supervised: true,
      });
      const { url } = (await server.ready) as { url: string };
      const enrol = 'A small device: enrol it again';
      const first = await page.does(enrol, { url });
      expect(first).toMatch(/^CO-000001\tactive\t.*pump-chip-1$/m);
      const look = (state: string) =>
        run(['device', 'run', '--once', '--json', '--server', url, '--state-dir', at(state)]);

      // The state directory is copied: two devices have one key.
      await cp(at('pump'), at('copy'), { recursive: true });
      expect(await (await look('pump')).code()).toBe(5);
      expect(await (await look('copy')).code()).toBe(5);
      expect(await page.does('Look')).toMatch(/^ {2}TWIN: 1 time, last .*was copied/m);

      await rm(at('pump'), { recursive: true });
      const circle = await page.section(enrol, { url });
      expect(circle.exit?.code).not.toBe(0);
      expect(circle.stderr).toContain('can-ota server device reopen CO-000001');
      await rm(at('pump'), { recursive: true });
      await page.does('Open the serial again');
      const again = await page.does(enrol, { url });
      expect(again).toMatch(/^CO-000001\tactive\t.*pump-chip-1$/m);
      expect(again).not.toContain('TWIN');
      expect(await (await look('pump')).code()).toBe(5);
      const copy = await look('copy');
      expect(await copy.code()).not.toBe(5);
      page.expectAllTried(['A vehicle: provision it again']);
    },
  );

  scenario('an ECU and a TMU of a vehicle are provisioned again, and updated', async () => {
    const page = await DocsPage.open('operations/lost-device');
    const at = (name: string): string => path.join(page.place, name);
    const text = await readFile(path.join(root, 'ecus', 'bench-vehicle.yaml'), 'utf8');
    const two = text.slice(0, text.indexOf('  - name: INV'));
    await writeFile(at('vehicle.yaml'), two.replaceAll(/^ +(?:secret|key): .*\n/gm, ''));
    await writeFile(at('factory.key'), `${'5a'.repeat(32)}\n`, { mode: 0o600 });
    await succeeds(['keys', 'init', '--dir', at('ceremony')]);
    await succeeds(['keys', 'export-online', at('trust'), '--dir', at('ceremony')]);
    await tokens(page.place, 'factory', 'release');
    const server = start(
      ['server', '--port', '0', '--data', at('data'), '--trust', at('trust'), '--json'],
      { supervised: true },
    );
    const { url } = (await server.ready) as { url: string };
    const bus = freshBus();
    const shared = ['--bus', bus, '--vehicle', at('vehicle.yaml')];
    const ecu = async (): Promise<Run> => {
      const edt = start(['ecu', 'EDT', '--json', '--flash', at('edt'), ...shared], {
        supervised: true,
      });
      await edt.ready;
      return edt;
    };
    const cgw = start(['cgw', '--approve', 'yes', '--flash', at('cgw'), ...shared], {
      supervised: true,
    });
    let edt = await ecu();
    await cgw.ready;
    const provision = 'A vehicle: provision it again';
    const here = { url, replace: { can0: `'${bus}'` } };
    expect(await page.does(provision, here)).toMatch(/^CO-000003\tactive/m);
    const update = async (version: string): Promise<unknown> => {
      const { file } = await image('EDT', 20_000, version);
      await succeeds([
        ...['release', 'add', file, '--ecu', 'EDT', '--version', version],
        ...['--hardware', 'EDT-HW-1', '--keys', at('ceremony')],
        ...['--server', url, '--token-file', at('release.token')],
      ]);
      const tmu = ['tmu', '--once', '--json', '--server', url, '--state-dir', at('state')];
      return outcomeOf(await run([...tmu, ...shared]));
    };
    expect(await update('2.0.0')).toMatchObject({ outcome: 'SUCCESS' });

    // The flash of the EDT is lost; its chip still has its number.
    edt.kill();
    await edt.exited;
    for (const name of await readdir(at('edt'))) {
      if (name !== 'chip-id') await rm(path.join(at('edt'), name), { recursive: true });
    }
    edt = await ecu();
    const circle = await page.section(provision, here);
    expect(circle.exit?.code).not.toBe(0);
    const list = await succeeds(['server', 'device', 'list', '--json', '--data', at('data')]);
    const serial = String(list.events.find(({ name }) => name === 'EDT')!.serial);
    expect(`${circle.stderr}${circle.lines.join()}`).toContain(
      `can-ota server device reopen ${serial}`,
    );
    await page.does('Open the serial again', { replace: { 'CO-000001': serial } });
    expect(await page.does(provision, here)).toMatch(new RegExp(`^${serial}\tactive`, 'm'));
    expect(await update('3.0.0')).toMatchObject({ outcome: 'SUCCESS' });

    // The state directory of the TMU is lost.
    await rm(at('state'), { recursive: true });
    const lost = await page.section(provision, here);
    expect(`${lost.stderr}${lost.lines.join()}`).toContain(
      'can-ota server device reopen CO-000001',
    );
    await page.does('Open the serial again');
    expect(await page.does(provision, here)).toMatch(/^CO-000001\tactive/m);
    expect(await update('4.0.0')).toMatchObject({ outcome: 'SUCCESS' });
    page.expectAllTried(['Look', 'A small device: enrol it again']);
  });
});
