// `can-ota status`: what a TMU does now and next, read from the journal alone when the daemon does not run.

import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { readStatus, statusLines } from '../../src/cli/state/status.ts';
import { lockFolder } from '../../src/core/lock.ts';
import { bytesOf, World } from '../tmu/support.ts';
import { stateFolder } from './state-folder-support.ts';

function world(): World {
  const w = new World();
  w.backend.release('EDT', '2.0.0', bytesOf(5000, 1));
  w.backend.release('INV', '2.0.0', bytesOf(7000, 2));
  return w;
}

/** Kills the TMU at the call `call` of `ecu`. */
async function killedAt(w: World, ecu: string, call: string): Promise<void> {
  w.ecu(ecu).onCall = (_ecu, name) => {
    if (name !== call) return;
    w.storage.cut = { at: w.storage.operations + 1, when: 'before' };
  };
  await w.once().catch(() => {});
  w.storage = w.storage.afterPowerCut('lost');
}

const cli = path.resolve('src/cli/main.ts');
const run = (...args: string[]) => promisify(execFile)(process.execPath, [cli, ...args]);

describe('after a kill', () => {
  it('tells from the journal what was going on, and what the next start does', async () => {
    const w = world();
    await killedAt(w, 'INV', 'stage');
    const status = await readStatus(await stateFolder(w), w.clock);
    expect(status).toMatchObject({
      state: 'staging',
      campaign: expect.stringMatching(/^[0-9a-f]{32}$/),
      daemon: { running: false, pid: null },
      next: 'when the daemon is started again, it checks once more the conditions of the vehicle and the approval, then stages INV next (EDT is done), then activates both',
      mixed: null,
      lastError: null,
      nextPoll: null,
    });
    expect(statusLines(status)).toEqual([
      expect.stringMatching(/^staging, campaign [0-9a-f]{32} since 2026-01-01T/),
      '  EDT  1.0.0 -> 2.0.0',
      '  INV  1.0.0 -> 2.0.0',
      'daemon: none is running',
      expect.stringMatching(/^next: when the daemon is started again/),
    ]);
  });

  it('says since when no check has passed', async () => {
    const w = world();
    const away = { kind: 'failed', code: 'ECONNREFUSED', reason: 'away', transient: true } as const;
    w.trusted.checks = Array.from({ length: 20 }, () => away);
    const since = new Date(w.clock.wallMs()).toISOString().slice(0, 13);
    await w.once();
    await w.clock.advance(21 * 24 * 3_600_000);
    await w.once();
    const status = await readStatus(await stateFolder(w), w.clock);
    expect(status).toMatchObject({ lastCheck: null, noCheckSince: expect.stringContaining(since) });
    expect(statusLines(status).join('\n')).toMatch(
      /^backend: no check has passed since 2026-.* \(none before\)$/m,
    );
  });

  it('says that a campaign behind its point of no return is finished', async () => {
    const w = world();
    await killedAt(w, 'INV', 'activate');
    const status = await readStatus(await stateFolder(w), w.clock);
    expect(status.state).toBe('activating');
    expect(status.next).toContain('finished, not stopped');
  });

  it('does not take the words of a dead daemon for what happens now', async () => {
    const w = world();
    const abort = new AbortController();
    w.clock.after('SIGTERM', 1000, () => abort.abort());
    await w.once({}, abort.signal);
    const folder = await stateFolder(w);
    expect((await readStatus(folder, w.clock)).ecus.every(({ step }) => step === null)).toBe(true);
  });
});

