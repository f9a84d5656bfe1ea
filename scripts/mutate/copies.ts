// Copies of the project in a temporary folder: what is mutated and tested is never the tree that people work in.

import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface Copies extends AsyncDisposable {
  /** A new copy with its own files; packages are those of the project. */
  make(name: string): Promise<string>;
}

/** Everything in them is gone when they are disposed; after a kill it stays in the temporary folder, and harms nothing. */
export async function copiesOf(root: string): Promise<Copies> {
  const home = await mkdtemp(path.join(tmpdir(), 'can-ota-mutate-'));
  const files = filesOf(root);
  return {
    make: async (name) => {
      const copy = path.join(home, name);
      await mkdir(copy);
      for (const file of files) {
        await cp(path.join(root, file), path.join(copy, file), { recursive: true });
      }
      await linkPackages(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
      return copy;
    },
    [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true }),
  };
}

/** What git knows, and what it would add. */
function filesOf(root: string): string[] {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate'];
  const listed = spawnSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28 });
  const deleted = spawnSync('git', ['ls-files', '-z', '--deleted'], {
    cwd: root,
    encoding: 'utf8',
  });
  if (listed.status !== 0 || deleted.status !== 0) {
    throw new Error(`git ls-files: ${listed.stderr}${deleted.stderr}`);
  }
  const gone = new Set(deleted.stdout.split('\0'));
  return listed.stdout.split('\0').filter((file) => file !== '' && !gone.has(file));
}

/** One link a package, so that what tools store beside the packages (.vite) belongs to the copy. */
async function linkPackages(from: string, to: string): Promise<void> {
  await mkdir(to);
  for (const entry of await readdir(from)) {
    if (entry === '.vite' || entry === '.cache') continue;
    await symlink(path.join(from, entry), path.join(to, entry));
  }
}
