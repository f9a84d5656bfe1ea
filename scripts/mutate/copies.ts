// Copies of the project in a temporary folder, so that the working tree is never mutated.

import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface Copies extends AsyncDisposable {
  /** Makes a copy with separate files and with the packages of the project. */
  make(name: string): Promise<string>;
}

/** Makes copies, which are deleted on disposal. After a kill they stay in the temporary folder, which is harmless. */
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

/** The files that git tracks or would add. */
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

/** Makes one link per package, so that files of tools beside the packages (.vite) belong to the copy. */
async function linkPackages(from: string, to: string): Promise<void> {
  await mkdir(to);
  for (const entry of await readdir(from)) {
    if (entry === '.vite' || entry === '.cache') continue;
    await symlink(path.join(from, entry), path.join(to, entry));
  }
}
