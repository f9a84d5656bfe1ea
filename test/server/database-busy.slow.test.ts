// The database is held by another program: the server goes on with what needs no writing, and says when to come again.

import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { addToken } from '../../server/features/registry/tool-commands.ts';
import { systemClock, type Timer } from '../../src/core/clock.ts';
import { json, type Reply, ShiftedClock, startBackend } from './support.ts';

/** The pauses between tries end when the test says so. */
class HeldPauses extends ShiftedClock {
  readonly pauses: (() => void)[] = [];
  tries = 0;
  /** Told of each pause. */
  onPause: () => void = () => {};

  override after(name: string, delayMs: number, fire: () => void): Timer {
    if (name !== 'database-busy') return super.after(name, delayMs, fire);
    this.tries += 1;
    this.pauses.push(fire);
    this.onPause();
    return { cancel: () => {} };
  }
}

const report = (): ReturnType<typeof json> =>
  json({ vin: 'VIN1', outcome: 'SUCCESS', ecus: [{ name: 'EDT', version: '1' }] });

async function start() {
  const clock = new HeldPauses();
  const backend = await startBackend({ clock });
  const other = new DatabaseSync(path.join(backend.dataDir, 'can-ota.db'));
  return { clock, backend, other };
}

describe('a database that another program holds', () => {
  it('is tried again without stopping the event loop, and the request is done when it is free', async () => {
    const { clock, backend, other } = await start();
    other.exec('BEGIN IMMEDIATE');
    const paused = new Promise<void>((resolve) => {
      clock.onPause = resolve;
    });
    const waiting = backend.request('/report_versions', report());
    await paused;
    // The statement waits; a page without the database is served meanwhile.
    expect((await backend.request('/static/nothing')).status).toBe(404);
    other.exec('ROLLBACK');
    clock.onPause = () => clock.pauses.shift()!();
    clock.pauses.shift()!();
    expect((await waiting).status).toBe(204);
    other.close();
  });

  it('gets 503 with Retry-After after short tries, and those behind it at once', async () => {
    const { clock, backend, other } = await start();
    clock.onPause = () => clock.pauses.shift()!();
    other.exec('BEGIN IMMEDIATE');
    const replies: Reply[] = [];
    for (let count = 0; count < 5; count++) {
      replies.push(await backend.request('/report_versions', report()));
    }
    for (const reply of replies) {
      expect([reply.status, reply.json.code, reply.headers['retry-after']]).toEqual([
        ...[503, 'DATABASE_BUSY'],
        expect.stringMatching(/^[1-9]$/),
      ]);
    }
    expect(clock.tries).toBe(8);
    // Reading goes on.
    expect((await backend.request('/latest_version?vin=VIN1')).status).toBe(200);
    expect((await backend.request('/healthz')).status).toBe(200);
    expect(backend.log.filter((line) => line.includes('unexpectedly'))).toEqual([]);
    other.exec('ROLLBACK');
    expect((await backend.request('/report_versions', report())).status).toBe(204);
    // The patience is back.
    other.exec('BEGIN IMMEDIATE');
    expect((await backend.request('/report_versions', report())).status).toBe(503);
    expect(clock.tries).toBe(16);
    other.exec('ROLLBACK');
    other.close();
  });

  it('stops a tool on the data folder with a sentence', async () => {
    const { backend, other } = await start();
    other.exec('BEGIN IMMEDIATE');
    const hasty = {
      ...systemClock,
      after: (...[name, , fire]: Parameters<typeof systemClock.after>) =>
        systemClock.after(name, 0, fire),
    };
    await expect(addToken(backend.dataDir, 'a', 'factory', { clock: hasty })).rejects.toMatchObject(
      { code: 'DATABASE_BUSY' },
    );
    other.exec('ROLLBACK');
    await addToken(backend.dataDir, 'a', 'factory');
    other.close();
  });
});
