// A backend restored from a backup reports it, signs only above the versions that vehicles know, and loses no release.

import { spawnSync } from 'node:child_process';
import { rename, symlink } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { DocsPage } from './support/docs-page.ts';
import { type Run, scenario } from './support/processes.ts';
import { cycle, image, outcomeOf, type TestBackend, TestFactory } from './support/vehicle.ts';

const HOT = 'Back up a server that runs';
const hasSqlite = spawnSync('sqlite3', ['--version']).status === 0;
if (!hasSqlite) {
  process.stderr.write(
    'left out: a backup while the server runs: install sqlite3 to run this part\n',
  );
}

async function health(backend: TestBackend): Promise<{ readonly notices?: readonly string[] }> {
  return (await (await fetch(`${backend.url}/healthz`)).json()) as { notices?: string[] };
}

describe('a backup of the backend', () => {
  scenario(
    'of yesterday is put back: one command and one push lead out, for partial and full verification',
    async () => {
      const factory = await TestFactory.open(['CGW', 'EDT', 'INV']);
      const made = await factory.backend();
      await made.stop();
      // The folder of the page is the folder of the server.
      const page = await DocsPage.open('operations/clock-and-backup');
      await rename(made.data, path.join(page.place, 'data'));
      await symlink(path.join(page.place, 'data'), made.data);
      await page.use('ceremony', made.keys);
      await page.use('release.token', await made.tokenFile());
      const first = await made.startAgain();
      const vehicle = await factory.vehicle({ changes: { INV: { verification: 'full' } } });
      const state = await factory.state();
      const look = (backend: TestBackend): Promise<Run> =>
        cycle({ vehicle, server: backend.url, state });

      await first.release(await image('EDT', 3000, '2.0.0'));
      expect(outcomeOf(await look(first))).toMatchObject({ outcome: 'SUCCESS' });
      if (hasSqlite) await page.does(HOT);
      await first.stop();
      await page.does('Back up a server that is stopped');

      // The day that is lost: a release that the vehicle installs.
      const lost = await first.startAgain();
      const lostImage = await image('INV', 3000, '3.0.0');
      await lost.release(lostImage);
      expect(outcomeOf(await look(lost))).toMatchObject({ outcome: 'SUCCESS' });
      await lost.stop();
      await page.does('Put the backup back');

      const restored = await lost.startAgain();
      expect(restored.process.stderr).toContain('the data folder is a copy');
      const held = await look(restored);
      expect(await held.code(), String(held)).toBe(11);
      expect(outcomeOf(held)).toMatchObject({ outcome: 'BACKEND_UNAVAILABLE' });
      expect(String(outcomeOf(held).reason)).toContain('restored from a backup');
      expect((await health(restored)).notices?.join()).toContain('can-ota release push');
      expect(await restored.page('/vehicles')).toContain('This server was restored from a backup');
      // The vehicle reports no attack.
      expect(held.events.filter(({ kind }) => kind === 'attack')).toEqual([]);

      await page.does('Go on above all that was signed and given out since');
      await page.use('inv.bin', lostImage.file);
      const { url } = restored;
      await page.does('Bring back Roots and releases that were signed since', { url });
      expect(outcomeOf(await look(restored))).toMatchObject({ outcome: 'UP_TO_DATE' });
      const left = await page.does('See whether anything is left', { url });
      expect(left).toMatch(/"notices":\[\]/);
      expect(left).toMatch(/^CO-\d{6}\tactive/m);
      const { director, images } = JSON.parse(
        String((await vehicle.read('INV', 'FD20')).text),
      ) as Record<'director' | 'images', Record<string, number>>;

      // Later versions are above the lost ones, for an ECU with partial and for one with full verification.
      await restored.release(await image('EDT', 3000, '4.0.0'), await image('INV', 3000, '4.0.0'));
      const next = await look(restored);
      expect(outcomeOf(next), String(next)).toMatchObject({ outcome: 'SUCCESS' });
      const now = JSON.parse(String((await vehicle.read('INV', 'FD20')).text));
      for (const role of ['targets', 'snapshot', 'timestamp']) {
        expect([role, now.director[role] > director[role]!]).toEqual([role, true]);
        expect([role, now.images[role] > images[role]!]).toEqual([role, true]);
      }
      // The rest of the page: clock.test.ts.
      page.expectAllTried([
        ...(hasSqlite ? [] : [HOT]),
        'Look at the clock',
        'The clock was ahead and is right now',
        'The same, where the keys have no way to the backend',
      ]);
    },
  );
});
