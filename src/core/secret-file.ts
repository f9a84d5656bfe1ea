// Secret files: created once, never replaced, readable by their owner alone.

import * as fs from 'node:fs/promises';
import path from 'node:path';
import { InputError, systemErrorCode } from './errors.ts';
import { StorageError } from './storage.ts';
import { fileFault } from './text-file.ts';

/** Throws InputError for a file that is missing, or that its group or others could read. */
export async function requireOwnerOnly(file: string, where: string): Promise<void> {
  let mode: number;
  try {
    mode = (await fs.stat(file)).mode;
  } catch (error) {
    throw new InputError(where, fileFault(file, error), { cause: error });
  }
  if ((mode & 0o077) !== 0) {
    throw new InputError(
      where,
      `others than its owner may use ${file} (mode ${(mode & 0o777).toString(8)}): ` +
        `look who has read it, then chmod 600 ${file}`,
    );
  }
}

/**
 * Creates the file with mode 0600, whole and durable or not at all. Throws InputError when the file exists: a key is
 * never overwritten.
 */
export async function createSecretFile(file: string, text: string, where: string): Promise<void> {
  const folder = path.dirname(file);
  const temporary = `${file}.${process.pid}.new`;
  try {
    await fs.mkdir(folder, { recursive: true, mode: 0o700 });
    const handle = await fs.open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
      await handle.close();
      // Unlike a rename, a link does not replace an existing file.
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

/** The first line of a file that only its owner can read: a passphrase, a password, a token. Throws InputError. */
export async function readSecretLine(file: string, option: string): Promise<string> {
  await requireOwnerOnly(file, option);
  let text: string;
  try {
    text = await fs.readFile(file, 'utf8');
  } catch (error) {
    throw new InputError(option, fileFault(file, error), { cause: error });
  }
  const [line = ''] = text.split(/\r?\n/, 1);
  if (line === '') throw new InputError(option, `${file} is empty: one line is expected`);
  return line;
}
