// What `can-ota server device ...` and `server token ...` do: on a data folder, with or without a running server.

import { z } from 'zod';
import { type Clock, systemClock } from '../../../src/core/clock.ts';
import { InputError } from '../../../src/core/errors.ts';
import { type Logger, silentLogger } from '../../../src/core/logger.ts';
import { itemAt } from '../../../src/core/present.ts';
import { type Random, systemRandom } from '../../../src/core/random.ts';
import {
  type RegisteredDevice,
  type ServiceToken,
  TOKEN_ROLES,
  type TokenRole,
} from '../../platform/auth/identity.ts';
import { type DataFolder, openDatabase } from '../../platform/db/database.ts';
import { AuditLog } from '../audit/store.ts';
import { explainRefusal } from './routes.ts';
import { ServiceTokenStore } from './service-token-store.ts';
import { type Actor, DeviceStore, type Twin } from './store.ts';

export interface RegistryCommandOptions {
  clock?: Clock;
  random?: Random;
  logger?: Logger;
}

/** In the audit log: who may write to the data folder needs no other proof. */
const OPERATOR: Actor = { who: 'operator', address: 'local' };

const tokenName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._@-]{0,63}$/,
    'expected 1 to 64 characters: a-z 0-9 . _ @ -, the first one a letter or digit',
  );

/** By serial. */
export function listDevices(
  dataDir: DataFolder,
  options: RegistryCommandOptions = {},
): Promise<RegisteredDevice[]> {
  return withRegistry(dataDir, options, ({ devices }) => devices.list());
}

/** Takes effect at the device's next request. Throws InputError for an unknown serial, or a place that is taken. */
export function setDeviceStatus(
  dataDir: DataFolder,
  serial: string,
  status: 'active' | 'revoked',
  options: RegistryCommandOptions = {},
): Promise<RegisteredDevice> {
  return withRegistry(dataDir, options, async ({ devices }) => {
    const result = await devices.setStatus(serial, status, OPERATOR);
    if ('kind' in result) throw new InputError('serial', explainRefusal(result, serial));
    return result;
  });
}

/**
 * The same chip may be provisioned or enrolled again: what it had is lost. Throws InputError for an unknown serial, and
 * where another device has its place.
 */
export function reopenDevice(
  dataDir: DataFolder,
  serial: string,
  options: RegistryCommandOptions = {},
): Promise<RegisteredDevice> {
  return withRegistry(dataDir, options, async ({ devices }) => {
    const result = await devices.reopen(serial, OPERATOR);
    if ('kind' in result) throw new InputError('serial', explainRefusal(result, serial));
    return result;
  });
}

/** Devices whose key is used by two, with the serial as key. */
export function listTwins(
  dataDir: DataFolder,
  options: RegistryCommandOptions = {},
): Promise<ReadonlyMap<string, Twin>> {
  return withRegistry(dataDir, options, ({ devices }) => devices.twins());
}

/** How long a token is good unless told: longer than the metadata that it is needed for to renew. */
const TOKEN_LIFE_DAYS = 730;

/** The token, which is shown this once. Throws InputError for a bad or taken name, or an unknown role. */
export async function addToken(
  dataDir: DataFolder,
  name: string,
  role: string,
  options: RegistryCommandOptions & { readonly lifeDays?: number } = {},
): Promise<string> {
  const lifeMs = (options.lifeDays ?? TOKEN_LIFE_DAYS) * 86_400_000;
  const parsedName = tokenName.safeParse(name);
  if (!parsedName.success) throw new InputError('name', itemAt(parsedName.error.issues, 0).message);
  const parsedRole = z.enum(TOKEN_ROLES).safeParse(role);
  if (!parsedRole.success) {
    throw new InputError(
      'role',
      `${JSON.stringify(role)} is unknown: use one of ${TOKEN_ROLES.join(', ')}`,
    );
  }
  const random = options.random ?? systemRandom;
  return withRegistry(dataDir, options, async ({ tokens }) => {
    const token = await tokens.add(name, parsedRole.data as TokenRole, random, OPERATOR, lifeMs);
    if (token !== undefined) return token;
    throw new InputError(
      'name',
      `there is a token ${name} already: remove it first, or choose another name`,
    );
  });
}

/** Takes effect at its next request. Throws InputError for an unknown name. */
export function removeToken(
  dataDir: DataFolder,
  name: string,
  options: RegistryCommandOptions = {},
): Promise<void> {
  return withRegistry(dataDir, options, async ({ tokens }) => {
    if (await tokens.remove(name, OPERATOR)) return;
    throw new InputError('name', `there is no token ${name}: "server token --list" shows them`);
  });
}

/** Sorted by name. */
export function listTokens(
  dataDir: DataFolder,
  options: RegistryCommandOptions = {},
): Promise<ServiceToken[]> {
  return withRegistry(dataDir, options, ({ tokens }) => tokens.list());
}

async function withRegistry<T>(
  dataDir: DataFolder,
  options: RegistryCommandOptions,
  work: (stores: { devices: DeviceStore; tokens: ServiceTokenStore }) => Promise<T>,
): Promise<T> {
  const db = await openDatabase(dataDir, {
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  });
  try {
    const audit = new AuditLog(db, options.logger ?? silentLogger);
    return await work({
      devices: new DeviceStore(db, audit),
      tokens: new ServiceTokenStore(db, audit),
    });
  } finally {
    await db.close();
  }
}