describe('while a daemon works', () => {
  it('shows its progress beside the journal', async () => {
    const w = world();
    w.ecu('EDT').stageMs = 20_000;
    const abort = new AbortController();
    w.clock.after('look', 16_000, () => abort.abort());
    await w.once({}, abort.signal);
    const folder = await stateFolder(w);
    const lock = await lockFolder(folder);
    try {
      const status = await readStatus(folder, w.clock);
      expect(status.daemon).toEqual({ running: true, pid: process.pid });
      expect(status.next).toMatch(/^stages EDT next, then activates both$/);
      expect(status.ecus[0]).toMatchObject({ name: 'EDT', step: 'stage' });
      const [, edt] = statusLines(status);
      expect(edt).toMatch(
        /^ {2}EDT {2}1\.0\.0 -> 2\.0\.0, stage, \d+\.\d %, \d+ B\/s, \d+ s left$/,
      );
    } finally {
      await lock.release();
    }
  });
});

describe('at rest', () => {
  it('tells how it ended last, and when the next poll is', async () => {
    const w = world();
    const abort = new AbortController();
    const tmu = w.tmu();
    const running = tmu.run(abort.signal);
    await w.clock.advance(60_000);
    const folder = await stateFolder(w);
    const lock = await lockFolder(folder);
    const status = await readStatus(folder, w.clock);
    await lock.release();
    abort.abort();
    await w.clock.within(5000, running);
    await tmu.close();
    expect(status).toMatchObject({
      state: 'idle',
      campaign: null,
      last: { outcome: 'UP_TO_DATE', reason: null },
      progress: '100',
      next: 'asks the backend for news at the next poll',
      nextPoll: expect.stringMatching(/^2026-01-01T00:01:/),
    });
    expect(statusLines(status)).toContain('last: UP_TO_DATE');
    expect(status).toMatchObject({
      lastCheck: expect.stringMatching(/^2026-/),
      noCheckSince: null,
    });
  });

  it('tells what the driver has denied or put off, and when the driver is asked next', async () => {
    const w = world();
    w.approver.answers = [{ kind: 'denied' }];
    await w.once();
    const denied = await readStatus(await stateFolder(w), w.clock);
    expect(denied.refused).toMatchObject([
      {
        releases: [
          { ecu: 'EDT', version: '2.0.0' },
          { ecu: 'INV', version: '2.0.0' },
        ],
        code: 'DENIED',
        askedNext: null,
      },
    ]);
    expect(statusLines(denied).join('\n')).toMatch(
      /refused: EDT 2\.0\.0, INV 2\.0\.0, denied by the driver at 2026.*; .* not asked again automatically/,
    );
    const later = world();
    const untilWallMs = later.clock.wallMs() + 3_600_000;
    later.approver.answers = [{ kind: 'later', untilWallMs }];
    await later.once();
    const put = await readStatus(await stateFolder(later), later.clock);
    expect(put.refused).toMatchObject([
      { code: 'LATER', askedNext: new Date(untilWallMs).toISOString() },
    ]);
    await later.clock.advance(3_700_000);
    await later.once();
    expect((await readStatus(await stateFolder(later), later.clock)).refused).toEqual([]);
  });

  it('in an empty folder nothing has happened yet', async () => {
    const status = await readStatus(await stateFolder());
    expect(status).toMatchObject({ state: 'idle', since: null, progress: null, last: null });
  });
});

describe('the command', () => {
  it('ends with 10 for a mixed state, which it spells out', async () => {
    const w = world();
    w.ecu('INV').fail('verify', 'SELF_TEST');
    w.ecu('EDT').fail('rollback', 'REFUSED');
    await w.once();
    const folder = await stateFolder(w);
    const failed = await run('status', '--state-dir', folder).catch((error: unknown) => error);
    expect(failed).toMatchObject({
      code: 10,
      stdout: expect.stringContaining('mixed: EDT may run 2.0.0'),
    });
    const json = await run('status', '--state-dir', folder, '--json').catch(
      (error: { stdout: string }) => error,
    );
    expect(JSON.parse(json.stdout)).toMatchObject({
      state: 'safe-state',
      next: expect.stringContaining('tries again to take EDT back'),
    });
  });

  it('ends with 0 otherwise', async () => {
    const { stdout } = await run('status', '--state-dir', await stateFolder(), '--json');
    expect(JSON.parse(stdout)).toMatchObject({ state: 'idle', daemon: { running: false } });
  });
});
