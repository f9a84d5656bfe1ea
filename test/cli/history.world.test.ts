// `can-ota history`: lists campaigns from the files alone, also while a daemon runs.

import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { historyOf } from '../../src/campaign/history.ts';
import { entryJson, entryLines } from '../../src/cli/state/history.ts';
import { readJournals } from '../../src/cli/state/state-folder.ts';
import { lockFolder } from '../../src/core/lock.ts';
import { bytesOf, World } from '../tmu/support.ts';
import { stateFolder } from './state-folder-support.ts';

/** A denied campaign, a failed one, and one that succeeded. */
async function world(): Promise<World> {
  const w = new World();
  w.backend.release('EDT', '2.0.0', bytesOf(5000, 1));
  w.approver.answers = [{ kind: 'denied' }];
  await w.once();
  w.backend.release('EDT', '2.1.0', bytesOf(5000, 2));
  w.backend.release('INV', '2.0.0', bytesOf(7000, 3));
  w.ecu('INV').fail('activate', 'SELF_TEST');
  await w.once();
  w.backend.release('INV', '2.1.0', bytesOf(7000, 4));
  await w.once();
  return w;
}

async function entriesOf(folder: string) {
  const { old, current } = await readJournals(folder);
  return historyOf([...old, ...current]);
}

const cli = path.resolve('src/cli/main.ts');
const run = (...args: string[]) => promisify(execFile)(process.execPath, [cli, ...args]);

describe('the history', () => {
  it('tells when, what, who approved, how it ended and why', async () => {
    const lines = (await entriesOf(await stateFolder(await world()))).map(entryLines);
    expect(lines).toHaveLength(3);
    const [denied, failed, good] = lines.map((each) => each.join('\n'));
    expect(denied).toMatch(/^2026-01-01T00:00:0\dZ {2}USER_REJECTED \(DENIED\) {2}not approved/);
    expect(denied).toContain('  EDT  1.0.0 -> 2.0.0');
    expect(denied).toContain('why: the driver denied the update');
    expect(failed).toMatch(/ROLLBACK_COMPLETED \(SELF_TEST\) {2}approved by the driver, \d/);
    expect(failed).toMatch(/EDT {2}1\.0\.0 -> 2\.1\.0 {2}runs 1\.0\.0, 4\.9 KiB in 2\.0 s/);
    expect(failed).toMatch(/INV .*INV SELF_TEST/);
    expect(good).toMatch(/SUCCESS {2}approved by the driver/);
    expect(good).toContain('INV  1.0.0 -> 2.1.0  runs 2.1.0, 6.8 KiB in 2.0 s');
  });

  it('for machines has times as text, and how long it took', async () => {
    const [entry] = await entriesOf(await stateFolder(await world()));
    expect(entryJson(entry!)).toMatchObject({
      outcome: 'USER_REJECTED',
      code: 'DENIED',
      approvedBy: null,
      started: expect.stringMatching(/^2026-01-01T00:00:0\dZ$/),
      ended: expect.stringMatching(/^2026-01-01T00:00:0\dZ$/),
      seconds: expect.any(Number),
      ecus: [{ name: 'EDT', from: '1.0.0', to: '2.0.0' }],
    });
  });

  it('counts restarts, and shows what is still under way', async () => {
    const w = new World();
    w.backend.release('EDT', '2.0.0', bytesOf(5000, 1));
    for (const _ of [1, 2]) {
      const abort = new AbortController();
      w.clock.after('SIGTERM', 1000, () => abort.abort());
      await w.once({}, abort.signal);
    }
    const [entry] = await entriesOf(await stateFolder(w));
    expect(entryLines(entry!)[0]).toMatch(/under way {2}approved by the driver, 1 restart$/);
    expect(entryJson(entry!)).toMatchObject({ outcome: null, ended: null, seconds: null });
  });

  it('is whole where the journal was begun anew, also in the middle of that', async () => {
    const folder = await stateFolder(await world());
    const journal = await readFile(path.join(folder, 'journal.log'));
    const all = await entriesOf(folder);
    // The old file is written, the new one not yet.
    await writeFile(path.join(folder, 'journal.1.log'), journal);
    expect(await entriesOf(folder)).toEqual(all);
    await writeFile(path.join(folder, 'journal.log'), '');
    expect(await entriesOf(folder)).toEqual(all);
  });

  it('of a torn journal is told as far as it goes', async () => {
    const folder = await stateFolder(await world());
    const file = path.join(folder, 'journal.log');
    const journal = await readFile(file);
    await writeFile(file, journal.subarray(0, journal.length - 20));
    const entries = await entriesOf(folder);
    // The record that closed it is lost; its outcome is not.
    expect(entries.map(({ outcome }) => outcome)).toEqual([
      'USER_REJECTED',
      'ROLLBACK_COMPLETED',
      'SUCCESS',
    ]);
  });
});

describe('the command', () => {
  it('reads beside a daemon that holds the folder, and changes nothing', async () => {
    const folder = await stateFolder(await world());
    const before = await readFile(path.join(folder, 'journal.log'));
    const lock = await lockFolder(folder);
    try {
      const { stdout } = await run('history', '--state-dir', folder, '--json', '--limit', '2');
      const entries = stdout.trim().split('\n');
      expect(entries.map((line) => JSON.parse(line).outcome)).toEqual([
        'ROLLBACK_COMPLETED',
        'SUCCESS',
      ]);
    } finally {
      await lock.release();
    }
    expect(await readFile(path.join(folder, 'journal.log'))).toEqual(before);
  });

  it('says that there is none yet, and refuses what is no folder', async () => {
    const { stdout } = await run('history', '--state-dir', await stateFolder());
    expect(stdout).toBe('no campaign yet\n');
    await expect(run('history', '--state-dir', '/nowhere')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('/nowhere is not a folder'),
    });
  });
});
