// A backend whose clock was wrong while vehicles were updated, and the one command that leads them out.

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { DocsPage } from './support/docs-page.ts';
import { folder, type Run, scenario } from './support/processes.ts';
import { cycle, image, outcomeOf, type TestBackend, TestFactory } from './support/vehicle.ts';

const DAY_MS = 86_400_000;

/** The wall clock of a process, which a test moves while it runs. */
class OtherClock {
  readonly #file: string;

  private constructor(file: string) {
    this.#file = file;
  }

  static async create(): Promise<OtherClock> {
    const clock = new OtherClock(path.join(await folder(), 'clock'));
    await clock.set(0);
    return clock;
  }

  set(offsetMs: number): Promise<void> {
    return writeFile(this.#file, String(offsetMs));
  }

  get env(): NodeJS.ProcessEnv {
    const preload = path.join(import.meta.dirname, 'support', 'other-clock.mjs');
    return { NODE_OPTIONS: `--import=${preload}`, CAN_OTA_TEST_CLOCK: this.#file };
  }
}

async function health(backend: TestBackend): Promise<Record<string, unknown>> {
  return (await (await fetch(`${backend.url}/healthz`)).json()) as Record<string, unknown>;
}

describe('the clock of the backend', () => {
  scenario(
    'was most of a year ahead during an update: one command leads the TMU and each kind of ECU out',
    async () => {
      const factory = await TestFactory.open(['CGW', 'EDT', 'INV', 'BMS']);
      const clock = await OtherClock.create();
      const backend = await factory.backend({ env: clock.env });
      // EDT verifies partially and has two banks, INV verifies fully, BMS has a single bank.
      const single = { memory: { banks: 1 }, programming: { activation: 'reset' } };
      const changes = { INV: { verification: 'full' }, BMS: single };
      const vehicle = await factory.vehicle({ changes });
      const state = await factory.state();
      const ecus = ['EDT', 'INV', 'BMS'];
      const release = async (version: string): Promise<void> => {
        for (const ecu of ecus) await backend.release(await image(ecu, 4000, version));
      };
      const look = (): Promise<Run> => cycle({ vehicle, server: backend.url, state });
      const timeOf = async (ecu: string): Promise<number> => {
        const { text } = await vehicle.read(ecu, 'FD20');
        return Date.parse((JSON.parse(String(text)) as { time: string }).time);
      };

      await release('2.0.0');
      await clock.set(330 * DAY_MS);
      expect(outcomeOf(await look())).toMatchObject({ outcome: 'SUCCESS' });
      for (const ecu of ecus) expect(await timeOf(ecu)).toBeGreaterThan(Date.now() + 300 * DAY_MS);
      await clock.set(0);
      await release('3.0.0');

      // Nobody can go on by waiting, and it is said what to do.
      const stuck = await look();
      expect(await stuck.code()).toBe(7);
      expect(outcomeOf(stuck)).toMatchObject({ code: 'ROLLBACK' });
      expect(String(outcomeOf(stuck).reason)).toContain('can-ota keys reset-time');
      expect(JSON.stringify(await health(backend))).toMatch(/clock.*can-ota keys reset-time/);

      const page = await DocsPage.open('operations/clock-and-backup');
      const { url } = backend;
      await page.use('trust', backend.trust);
      await page.use('ceremony', backend.keys);
      await page.use('release.token', await backend.tokenFile());
      expect(await page.does('Look at the clock', { url })).toMatch(
        /clock.*can-ota keys reset-time/,
      );
      await page.does('The clock was ahead and is right now', { url });
      const out = await look();
      expect(outcomeOf(out), String(out)).toMatchObject({ outcome: 'SUCCESS' });
      for (const ecu of ecus) {
        expect(await vehicle.version(ecu)).toBe('3.0.0');
        expect(await timeOf(ecu)).toBeLessThan(Date.now() + DAY_MS);
      }

      // The other way to the backend leads to one more Root, which the vehicle takes.
      await page.does('The same, where the keys have no way to the backend', { url });
      await release('4.0.0');
      expect(outcomeOf(await look())).toMatchObject({ outcome: 'SUCCESS' });
      // The rest of the page: backup.test.ts.
      page.expectAllTried([
        'Back up a server that runs',
        'Back up a server that is stopped',
        'Put the backup back',
        'Go on above all that was signed and given out since',
        'Bring back Roots and releases that were signed since',
        'See whether anything is left',
      ]);
    },
  );
});
