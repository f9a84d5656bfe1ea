// `set-aside/` of a ceremony folder: signed files and drafts that a pull has replaced. They are kept and not published.

import type { Context } from '../core/context.ts';
import type { KeyFolder } from './folder.ts';

export interface AsideWork {
  readonly context: Pick<Context, 'say' | 'emit'>;
  readonly folder: KeyFolder;
}

export async function setAside(
  { context, folder }: AsideWork,
  name: string,
  stem: string,
  bytes: Uint8Array,
): Promise<void> {
  const file = await asideName(folder, stem, bytes);
  await folder.storage.replace(file, bytes);
  await folder.storage.remove(name);
  context.emit({ setAside: name, as: file });
  context.say(`${name} is not published: it is kept as ${file}`);
}

/** The name for a file; a second pull of the same file uses the same name. */
async function asideName(folder: KeyFolder, stem: string, bytes: Uint8Array): Promise<string> {
  for (let number = 1; ; number++) {
    const name = `set-aside/${stem}${number === 1 ? '' : `-${number}`}.json`;
    const there = await folder.storage.read(name);
    if (there === undefined || Buffer.compare(there, bytes) === 0) return name;
  }
}

const ASIDE_TARGETS = /^images-([1-9]\d*)\.targets(?:-\d+)?\.json$/;

/**
 * The highest version of Targets that was set aside, 0 where there is none. The next Targets get a higher version,
 * because a backend may have published it before it was restored from a backup.
 */
export async function highestAside(folder: KeyFolder): Promise<number> {
  const names = await folder.storage.list('set-aside');
  const versions = names.map((name) => Number(ASIDE_TARGETS.exec(name)?.[1] ?? 0));
  return Math.max(0, ...versions);
}
