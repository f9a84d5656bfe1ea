// Errors of standard output and folders in use: exit codes of real processes.

import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { lockFolder } from '../../src/core/lock.ts';
import { DiskStorage } from '../../src/core/storage.ts';

const MAIN = path.join(import.meta.dirname, '../../src/cli/main.ts');
const can = `'${process.execPath}' '${MAIN}'`;

function shell(line: string): { status: number | null; stderr: string; stdout: string } {
  return spawnSync('bash', ['-c', line], { encoding: 'utf8', timeout: 120_000 });
}

async function folder(): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), 'can-ota-output-'));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}

describe('standard output', () => {
  it.each(['--help', 'tmu --help', '--version'])('of %s may lose its reader', (what) => {
    const { status, stderr } = shell(`${can} ${what} | true; exit \${PIPESTATUS[0]}`);
    expect([status, stderr]).toEqual([0, '']);
  });

  it.each(['--help', 'tmu --help', '--version'])('of %s that is full is exit 15', (what) => {
    const { status, stderr } = shell(`${can} ${what} > /dev/full`);
    expect([status, stderr]).toEqual([15, expect.stringContaining('ENOSPC')]);
    expect(stderr).not.toContain('node:');
  });

  it('of a command that is full is exit 15, whatever it did', async () => {
    const data = await folder();
    const added = `echo secret-password | ${can} server user add al --role admin --data '${data}'`;
    const { status, stderr } = shell(`${added} > /dev/full`);
    expect([status, stderr]).toEqual([15, expect.stringContaining('ENOSPC')]);
    const list = shell(`${can} server user list --json --data '${data}' > /dev/full`);
    expect(list.status).toBe(15);
  });
});

describe('a folder in use', () => {
  it('is exit 14 for an ECU', async () => {
    const flash = await DiskStorage.openOwn(await folder());
    const lock = await lockFolder(flash.location);
    const { status, stderr } = shell(
      `${can} ecu EDT --bench-keys --bus local:output-test --flash '${flash.location}'`,
    );
    expect([status, stderr]).toEqual([14, expect.stringContaining('works on this folder')]);
    await lock.release();
  });

  it('is exit 15 where other users may write', async () => {
    const data = await folder();
    const { status, stderr } = shell(
      `chmod 777 '${data}'; ${can} server --port 0 --data '${data}'`,
    );
    expect([status, stderr]).toEqual([15, expect.stringContaining('chmod go-w')]);
  });
});
