// Finds the folder of this package, from the sources as well as from `dist`: for files that tsc does not copy.

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

function findRoot(from: string): string {
  for (let folder = from; ; folder = path.dirname(folder)) {
    const manifest = path.join(folder, 'package.json');
    if (existsSync(manifest)) {
      const { name } = JSON.parse(readFileSync(manifest, 'utf8')) as { name?: unknown };
      if (name === 'can-ota') return folder;
    }
    if (path.dirname(folder) === folder)
      throw new Error(`no package.json of can-ota above ${from}`);
  }
}

export const packageRoot: string = findRoot(import.meta.dirname);

export const packageVersion: string = (
  JSON.parse(readFileSync(path.join(packageRoot, 'package.json'), 'utf8')) as { version: string }
).version;
