// `can-ota server user ...`: the users of a backend.

import {
  addUser,
  changePassword,
  listUsers,
  removeUser,
} from '../../../server/features/people/tool-commands.ts';
import { askSecret, canAsk } from '../../core/ask-secret.ts';
import type { Context } from '../../core/context.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { type CommonOptions, runCommand } from '../context.ts';

interface UserOptions extends CommonOptions {
  readonly data: string;
}

export function addPerson(
  name: string,
  options: UserOptions & { readonly role: string },
): Promise<void> {
  return runCommand(options, async (context) => {
    await addUser(options.data, name, options.role, await readPassword());
    done(context, { added: name, role: options.role }, `${name} may log in as ${options.role}`);
    return ExitCode.success;
  });
}

export function changePersonPassword(name: string, options: UserOptions): Promise<void> {
  return runCommand(options, async (context) => {
    await changePassword(options.data, name, await readPassword());
    done(context, { changed: name }, `${name} has a new password and is logged out everywhere`);
    return ExitCode.success;
  });
}

export function removePerson(name: string, options: UserOptions): Promise<void> {
  return runCommand(options, async (context) => {
    await removeUser(options.data, name);
    done(context, { removed: name }, `${name} is removed and logged out everywhere`);
    return ExitCode.success;
  });
}

export function listPeople(options: UserOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const users = await listUsers(options.data);
    for (const { name, role } of users) done(context, { name, role }, `${name}\t${role}`);
    if (users.length === 0) context.say('no user yet: can-ota server user add NAME --role admin');
    return ExitCode.success;
  });
}

function done(context: Context, fact: unknown, line: string): void {
  context.emit(fact);
  context.say(line);
}

/** Longest password; a longer input is a file that was piped in by mistake. */
const MAX_INPUT = 4096;

/**
 * Typed twice on a terminal, otherwise the first line of standard input. Never an argument: other users can see those.
 */
async function readPassword(): Promise<string> {
  if (!canAsk()) {
    let text = '';
    for await (const chunk of process.stdin) {
      text += String(chunk);
      if (text.includes('\n') || text.length > MAX_INPUT) break;
    }
    const [line = ''] = text.split(/\r?\n/, 1);
    if (line === '')
      throw new InputError('password', 'standard input holds none: pipe it in as one line');
    return line;
  }
  const first = await askSecret('Password');
  const second = first === undefined ? undefined : await askSecret('Once more');
  if (first === undefined || second === undefined) {
    throw new InputError('password', 'none was entered: nothing was changed');
  }
  if (first !== second)
    throw new InputError('password', 'the two entries differ: nothing was changed');
  return first;
}
