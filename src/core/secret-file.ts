// Secret files: created once, never replaced, readable by their owner alone.

import * as fs from 'node:fs/promises';
import { InputError } from './errors.ts';
import { createNewFile } from './new-file.ts';
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
export function createSecretFile(file: string, text: string, where: string): Promise<void> {
  return createNewFile(file, [text], where, { mode: 0o600, folderMode: 0o700 });
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
