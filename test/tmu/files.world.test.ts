// The lock of the state directory ends with a process that is killed.

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { lockFolder } from '../../src/core/lock.ts';

describe('the lock on a folder', () => {
  async function folder(): Promise<string> {
    const made = await mkdtemp(path.join(tmpdir(), 'can-ota-lock-'));
    onTestFinished(() => rm(made, { recursive: true, force: true }));
    return made;
  }

  it('ends with a process that is killed', async () => {
    const place = await folder();
    const module = path.resolve('src/core/lock.ts');
    const script =
      `import { lockFolder } from ${JSON.stringify(module)};` +
      `await lockFolder(${JSON.stringify(place)}); process.kill(process.pid, 'SIGKILL');`;
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    await expect(run).rejects.toMatchObject({ signal: 'SIGKILL' });
    await (await lockFolder(place)).release();
  });
});
