// The registry's table: devices by hardware id, with serials that are given out one after the other.

import type { Transaction } from 'kysely';
import type { DeviceFacts, DeviceStatus, RegisteredDevice } from '../../platform/auth/identity.ts';
import { nextNumber } from '../../platform/db/counters.ts';
import type { Database } from '../../platform/db/database.ts';
import type { DevicesTable, Schema } from '../../platform/db/schema.ts';
import type { AuditEvent, AuditLog } from '../audit/store.ts';
import { DEVICE_STATE, deviceOf, deviceStateOf, rowOf, twinOf } from './rows.ts';

/** Why a device cannot be registered, changed or activated. */
export type DeviceRefusal =
  | { readonly kind: 'active'; readonly field: string; readonly device: RegisteredDevice }
  | { readonly kind: 'revoked'; readonly device: RegisteredDevice }
  /** Another device holds what must be held once: the key, the place in the vehicle, the role of its Primary. */
  | { readonly kind: 'taken'; readonly what: string; readonly device: RegisteredDevice }
  | { readonly kind: 'incomplete'; readonly field: string; readonly device: RegisteredDevice }
  | { readonly kind: 'unknown' };

export type ProvisionResult =
  | { readonly kind: 'created' | 'changed' | 'same'; readonly device: RegisteredDevice }
  | DeviceRefusal;

/** How often a device opened a session that another one had opened before it, and when last. */
export interface Twin {
  readonly count: number;
  readonly lastAt: string;
}

/** Who changes something, for the audit log. */
export interface Actor {
  readonly who: string;
  readonly address: string;
}

/** Name of the counter: the last serial number that was given out. */
export const SERIAL_COUNTER = 'device-serial';

const COLUMNS: Readonly<Record<keyof DeviceFacts, keyof DevicesTable>> = {
  vin: 'vin',
  name: 'name',
  hardwareId: 'hardware_id',
  primary: 'is_primary',
  signingKey: 'signing_key',
  encryptionKey: 'encryption_key',
  secretHash: 'device_secret_hash',
};

export class DeviceStore {
  readonly #db: Database;
  readonly #audit: AuditLog;
  #holdsDevices = false;

  constructor(db: Database, audit: AuditLog) {
    this.#db = db;
    this.#audit = audit;
  }

