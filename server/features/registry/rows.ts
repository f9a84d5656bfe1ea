// Devices, their sessions and keys, and the tokens of tools, as they are stored.

import { z } from 'zod';
import { fromHex } from '../../../src/core/bytes.ts';
import { type SealedSession, SUITES } from '../../../src/trust/sealed-session.ts';
import {
  DEVICE_STATUSES,
  type RegisteredDevice,
  type ServiceToken,
  TOKEN_ROLES,
} from '../../platform/auth/identity.ts';
import { bit, count, hex, tableRows, text, time } from '../../platform/db/row.ts';
import type { DevicesTable } from '../../platform/db/schema.ts';

export function rowOf(device: RegisteredDevice): DevicesTable {
  return {
    hw_id: device.hwId,
    serial: device.serial,
    status: device.status,
    created_at: device.createdAt,
    updated_at: device.updatedAt,
    device_secret_hash: device.secretHash ?? null,
    vin: device.vin ?? null,
    name: device.name ?? null,
    hardware_id: device.hardwareId ?? null,
    is_primary: device.primary ? 1 : 0,
    signing_key: device.signingKey ?? null,
    encryption_key: device.encryptionKey ?? null,
  };
}

const deviceRows = tableRows('devices', {
  hw_id: text,
  serial: text,
  status: z.enum(DEVICE_STATUSES),
  created_at: time,
  updated_at: time,
  device_secret_hash: hex.nullable(),
  vin: text.nullable(),
  name: text.nullable(),
  hardware_id: text.nullable(),
  is_primary: bit,
  signing_key: hex.nullable(),
  encryption_key: hex.nullable(),
});

/** What a vehicle's answer may depend on, without the keys: read with each question of each vehicle. */
export const DEVICE_STATE = ['serial', 'status', 'updated_at'] as const;
export const deviceStateOf = deviceRows.only(...DEVICE_STATE);

export function deviceOf(row: unknown): RegisteredDevice {
  const device = deviceRows.read(row);
  return {
    hwId: device.hw_id,
    serial: device.serial,
    status: device.status,
    createdAt: device.created_at,
    updatedAt: device.updated_at,
    secretHash: device.device_secret_hash ?? undefined,
    vin: device.vin ?? undefined,
    name: device.name ?? undefined,
    hardwareId: device.hardware_id ?? undefined,
    primary: device.is_primary === 1,
    signingKey: device.signing_key ?? undefined,
    encryptionKey: device.encryption_key ?? undefined,
  };
}

const tokenRows = tableRows('service_tokens', {
  name: text,
  role: z.enum(TOKEN_ROLES),
  token_hash: hex,
  created_at: time,
  expires_at: time.nullable(),
  used_at: time.nullable(),
});

export const TOKEN_COLUMNS = ['name', 'role', 'created_at', 'expires_at', 'used_at'] as const;
const listedToken = tokenRows.only(...TOKEN_COLUMNS);

export function tokenOf(row: unknown): ServiceToken {
  const { name, role, created_at, expires_at, used_at } = listedToken(row);
  return {
    ...{ name, role, createdAt: created_at },
    expiresAt: expires_at ?? undefined,
    usedAt: used_at ?? undefined,
  };
}

const deviceTokenRows = tableRows('device_tokens', {
  token_hash: hex,
  serial: text,
  number: count,
  opened_at: time,
  expires_at: time,
});
export const tokenOwnerOf = deviceTokenRows.only('serial');

const sessionRows = tableRows('sealed_sessions', {
  id: text,
  session: hex,
  serial: text,
  suite: z.enum(SUITES),
  secret: hex,
  highest: count,
  opened_at: time,
  expires_at: time,
});
export const SESSION_COLUMNS = ['session', 'serial', 'suite', 'secret'] as const;
const openSession = sessionRows.only(...SESSION_COLUMNS);

export function sealedSessionOf(row: unknown): SealedSession {
  const { session, serial, suite, secret } = openSession(row);
  return { id: session, serial, suite, secret: fromHex(secret) };
}

const keyRows = tableRows('device_keys', {
  serial: text,
  counter: count,
  next_key: hex.nullable(),
  changed_at: time.nullable(),
  twin_count: count,
  twin_at: time.nullable(),
});
export const openedOf = keyRows.only('counter', 'twin_count');
export const nextKeyOf = keyRows.only('next_key');
export const twinOf = keyRows.only('serial', 'twin_count', 'twin_at');
