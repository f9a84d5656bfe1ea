// Two copies of a ceremony folder have diverged: the commands of docs/operations/forked-ceremony.md repair it.

import { cp, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { DocsPage } from './support/docs-page.ts';
import { folder, run, scenario } from './support/processes.ts';
import { cycle, image, outcomeOf, TestFactory } from './support/vehicle.ts';

describe('a forked ceremony', () => {
  scenario('is noticed before anything is signed, and becomes one again', async () => {
    const factory = await TestFactory.open(['CGW', 'EDT']);
    const backend = await factory.backend();
    const page = await DocsPage.open('operations/forked-ceremony');
    const other = path.join(await folder(), 'other');
    const ceremony = path.join(page.place, 'ceremony');
    await cp(path.join(backend.home, 'keys'), ceremony, { recursive: true });
    await cp(ceremony, other, { recursive: true });
    await page.use('release.token', await backend.tokenFile());
    const edt = await image('EDT', 20_000, '2.1.0');
    await page.use('edt.bin', edt.file);
    const { url } = backend;
    const add = (keys: string, file: string, version: string, ...more: string[]) =>
      run([
        ...['release', 'add', file, '--ecu', 'EDT', '--version', version],
        ...['--hardware', 'EDT-HW-1', '--keys', keys, '--json', ...more],
      ]);
    const online = ['--server', url, '--token-file', path.join(page.place, 'release.token')];

    // Both copies sign the same version of Targets: the other one with the backend, this one without a network.
    const first = await image('EDT', 20_000, '2.0.0');
    expect(await (await add(other, first.file, '2.0.0', ...online)).code()).toBe(0);
    expect(await (await add(ceremony, edt.file, '2.1.0')).code()).toBe(0);

    const look = await page.section('Look', { url });
    expect(look.exit?.code).toBe(2);
    expect(look.stderr).toMatch(/went apart after Targets 1 .*release pull/);
    const targets = await readFile(path.join(ceremony, 'images', '2.targets.json'));
    const refused = await add(ceremony, edt.file, '2.2.0', ...online);
    expect(await refused.code()).toBe(2);
    expect(await readFile(path.join(ceremony, 'images', '2.targets.json'))).toEqual(targets);
    const signing = await run([
      'keys',
      'refresh',
      '--within',
      '3650',
      '--dir',
      ceremony,
      '--server',
      url,
    ]);
    expect(await signing.code()).toBe(2);
    expect(signing.stderr).toContain('went apart');

    const pulled = await page.does('Take over the published state', { url });
    expect(pulled).toMatch(/EDT 2\.1\.0 .* is not published: release add it again/);
    await page.does('Release again what is not published', { url });
    await page.does('Avoid it', { url });
    page.expectAllTried();

    const vehicle = await factory.vehicle();
    const state = await factory.state();
    expect(outcomeOf(await cycle({ vehicle, server: url, state }))).toMatchObject({
      outcome: 'SUCCESS',
    });
    expect(await vehicle.version('EDT')).toBe('2.1.0');
    const behind = await add(other, edt.file, '2.2.0', ...online);
    expect(await behind.code()).toBe(2);
    expect(behind.stderr).toMatch(/has Targets 2, the backend has Targets 3/);
  });

  scenario('a release that waits for signatures does not look like a published one', async () => {
    const factory = await TestFactory.open(['CGW', 'EDT']);
    const backend = await factory.backend();
    const keys = path.join(backend.home, 'keys');
    const done = async (...args: string[]) => {
      const ended = await run([...args, '--dir', keys]);
      expect(ended.exit?.code, String(ended)).toBe(0);
    };
    await done('keys', 'create', 'bob');
    await done('keys', 'threshold', 'images', 'targets', '2', '--add', 'bob');
    const token = await backend.tokenFile();
    const edt = await image('EDT', 20_000);
    const add = await run([
      ...['release', 'add', edt.file, '--ecu', 'EDT', '--version', '2.0.0'],
      ...['--hardware', 'EDT-HW-1', '--keys', keys, '--key', 'bob', '--json'],
      ...['--server', backend.url, '--token-file', token],
    ]);
    expect(await add.code()).toBe(4);
    expect(add.last).toMatchObject({ published: false });
    const newest = await fetch(`${backend.url}/metadata/targets.json`);
    expect(((await newest.json()) as { signed: { version: number } }).signed.version).toBe(1);
  });
});
