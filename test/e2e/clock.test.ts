// A backend whose clock was wrong while vehicles were updated, and the command that repairs it.

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { folder, type Run, run, scenario } from './support/processes.ts';
import { cycle, image, outcomeOf, type TestBackend, TestFactory } from './support/vehicle.ts';

const DAY_MS = 86_400_000;

/** Moves the wall clock of a process while it runs. */
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

/** The commands of docs/operations/clock-and-backup.md. */
async function resetTime(backend: TestBackend): Promise<Run> {
  return run([
    ...['keys', 'reset-time', backend.trust, '--json', '--dir', backend.keys],
    ...['--server', backend.url, '--token-file', await backend.tokenFile()],
  ]);
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

      // Waiting does not help, and the messages say what to do.
      const stuck = await look();
      expect(await stuck.code()).toBe(7);
      expect(outcomeOf(stuck)).toMatchObject({ code: 'ROLLBACK' });
      expect(String(outcomeOf(stuck).reason)).toContain('can-ota keys reset-time');
      expect(JSON.stringify(await health(backend))).toMatch(/clock.*can-ota keys reset-time/);

      const reset = await resetTime(backend);
      expect(await reset.code(), String(reset)).toBe(0);
      const out = await look();
      expect(outcomeOf(out), String(out)).toMatchObject({ outcome: 'SUCCESS' });
      for (const ecu of ecus) {
        expect(await vehicle.version(ecu)).toBe('3.0.0');
        expect(await timeOf(ecu)).toBeLessThan(Date.now() + DAY_MS);
      }
    },
  );
});
