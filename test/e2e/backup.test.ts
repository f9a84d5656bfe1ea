// A backend restored from a backup reports it, signs only above the versions that vehicles know, and loses no release.

import { cp, rm } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { folder, type Run, run, scenario } from './support/processes.ts';
import { cycle, image, outcomeOf, type TestBackend, TestFactory } from './support/vehicle.ts';

async function health(backend: TestBackend): Promise<{ readonly notices?: readonly string[] }> {
  return (await (await fetch(`${backend.url}/healthz`)).json()) as { notices?: string[] };
}

describe('a backup of the backend', () => {
  scenario(
    'of yesterday is put back: one command and one push lead out, for partial and full verification',
    async () => {
      const factory = await TestFactory.open(['CGW', 'EDT', 'INV']);
      const first = await factory.backend();
      const vehicle = await factory.vehicle({ changes: { INV: { verification: 'full' } } });
      const state = await factory.state();
      const look = (backend: TestBackend): Promise<Run> =>
        cycle({ vehicle, server: backend.url, state });

      await first.release(await image('EDT', 3000, '2.0.0'));
      expect(outcomeOf(await look(first))).toMatchObject({ outcome: 'SUCCESS' });
      await first.stop();
      const backup = await folder();
      await cp(first.data, backup, { recursive: true });

      // The day that is lost: a release that the vehicle installs.
      const lost = await first.startAgain();
      const lostImage = await image('INV', 3000, '3.0.0');
      await lost.release(lostImage);
      expect(outcomeOf(await look(lost))).toMatchObject({ outcome: 'SUCCESS' });
      await lost.stop();
      await rm(lost.data, { recursive: true });
      await cp(backup, lost.data, { recursive: true });

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

      const command = await run(['server', 'restored', '--data', restored.data, '--json']);
      expect(await command.code(), String(command)).toBe(0);
      const push = await run([
        ...['release', 'push', lostImage.file, '--json', '--keys', restored.keys],
        ...['--server', restored.url, '--token-file', await restored.tokenFile()],
      ]);
      expect(await push.code(), String(push)).toBe(0);
      expect(outcomeOf(await look(restored))).toMatchObject({ outcome: 'UP_TO_DATE' });
      expect(await health(restored)).toMatchObject({ notices: [] });
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
    },
  );
});
