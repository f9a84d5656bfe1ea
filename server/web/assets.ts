// The files of the web pages, found from the package's root: the compiler does not copy them into dist.

import { createHash } from 'node:crypto';
import { findPackageJSON } from 'node:module';
import path from 'node:path';
import { z } from 'zod';
import { DiskStorage } from '../../src/core/storage.ts';

const packageFile = z.object({ name: z.string(), version: z.string() });

interface Package {
  readonly root: string;
  readonly version: string;
}

/** Walks up to the folder whose package.json is named `can-ota`. */
async function findPackage(): Promise<Package> {
  let from = import.meta.url;
  for (;;) {
    const file = findPackageJSON('.', from);
    if (file === undefined) throw new Error(`no package can-ota above ${import.meta.url}`);
    const root = path.dirname(file);
    const bytes = await (await DiskStorage.open(root)).read('package.json');
    const parsed = packageFile.safeParse(JSON.parse(Buffer.from(bytes ?? []).toString('utf8')));
    if (parsed.success && parsed.data.name === 'can-ota') {
      return { root, version: parsed.data.version };
    }
    from = path.join(path.dirname(root), 'package.json');
  }
}

export interface StaticFile {
  readonly bytes: Buffer;
  readonly type: string;
  /** Part of the address of the file, so that it may be cached for good. */
  readonly hash: string;
}

const TYPES: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** All that the pages are made of, read once; servers in one process may share it. */
export interface WebFiles {
  /** Of the package. */
  readonly version: string;
  /** Everything under /static. */
  readonly files: ReadonlyMap<string, StaticFile>;
  /** Source of each template by its name. */
  readonly templates: ReadonlyMap<string, string>;
}

export async function loadWeb(): Promise<WebFiles> {
  const { root, version } = await findPackage();
  const folder = path.join(root, 'server', 'web');
  return { version, files: await loadStatic(folder), templates: await loadTemplates(folder) };
}

async function loadStatic(folder: string): Promise<Map<string, StaticFile>> {
  const storage = await DiskStorage.open(path.join(folder, 'static'));
  const files = new Map<string, StaticFile>();
  for (const name of await storage.list('.')) {
    const type = TYPES[path.extname(name)];
    const bytes = await storage.read(name);
    if (type === undefined || bytes === undefined) continue;
    const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
    files.set(name, { bytes: Buffer.from(bytes), type, hash });
  }
  return files;
}

async function loadTemplates(folder: string): Promise<Map<string, string>> {
  const storage = await DiskStorage.open(path.join(folder, 'templates'));
  const templates = new Map<string, string>();
  for (const name of await storage.list('.')) {
    if (!name.endsWith('.eta')) continue;
    const bytes = (await storage.read(name)) ?? [];
    templates.set(name.slice(0, -'.eta'.length), Buffer.from(bytes).toString('utf8'));
  }
  return templates;
}
