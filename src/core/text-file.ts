// Text files that a person named, and messages that say what is wrong with one.

import { readFile } from 'node:fs/promises';
import { InputError, systemErrorCode } from './errors.ts';

export async function readTextFile(file: string, option: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new InputError(option, fileFault(file, error), { cause: error });
  }
}

/** What a person can do about a file that cannot be read. */
export function fileFault(file: string, error: unknown): string {
  switch (systemErrorCode(error)) {
    case 'ENOENT':
      return `${file} does not exist`;
    case 'EISDIR':
      return `${file} is a folder, a file is expected`;
    case 'EACCES':
      return `${file} may not be read: check its owner and mode`;
    default:
      return `${file} cannot be read`;
  }
}
