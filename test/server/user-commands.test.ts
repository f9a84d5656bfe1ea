// The user commands: names, roles, passwords, and messages that say what to do.

import { describe, expect, it } from 'vitest';
import { Passwords } from '../../server/features/people/passwords.ts';
import {
  addUser,
  changePassword,
  listUsers,
  removeUser,
} from '../../server/features/people/tool-commands.ts';
import { InputError } from '../../src/core/errors.ts';
import { FAST_BCRYPT, PASSWORD, temporaryFolder } from './support.ts';

const COST = { bcryptCost: FAST_BCRYPT };

describe('user commands', () => {
  it('add, list, change and remove', async () => {
    const dir = await temporaryFolder();
    await addUser(dir, 'Vera', 'viewer', PASSWORD, COST);
    await addUser(dir, 'anna@example.org', 'admin', PASSWORD, COST);
    expect(await listUsers(dir)).toMatchObject([
      { name: 'anna@example.org', role: 'admin' },
      { name: 'vera', role: 'viewer' },
    ]);
    await changePassword(dir, 'VERA', 'another password', COST);
    await removeUser(dir, 'vera');
    expect(await listUsers(dir)).toHaveLength(1);
    await expect(removeUser(dir, 'vera')).rejects.toThrow(/no user vera/);
    await expect(changePassword(dir, 'vera', PASSWORD, COST)).rejects.toThrow(/no user vera/);
    await expect(addUser(dir, 'anna@example.org', 'admin', PASSWORD, COST)).rejects.toThrow(
      /exists already/,
    );
  });

  it.each([
    ['', 'admin', PASSWORD, 'name'],
    ['a b', 'admin', PASSWORD, 'name'],
    ['../x', 'admin', PASSWORD, 'name'],
    ['anna', 'root', PASSWORD, 'role'],
    ['anna', 'admin', 'too short', 'password'],
    ['anna', 'admin', 'x'.repeat(73), 'password'],
    ['anna', 'admin', 'ä'.repeat(37), 'password'],
    ['anna', 'admin', 'with a \0 inside', 'password'],
  ])('refuse %j %j %.12j', async (name, role, password, where) => {
    const failure = await addUser(await temporaryFolder(), name, role, password, COST).catch(
      (error) => error,
    );
    expect(failure).toBeInstanceOf(InputError);
    expect(failure.where).toBe(where);
  });
});

describe('Passwords', () => {
  it('takes 72 bytes and the same characters in another composition', async () => {
    const passwords = new Passwords(FAST_BCRYPT);
    const hash = await passwords.hash('ä'.repeat(36));
    expect(await passwords.verify('a\u0308'.repeat(36), hash)).toBe(true);
    expect(await passwords.verify(`${'ä'.repeat(36)}x`, hash)).toBe(false);
    expect(await passwords.verify('anything', undefined)).toBe(false);
    expect(await passwords.verify('the password of nobody', undefined)).toBe(false);
  });
});