  /**
   * Registers a device, or adds to what is known of it while it is `factory_only`. The same call again changes
   * nothing. Serials follow one another without a gap, also for requests at the same time.
   */
  async provision(
    hwId: string,
    facts: Partial<DeviceFacts>,
    actor: Actor,
  ): Promise<ProvisionResult> {
    return this.#db.query.transaction().execute(async (transaction) => {
      const known = await this.#find(transaction, 'hw_id', hwId);
      const changed = changedFields(known, facts);
      if (known !== undefined) {
        if (known.status === 'revoked') return { kind: 'revoked', device: known };
        const [first] = changed;
        if (first === undefined) {
          const event = { action: 'device.repeated', ...actor, detail: describe(known) } as const;
          await this.#audit.add(transaction, event);
          return { kind: 'same', device: known };
        }
        if (known.status === 'active') {
          return { kind: 'active', field: COLUMNS[first], device: known };
        }
      }
      const next = { ...(known ?? NOTHING), ...given(facts) };
      const taken = await this.#taken(transaction, hwId, next);
      if (taken !== undefined) return taken;
      const now = this.#db.timestamp();
      const device: RegisteredDevice = {
        ...next,
        hwId,
        serial: known?.serial ?? (await this.#nextSerial(transaction)),
        status: known?.status ?? 'factory_only',
        createdAt: known?.createdAt ?? now,
        updatedAt: now,
      };
      const { hw_id: _, ...row } = rowOf(device);
      await transaction
        .insertInto('devices')
        .values(rowOf(device))
        .onConflict((conflict) => conflict.column('hw_id').doUpdateSet(row))
        .execute();
      const what = changed.map((field) => COLUMNS[field]).join(', ');
      await this.#audit.add(transaction, {
        action: known === undefined ? 'device.created' : 'device.changed',
        ...actor,
        detail: `${describe(device)}${what === '' ? '' : `: ${what}`}`,
      });
      return { kind: known === undefined ? 'created' : 'changed', device };
    });
  }

  /** The factory is done with the device. Undefined when it is active already or is so now. */
  async activate(hwId: string, actor: Actor): Promise<RegisteredDevice | DeviceRefusal> {
    return this.#db.query.transaction().execute(async (transaction) => {
      const device = await this.#find(transaction, 'hw_id', hwId);
      if (device === undefined) return { kind: 'unknown' };
      if (device.status === 'revoked') return { kind: 'revoked', device };
      return this.#setActive(transaction, device, actor);
    });
  }

  /** For administrators, by serial: also what was revoked comes back. */
  async setStatus(
    serial: string,
    status: 'active' | 'revoked',
    actor: Actor,
  ): Promise<RegisteredDevice | DeviceRefusal> {
    return this.#db.query.transaction().execute(async (transaction) => {
      const device = await this.#find(transaction, 'serial', serial);
      if (device === undefined) return { kind: 'unknown' };
      if (status === 'active') return this.#setActive(transaction, device, actor);
      return this.#write(transaction, device, 'revoked', {
        action: 'device.revoked',
        ...actor,
      });
    });
  }

  /**
   * The same chip goes through the factory again: its flash, or its state directory, is lost. Its keys, its secret and
   * its sessions are forgotten; serial and place in the vehicle stay. Until it is activated it is refused everywhere.
   */
  async reopen(serial: string, actor: Actor): Promise<RegisteredDevice | DeviceRefusal> {
    return this.#db.query.transaction().execute(async (transaction) => {
      const device = await this.#find(transaction, 'serial', serial);
      if (device === undefined) return { kind: 'unknown' };
      // A part that has its place meanwhile comes first: two cannot both be in the vehicle.
      const taken = await this.#taken(transaction, device.hwId, {
        ...device,
        signingKey: undefined,
        encryptionKey: undefined,
      });
      if (taken !== undefined) return taken;
      const updatedAt = this.#db.timestamp();
      const reopened: RegisteredDevice = {
        ...device,
        status: 'factory_only',
        signingKey: undefined,
        encryptionKey: undefined,
        secretHash: undefined,
        updatedAt,
      };
      const { hw_id: _, ...row } = rowOf(reopened);
      await transaction.updateTable('devices').set(row).where('hw_id', '=', device.hwId).execute();
      await transaction.deleteFrom('sealed_sessions').where('serial', '=', serial).execute();
      await transaction.deleteFrom('device_keys').where('serial', '=', serial).execute();
      await this.#audit.add(transaction, {
        action: 'device.reopened',
        ...actor,
        detail: describe(reopened),
      });
      return reopened;
    });
  }

  /** Devices that were seen twice, by serial: see `SealedSessionStore.open`. */
  async twins(): Promise<ReadonlyMap<string, Twin>> {
    const rows = await this.#db.query
      .selectFrom('device_keys')
      .select(['serial', 'twin_count', 'twin_at'])
      .where('twin_count', '>', 0)
      .execute();
    return new Map(
      rows
        .map(twinOf)
        .map(({ serial, twin_count, twin_at }) => [
          serial,
          { count: twin_count, lastAt: twin_at ?? '' },
        ]),
    );
  }

  async bySerial(serial: string): Promise<RegisteredDevice | undefined> {
    return this.#find(this.#db.query, 'serial', serial);
  }

  /** The ECUs of a vehicle, whatever their status, by serial. */
  async ofVehicle(vin: string): Promise<RegisteredDevice[]> {
    const rows = await this.#db.query
      .selectFrom('devices')
      .selectAll()
      .where('vin', '=', vin)
      .orderBy('serial')
      .execute();
    return rows.map(deviceOf);
  }

  /** Changes with every change of a device of this vehicle. */
  async revisionOf(vin: string): Promise<readonly (readonly [string, DeviceStatus, string])[]> {
    const rows = await this.#db.query
      .selectFrom('devices')
      .select(DEVICE_STATE)
      .where('vin', '=', vin)
      .orderBy('serial')
      .execute();
    return rows.map((row) => {
      const { serial, status, updated_at } = deviceStateOf(row);
      return [serial, status, updated_at];
    });
  }

  /** By serial, the newest first when `limit` cuts. */
  async list(limit = 100_000): Promise<RegisteredDevice[]> {
    const rows = await this.#db.query
      .selectFrom('devices')
      .selectAll()
      .orderBy('created_at', 'desc')
      .orderBy('serial', 'desc')
      .limit(limit)
      .execute();
    return rows.map(deviceOf).reverse();
  }

  /** True as soon as one was ever registered: from then on vehicles have to prove who they are. */
  async holdsDevices(): Promise<boolean> {
    this.#holdsDevices ||=
      (await this.#db.query.selectFrom('devices').select('serial').limit(1).executeTakeFirst()) !==
      undefined;
    return this.#holdsDevices;
  }

  async #setActive(
    transaction: Transaction<Schema>,
    device: RegisteredDevice,
    actor: Actor,
  ): Promise<RegisteredDevice | DeviceRefusal> {
    if (device.status === 'active') return device;
    // A Primary without them could neither log in nor sign what its vehicle says.
    if (device.primary) {
      for (const field of ['vin', 'signingKey', 'secretHash'] as const) {
        if (device[field] === undefined) {
          return { kind: 'incomplete', field: COLUMNS[field], device };
        }
      }
    }
    // Its place may have been given to another one while it was revoked.
    const taken = await this.#taken(transaction, device.hwId, device);
    if (taken !== undefined) return taken;
    return this.#write(transaction, device, 'active', { action: 'device.activated', ...actor });
  }

  async #write(
    transaction: Transaction<Schema>,
    device: RegisteredDevice,
    status: DeviceStatus,
    event: AuditEvent,
  ): Promise<RegisteredDevice> {
    if (device.status === status) return device;
    const updatedAt = this.#db.timestamp();
    await transaction
      .updateTable('devices')
      .set({ status, updated_at: updatedAt })
      .where('hw_id', '=', device.hwId)
      .execute();
    await this.#audit.add(transaction, { ...event, detail: describe(device) });
    return { ...device, status, updatedAt };
  }

  async #find(
    query: Database['query'],
    column: 'hw_id' | 'serial',
    value: string,
  ): Promise<RegisteredDevice | undefined> {
    const row = await query
      .selectFrom('devices')
      .selectAll()
      .where(column, '=', value)
      .executeTakeFirst();
    return row === undefined ? undefined : deviceOf(row);
  }

  async #taken(
    transaction: Transaction<Schema>,
    hwId: string,
    facts: DeviceFacts,
  ): Promise<DeviceRefusal | undefined> {
    const others = transaction.selectFrom('devices').selectAll().where('hw_id', '!=', hwId);
    for (const field of ['signingKey', 'encryptionKey'] as const) {
      const value = facts[field];
      if (value === undefined) continue;
      const row = await others.where(COLUMNS[field], '=', value).executeTakeFirst();
      if (row !== undefined) return { kind: 'taken', what: COLUMNS[field], device: deviceOf(row) };
    }
    if (facts.vin === undefined) return undefined;
    const inVehicle = others.where('vin', '=', facts.vin).where('status', '!=', 'revoked');
    if (facts.name !== undefined) {
      const row = await inVehicle.where('name', '=', facts.name).executeTakeFirst();
      if (row !== undefined) {
        return { kind: 'taken', what: `${facts.name} of ${facts.vin}`, device: deviceOf(row) };
      }
    }
    if (facts.primary) {
      const row = await inVehicle.where('is_primary', '=', 1).executeTakeFirst();
      if (row !== undefined) {
        return { kind: 'taken', what: `Primary of ${facts.vin}`, device: deviceOf(row) };
      }
    }
    return undefined;
  }

  async #nextSerial(transaction: Transaction<Schema>): Promise<string> {
    const value = await nextNumber(transaction, SERIAL_COUNTER);
    return `CO-${String(value).padStart(6, '0')}`;
  }
}

const NOTHING: DeviceFacts = {
  vin: undefined,
  name: undefined,
  hardwareId: undefined,
  primary: false,
  signingKey: undefined,
  encryptionKey: undefined,
  secretHash: undefined,
};

/** Without what was left out: leaving out never deletes. */
function given(facts: Partial<DeviceFacts>): Partial<DeviceFacts> {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}

function changedFields(
  known: RegisteredDevice | undefined,
  facts: Partial<DeviceFacts>,
): (keyof DeviceFacts)[] {
  const fields = Object.keys(given(facts)) as (keyof DeviceFacts)[];
  return known === undefined ? [] : fields.filter((field) => facts[field] !== known[field]);
}

function describe(device: RegisteredDevice): string {
  const place = [device.vin, device.name].filter((part) => part !== undefined).join(' ');
  return `${device.serial} (${device.hwId}${place === '' ? '' : `, ${place}`})`;
}
