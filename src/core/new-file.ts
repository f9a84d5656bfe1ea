// Files that a command makes for a person: whole and durable or not at all, and never in place of another one.

import * as fs from 'node:fs/promises';
import path from 'node:path';
import { InputError, systemErrorCode } from './errors.ts';
import { StorageError } from './storage.ts';

export interface NewFileModes {
  readonly mode: number;
  /** Mode of folders that are created. */
  readonly folderMode: number;
}

/**
 * Writes the pieces one behind the other. `where` names the option in messages. Throws InputError when there is a file
 * of this name already, StorageError when it cannot be written.
 */
export async function createNewFile(
  file: string,
  pieces: Iterable<string | Uint8Array>,
  where: string,
  { mode, folderMode }: NewFileModes = { mode: 0o666, folderMode: 0o777 },
): Promise<void> {
  const folder = path.dirname(file);
  const temporary = `${file}.${process.pid}.new`;
  try {
    await fs.mkdir(folder, { recursive: true, mode: folderMode });
    const handle = await fs.open(temporary, 'wx', mode);
    try {
      for (const piece of pieces) await handle.writeFile(piece);
      await handle.sync();
      await handle.close();
      // Unlike a rename, a link does not replace what is there.
      await fs.link(temporary, file);
    } finally {
      await handle.close().catch(() => {});
      await fs.rm(temporary, { force: true });
    }
    const directory = await fs.open(folder, 'r');
    await directory.sync().finally(() => directory.close());
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'EEXIST') {
      throw new InputError(where, `${file} is there already and is never replaced`, {
        cause: error,
      });
    }
    const kind = code === 'ENOSPC' ? 'NO_SPACE' : code === 'EACCES' ? 'NO_ACCESS' : 'IO';
    throw new StorageError(kind, file, 'the file could not be made', error);
  }
}
