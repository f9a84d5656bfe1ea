// What `can-ota server user ...` does: people of a data folder, with or without a running server beside it.

import { z } from 'zod';
import { type Clock, systemClock } from '../../../src/core/clock.ts';
import { InputError } from '../../../src/core/errors.ts';
import { itemAt } from '../../../src/core/present.ts';
import { type Random, systemRandom } from '../../../src/core/random.ts';
import { ROLES, type Role } from '../../platform/auth/identity.ts';
import { type Database, type DataFolder, openDatabase } from '../../platform/db/database.ts';
import { Passwords } from './passwords.ts';
import type { User } from './rows.ts';
import { UserStore } from './store.ts';

export interface UserCommandOptions {
  clock?: Clock;
  random?: Random;
  /** bcrypt cost, 12 unless told. */
  bcryptCost?: number;
}

const userName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._@-]{0,63}$/,
    'expected 1 to 64 characters: a-z 0-9 . _ @ -, the first one a letter or digit',
  );

/** Throws InputError for a bad or taken name, an unknown role, or a password that is not accepted. */
export async function addUser(
  dataDir: DataFolder,
  name: string,
  role: string,
  password: string,
  options: UserCommandOptions = {},
): Promise<void> {
  const parsedName = checkName(name);
  const parsedRole = z.enum(ROLES).safeParse(role);
  if (!parsedRole.success) {
    throw new InputError('role', `${JSON.stringify(role)} is unknown: use ${ROLES.join(' or ')}`);
  }
  const hash = await new Passwords(options.bcryptCost).hash(password);
  await withUsers(dataDir, options, async (users) => {
    if (!(await users.add(parsedName, parsedRole.data as Role, hash))) {
      throw new InputError(
        'name',
        `${parsedName} exists already: change the password or remove it`,
      );
    }
  });
}

/** Ends the user's sessions too. Throws InputError for an unknown name or a bad password. */
export async function changePassword(
  dataDir: DataFolder,
  name: string,
  password: string,
  options: UserCommandOptions = {},
): Promise<void> {
  const parsedName = checkName(name);
  const hash = await new Passwords(options.bcryptCost).hash(password);
  await withUsers(dataDir, options, async (users) => {
    if (!(await users.setPassword(parsedName, hash))) throw unknownUser(parsedName);
  });
}

/** Ends the user's sessions too. Throws InputError for an unknown name. */
export async function removeUser(
  dataDir: DataFolder,
  name: string,
  options: UserCommandOptions = {},
): Promise<void> {
  const parsedName = checkName(name);
  await withUsers(dataDir, options, async (users) => {
    if (!(await users.remove(parsedName))) throw unknownUser(parsedName);
  });
}

/** Sorted by name. */
export async function listUsers(
  dataDir: DataFolder,
  options: UserCommandOptions = {},
): Promise<User[]> {
  return withUsers(dataDir, options, (users) => users.list());
}

function checkName(name: string): string {
  const parsed = userName.safeParse(name.toLowerCase());
  if (!parsed.success) throw new InputError('name', itemAt(parsed.error.issues, 0).message);
  return parsed.data;
}

function unknownUser(name: string): InputError {
  return new InputError('name', `there is no user ${name}: "user list" shows who there is`);
}

async function withUsers<T>(
  dataDir: DataFolder,
  options: UserCommandOptions,
  work: (users: UserStore) => Promise<T>,
): Promise<T> {
  const db: Database = await openDatabase(dataDir, {
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  });
  try {
    return await work(new UserStore(db));
  } finally {
    await db.close();
  }
}
