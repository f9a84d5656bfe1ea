// From the key ceremony to the flash with the real commands, and images that are not installed: unsigned,
// unencrypted, not assigned.

import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { folder, freshBus, type Run, root, run, scenario, start } from './support/processes.ts';
import { cycle, image, outcomeOf, sha256, TestFactory } from './support/vehicle.ts';

/** SID 31 01 FF00: the routine that erases a bank. */
const ERASE = /#\S*3101FF00/;

/** CGW and EDT of the bench vehicle, without the public secrets. */
async function ownVehicle(place: string): Promise<string> {
  const text = await readFile(path.join(root, 'ecus', 'bench-vehicle.yaml'), 'utf8');
  const file = path.join(place, 'vehicle.yaml');
  const two = text.slice(0, text.indexOf('  - name: INV'));
  await writeFile(file, two.replaceAll(/^ +(?:secret|key): .*\n/gm, ''));
  return file;
}

async function succeeds(args: readonly string[]): Promise<Run> {
  const done = await run(args);
  expect(done.exit?.code, String(done)).toBe(0);
  return done;
}

describe('trust', () => {
  scenario('is made by a ceremony, a factory and a release, and ends with the device', async () => {
    const place = await folder();
    const at = (name: string): string => path.join(place, name);
    const vehicle = await ownVehicle(place);
    const bus = freshBus();
    const shared = ['--bus', bus, '--vehicle', vehicle];

    await succeeds(['keys', 'init', '--dir', at('ceremony')]);
    await succeeds(['keys', 'export-online', at('trust'), '--dir', at('ceremony')]);
    for (const role of ['factory', 'release']) {
      const token = await succeeds(['server', 'token', role, '--role', role, '--data', at('data')]);
      await writeFile(at(`${role}.token`), `${token.lines.join('\n')}\n`, { mode: 0o600 });
    }
    const server = start(
      ['server', '--port', '0', '--data', at('data'), '--trust', at('trust'), '--json'],
      { supervised: true },
    );
    const { url } = (await server.ready) as { url: string };
    const ecus = [
      start(['ecu', 'EDT', '--json', '--flash', at('edt'), ...shared], { supervised: true }),
      start(['cgw', '--approve', 'yes', '--flash', at('cgw'), ...shared], { supervised: true }),
    ];
    await Promise.all(ecus.map((ecu) => ecu.ready));

    const tmu = ['tmu', '--once', '--json', '--server', url, '--state-dir', at('state'), ...shared];
    const nobody = await run(tmu);
    expect(await nobody.code()).toBe(2);
    expect(nobody.stderr).toContain('can-ota provision');

    const provision = [
      ...['provision', '--json', '--server', url, '--token-file', at('factory.token')],
      ...['--trust', at('trust'), '--state-dir', at('state'), '--device-file', at('tmu-chip')],
    ];
    // The line stops in the middle of its work and starts again.
    const stopped = start([...provision, ...shared]);
    await stopped.event({ kind: 'step' });
    stopped.kill('SIGKILL');
    await stopped.exited;
    const done = await succeeds([...provision, ...shared]);
    expect(done.last).toMatchObject({
      ...{ kind: 'result', ok: true, vin: '1CANXTABENCH00001', failures: [] },
      devices: expect.arrayContaining([
        expect.objectContaining({ name: 'TMU', serial: 'CO-000001' }),
        expect.objectContaining({ name: 'CGW', serial: 'CO-000002' }),
        expect.objectContaining({ name: 'EDT', serial: 'CO-000003' }),
      ]),
    });
    const identity = await readFile(at('state/identity.json'), 'utf8');
    expect((await stat(at('state/identity.json'))).mode & 0o777).toBe(0o600);
    const again = await succeeds([...provision, ...shared]);
    const states = (again.last.devices as { status: string }[]).map(({ status }) => status);
    expect(states).toEqual(['already', 'already', 'already']);
    expect(await readFile(at('state/identity.json'), 'utf8')).toBe(identity);
    const list = await succeeds(['server', 'device', 'list', '--json', '--data', at('data')]);
    expect(list.events.map(({ status }) => status)).toEqual(['active', 'active', 'active']);
    const secret = await run(['read', 'EDT', 'FD13', '--json', ...shared]);
    expect(secret.last).toMatchObject({ error: { code: 'SECURITY' } });

    const edt = await image('EDT', 20_000);
    await succeeds([
      ...['release', 'add', edt.file, '--ecu', 'EDT', '--version', '2.0.0'],
      ...['--hardware', 'EDT-HW-1', '--keys', at('ceremony')],
      ...['--server', url, '--token-file', at('release.token')],
    ]);
    const update = await succeeds(tmu);
    expect(outcomeOf(update)).toMatchObject({ outcome: 'SUCCESS' });
    const version = await run(['read', 'EDT', 'F189', '--json', ...shared]);
    expect(version.last.text).toBe('2.0.0');

    // A copy of the state directory on another chip, and a copy that claims to be on this chip.
    await writeFile(at('other-chip'), `${'ab'.repeat(16)}\n`);
    const other = await run([...tmu, '--device-file', at('other-chip')]);
    expect(await other.code()).toBe(7);
    expect(other.last).toMatchObject({ error: { code: 'OTHER_CHIP' } });
    const forged = { ...JSON.parse(identity), hwId: 'ab'.repeat(16) };
    await writeFile(at('state/identity.json'), JSON.stringify(forged));
    const copied = await run([...tmu, '--device-file', at('other-chip')]);
    expect(outcomeOf(copied)).toMatchObject({ outcome: 'BACKEND_UNAVAILABLE' });
    expect(String(outcomeOf(copied).reason)).toContain('OTHER_CHIP');
    await writeFile(at('state/identity.json'), identity);
    expect(outcomeOf(await run([...tmu, '--device-file', at('tmu-chip')]))).toMatchObject({
      outcome: 'UP_TO_DATE',
    });

    await succeeds(['server', 'device', 'revoke', 'CO-000001', '--data', at('data')]);
    const refused = await run(tmu);
    expect(await refused.code()).toBe(11);
    expect(outcomeOf(refused)).toMatchObject({ outcome: 'BACKEND_UNAVAILABLE' });
    expect(String(outcomeOf(refused).reason)).toContain('401');
  });

  scenario('a factory says what is wrong before anything has changed', async () => {
    const factory = await TestFactory.open(['CGW', 'EDT']);
    const backend = await factory.backend();
    const place = await folder();
    const vehicle = await factory.vehicle({
      flash: place,
      faults: { EDT: ['hardware-id=EDT-HW-9'] },
    });
    const token = path.join(place, 'token');
    await writeFile(token, 'cot-wrong\n', { mode: 0o600 });
    const common = ['--server', backend.url, '--state-dir', path.join(place, 'state')];
    const trust = ['--trust', path.join(backend.home, 'trust')];
    const provision = (...args: string[]): Promise<Run> =>
      run(['provision', '--json', '--token-file', token, ...common, ...args]);

    const wrongPart = await provision(...trust, ...vehicle.shared);
    expect(await wrongPart.code()).toBe(13);
    expect(wrongPart.last).toMatchObject({ ok: false, failures: [{ code: 'WRONG_HARDWARE' }] });
    expect(wrongPart.stderr).toContain('EDT-HW-9');
    const wrongToken = await provision('CGW', ...trust, ...vehicle.shared);
    expect(await wrongToken.code()).toBe(2);
    expect(wrongToken.stderr).toContain('401');
    const shipped = await provision(...trust, '--bus', vehicle.bus);
    expect(await shipped.code()).toBe(2);
    expect(shipped.stderr).toContain('security.secret of CGW: is a secret that comes with can-ota');
    const noTrust = await provision('--trust', place, ...vehicle.shared);
    expect(await noTrust.code()).toBe(2);
    expect(noTrust.stderr).toContain('can-ota keys init');
    await chmod(token, 0o644);
    const open = await provision(...trust, ...vehicle.shared);
    expect(await open.code()).toBe(2);
    expect(open.stderr).toContain('chmod 600');
    for (const name of ['CGW', 'EDT']) {
      expect((await vehicle.read(name, 'FD11')).bytes, name).toBe('00');
    }
    await expect(stat(path.join(place, 'state', 'identity.json'))).rejects.toThrow('ENOENT');
  });

  scenario('an image that somebody uploaded and nobody signed is not installed', async () => {
    const factory = await TestFactory.open();
    const backend = await factory.backend();
    const vehicle = await factory.vehicle();
    const state = await factory.state();
    await backend.upload(await image('EDT', 5000, '6.6.6'));
    const trace = path.join(state, 'unsigned.log');
    const more = ['--once', '--trace', trace];
    const quiet = await cycle({ vehicle, server: backend.url, state, more });
    expect(outcomeOf(quiet)).toMatchObject({ outcome: 'UP_TO_DATE' });
    expect(await readFile(trace, 'utf8')).not.toMatch(ERASE);
    expect(await vehicle.version('EDT')).toBe('1.0.0');
    expect(await backend.page('/')).toMatch(/not signed/i);

    // The same backend and vehicle: the signed image is installed.
    await backend.release(await image('INV', 5000, '1.1.0'));
    const signed = await cycle({ vehicle, server: backend.url, state });
    expect(outcomeOf(signed)).toMatchObject({ outcome: 'SUCCESS', ecus: [{ name: 'INV' }] });
    expect(await vehicle.version('EDT')).toBe('1.0.0');
  });

  scenario('an encrypted image is plain in the flash, and nowhere on its way', async () => {
    const factory = await TestFactory.open();
    const backend = await factory.backend();
    const vehicle = await factory.vehicle();
    const state = await factory.state();
    // No five characters of these occur in the printed texts: `identity` is on the bus, too.
    const [hidden, shown] = ['7#Q~9$Z^2%K&', '5@W!8*J+3=V?'];
    const secret = Buffer.alloc(30_001, hidden);
    const open = Buffer.alloc(9001, shown);
    const [edt, inv] = [
      await image('EDT', 0, '2.0.0', secret),
      await image('INV', 0, '2.0.0', open),
    ];
    await backend.releaseEncrypted(edt);
    await backend.release(inv);
    const trace = path.join(state, 'encrypted.log');
    const more = ['--once', '--trace', trace];
    const update = await cycle({ vehicle, server: backend.url, state, more });
    expect(outcomeOf(update)).toMatchObject({
      outcome: 'SUCCESS',
      ecus: [
        { name: 'EDT', sha256: edt.sha256 },
        { name: 'INV', sha256: inv.sha256 },
      ],
    });
    expect((await vehicle.banks('EDT')).map(sha256)).toContain(edt.sha256);
    expect((await vehicle.banks('INV')).map(sha256)).toContain(inv.sha256);
    // The seven bytes of a consecutive frame hold five of any twelve in a row, wherever the twelve begin.
    const frames = (await readFile(trace, 'utf8')).toLowerCase();
    const pieces = (text: string): string[] =>
      Array.from({ length: text.length }, (_, from) =>
        Buffer.from((text + text).slice(from, from + 5)).toString('hex'),
      );
    expect(pieces(shown).filter((piece) => frames.includes(piece))).toHaveLength(12);
    expect(pieces(hidden).filter((piece) => frames.includes(piece))).toEqual([]);
    // The TMU only has the encrypted bytes.
    const kept = await run(['-rlF', hidden, state, backend.home], { program: ['grep'] });
    expect(kept.lines.filter((file) => file.startsWith(state))).toEqual([]);
  });

  scenario('an ECU may verify both repositories by itself', async () => {
    const factory = await TestFactory.open();
    const backend = await factory.backend();
    const vehicle = await factory.vehicle({ changes: { EDT: { verification: 'full' } } });
    const edt = await image('EDT', 12_000);
    await backend.release(edt, await image('INV', 3000));
    const state = await factory.state();
    const update = await cycle({ vehicle, server: backend.url, state });
    expect(outcomeOf(update)).toMatchObject({ outcome: 'SUCCESS' });
    expect((await vehicle.banks('EDT')).map(sha256)).toContain(edt.sha256);
    const trusted = async (name: string) =>
      JSON.parse(String((await vehicle.read(name, 'FD20')).text)) as Record<string, unknown>;
    expect(await trusted('EDT')).toMatchObject({
      verification: 'full',
      director: { root: 1, timestamp: 1, snapshot: 1, targets: 1 },
      images: { root: 1, timestamp: 3, snapshot: 3, targets: 3 },
    });
    const partial = await trusted('INV');
    expect(partial).toMatchObject({ verification: 'partial', director: { root: 1, targets: 1 } });
    expect(partial).not.toHaveProperty('images.targets');
  });
});
