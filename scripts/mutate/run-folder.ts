// Runs the tests of one folder of a copy in a process that ends at the first failure.

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';

/** `late`: not finished within the limit, for example because of an endless loop. */
export type Verdict = 'passed' | 'failed' | 'late';

/** The folder of tests that mirrors a source file: src/uds/x.ts has test/uds, ecus/bootloader/x.ts has test/ecus. */
export function testFolderOf(root: string, file: string): string | undefined {
  const parts = path.dirname(file).split('/');
  const own = parts[0] === 'src' ? parts[1] : parts[0];
  if (own === undefined) return undefined;
  const folder = `test/${own}`;
  return testFiles(root, folder, '').length > 0 ? folder : undefined;
}

/** Runs the unit project and, if it passes, the slow files. World is left out because it takes minutes. */
export async function runFolder(root: string, folder: string, limitMs: number): Promise<Verdict> {
  for (const project of ['unit', 'slow'] as const) {
    if (testFiles(root, folder, project).length === 0) continue;
    const verdict = await vitest(root, project, folder, limitMs);
    if (verdict !== 'passed') return verdict;
  }
  return 'passed';
}

function testFiles(root: string, folder: string, project: '' | 'unit' | 'slow'): string[] {
  let names: string[];
  try {
    names = readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' });
  } catch {
    return [];
  }
  const tests = names.filter(
    (name) => name.endsWith('.test.ts') && !name.endsWith('.world.test.ts'),
  );
  if (project === '') return tests;
  return tests.filter((name) => name.endsWith('.slow.test.ts') === (project === 'slow'));
}

function vitest(root: string, project: string, folder: string, limitMs: number): Promise<Verdict> {
  const args = ['run', '--project', project, '--bail', '1', '--maxWorkers', '1', `${folder}/`];
  const child = spawn(path.join(root, 'node_modules', '.bin', 'vitest'), args, {
    cwd: root,
    stdio: 'ignore',
    // A separate process group, so that the whole group can be ended at the limit.
    detached: true,
    env: { ...process.env, CI: '1' },
  });
  let late = false;
  const end = (): void => {
    if (child.pid === undefined || child.exitCode !== null) return;
    process.kill(-child.pid, 'SIGKILL');
  };
  const timer = setTimeout(() => {
    late = true;
    end();
  }, limitMs);
  running.add(end);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      running.delete(end);
      resolve(late ? 'late' : code === 0 ? 'passed' : 'failed');
    });
  });
}

const running = new Set<() => void>();

/** Ends all runs, at the end of this process. */
export function endAllRuns(): void {
  for (const end of running) end();
}
