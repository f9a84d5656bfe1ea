// The check of commands that ask the driver: nobody can answer where standard input is empty.

import { isInputEmpty } from '../core/empty-input.ts';
import { InputError } from '../core/errors.ts';

/** Throws InputError, before anything is started, when the driver is to be asked and no answer can come. */
export async function requireDriver(approve: 'ask' | 'yes' | 'no'): Promise<void> {
  if (approve !== 'ask' || !(await isInputEmpty())) return;
  throw new InputError(
    '--approve',
    'nobody can be asked: standard input is no terminal and holds nothing; ' +
      'use --approve yes or --approve no, or run the command on a terminal',
  );
}
