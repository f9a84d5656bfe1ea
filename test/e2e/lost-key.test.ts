// A key was lost or stolen: the commands of docs/operations/lost-key.md repair it, up to the update of an ECU.

import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { DocsPage } from './support/docs-page.ts';
import { run, scenario } from './support/processes.ts';
import { cycle, image, outcomeOf, TestFactory } from './support/vehicle.ts';

describe('a lost key', () => {
  scenario('is replaced over the network: Targets, Root and online keys', async () => {
    const factory = await TestFactory.open(['CGW', 'EDT']);
    let backend = await factory.backend();
    const page = await DocsPage.open('operations/lost-key');
    const ceremony = path.join(backend.home, 'keys');
    await page.use('ceremony', ceremony);
    await page.use('release.token', await backend.tokenFile());
    const vehicle = await factory.vehicle();
    const state = await factory.state();
    const update = async (version: string): Promise<void> => {
      await backend.release(await image('EDT', 4000, version));
      const looked = await cycle({ vehicle, server: backend.url, state });
      expect(outcomeOf(looked), String(looked)).toMatchObject({ outcome: 'SUCCESS' });
      expect(await vehicle.version('EDT')).toBe(version);
    };
    const keysOf = async (): Promise<string[]> =>
      (await readdir(path.join(ceremony, 'private'))).sort();

    await update('2.0.0');
    const before = await keysOf();
    expect(await page.does('Look')).toContain('images Root 1');

    const targets = await page.does('A Targets key of the image repository', { url: backend.url });
    expect(targets).toContain('EDT 2.0.0');
    await update('3.0.0');

    // The file of a Root key is lost for good.
    await rm(
      path.join(ceremony, 'private', before.find((name) => name.startsWith('images-root-1'))!),
    );
    await page.does('A Root key', { url: backend.url });
    await update('4.0.0');

    await page.does('The online keys of the backend');
    page.expectAllTried();
    const trust = path.join(page.place, 'new-trust');
    await backend.stop();
    backend = await backend.startAgain({ more: ['--trust', trust] });
    await update('5.0.0');
    const listed = await run(['keys', 'list', '--json', '--dir', ceremony]);
    expect(await listed.code()).toBe(0);
    expect(await keysOf()).toHaveLength(before.length - 1 + 1 + 1 + 6);
  });
});
