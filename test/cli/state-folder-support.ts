// State directories that a daemon on virtual time has written, on the real disk for the commands that read them.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import type { World } from '../tmu/support.ts';

const FILES = ['journal.log', 'journal.1.log', 'status.json', 'progress.txt', 'state.json'];

/** Writes the disk of the TMU of `w` into a folder that is removed after the test. */
export async function stateFolder(w?: World): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'can-ota-state-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  if (w !== undefined) await writeState(folder, w);
  return folder;
}

async function writeState(folder: string, w: World): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of FILES) {
    const bytes = w.storage.contents(name);
    if (bytes !== undefined) await writeFile(path.join(folder, name), bytes);
  }
}
