// A registered device, and its row in the table.

import type { DevicesTable } from '../../platform/db/schema.ts';

export const DEVICE_STATUSES = ['factory_only', 'active', 'revoked'] as const;
export type DeviceStatus = (typeof DEVICE_STATUSES)[number];

/** What the factory tells of a device; keys and hashes in lower-case hexadecimal. */
export interface DeviceFacts {
  readonly vin: string | undefined;
  readonly name: string | undefined;
  readonly hardwareId: string | undefined;
  readonly primary: boolean;
  readonly signingKey: string | undefined;
  readonly encryptionKey: string | undefined;
  /** SHA-256 of the device's secret: the key of its challenges. */
  readonly secretHash: string | undefined;
}

export interface RegisteredDevice extends DeviceFacts {
  readonly hwId: string;
  readonly serial: string;
  readonly status: DeviceStatus;
  readonly createdAt: string;
  readonly updatedAt: string;
}

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

export function deviceOf(row: DevicesTable): RegisteredDevice {
  return {
    hwId: row.hw_id,
    serial: row.serial,
    status: row.status as DeviceStatus,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    secretHash: row.device_secret_hash ?? undefined,
    vin: row.vin ?? undefined,
    name: row.name ?? undefined,
    hardwareId: row.hardware_id ?? undefined,
    primary: row.is_primary === 1,
    signingKey: row.signing_key ?? undefined,
    encryptionKey: row.encryption_key ?? undefined,
  };
}
