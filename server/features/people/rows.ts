// People and their sessions, as they are stored.

import { z } from 'zod';
import { ROLES, type Role } from '../../platform/auth/identity.ts';
import { hex, json, tableRows, text, time } from '../../platform/db/row.ts';

export interface User {
  readonly name: string;
  readonly role: Role;
  readonly createdAt: string;
}

export interface UserWithHash extends User {
  readonly passwordHash: string;
}

const userRows = tableRows('users', {
  name: text,
  role: z.enum(ROLES),
  password_hash: text,
  created_at: time,
  changed_at: time,
});
const listedUser = userRows.only('name', 'role', 'created_at');

export function userOf(row: unknown): User {
  const { name, role, created_at } = listedUser(row);
  return { name, role, createdAt: created_at };
}

export function userWithHashOf(row: unknown): UserWithHash {
  const { name, role, created_at, password_hash } = userRows.read(row);
  return { name, role, createdAt: created_at, passwordHash: password_hash };
}

export const sessionData = z.object({ user: z.string(), csrfSecret: z.string() });

const sessionRows = tableRows('sessions', {
  id_hash: hex,
  user_name: text,
  data: json(sessionData),
  created_at: time,
  expires_at: time,
});
export const sessionOf = sessionRows.only('data', 'expires_at');
