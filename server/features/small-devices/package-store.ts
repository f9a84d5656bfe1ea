// Packages for small devices, the key that each model's packages are signed with, and the copies that were encrypted.

import type { Kysely } from 'kysely';
import type {
  PackageManifest,
  Profile,
  SignedManifest,
} from '../../../src/contract/chunked/package.ts';
import { sameVersion } from '../../../src/core/version-order.ts';
import type { Database } from '../../platform/db/database.ts';
import type { DevicePackagesTable, Schema } from '../../platform/db/schema.ts';
import type { AuditLog } from '../audit/store.ts';
import type { Actor } from '../registry/store.ts';

export interface DevicePackage {
  readonly id: string;
  readonly signed: SignedManifest;
  /** Of the key that signed it. */
  readonly keyId: string;
  readonly releasedBy: string;
  readonly releasedAt: string;
  /** Undefined of a package that is offered. */
  readonly withdrawn: Withdrawal | undefined;
}

export interface Withdrawal {
  readonly by: string;
  /** ISO 8601 */
  readonly at: string;
  readonly reason: string;
}

/** What names a package. */
export interface PackageName {
  readonly model: string;
  readonly version: string;
  readonly profile: Profile;
}

export type AddPackageResult =
  /** `same`: this very manifest and image were released before. */
  | { readonly kind: 'added' | 'same'; readonly package: DevicePackage }
  /** Another image has this model, profile and version; or the version was withdrawn, which is for good. */
  | { readonly kind: 'conflict' | 'withdrawn'; readonly package: DevicePackage };

export type WithdrawResult =
  /** `stopped`: serial numbers of the devices that were downloading it. `known`: it was withdrawn before. */
  | {
      readonly kind: 'withdrawn' | 'known';
      readonly package: DevicePackage;
      readonly stopped: readonly string[];
    }
  | { readonly kind: 'unknown' };

/** The image of a package, encrypted for one device. */
export interface DeviceCopy {
  readonly packageId: string;
  /** Tells by which secret of the device it was encrypted. */
  readonly secretMark: string;
  readonly length: number;
  readonly sha256: string;
}

export class DevicePackageStore {
  readonly #db: Database;
  readonly #audit: AuditLog;

  constructor(db: Database, audit: AuditLog) {
    this.#db = db;
    this.#audit = audit;
  }

  /** The first key under which a package of this model and profile came stays its key: the result is the one that counts. */
  async pinKey(
    model: string,
    profile: Profile,
    key: { readonly id: string; readonly pem: string },
  ): Promise<string> {
    await this.#db.query
      .insertInto('release_keys')
      .values({
        model,
        profile,
        key_id: key.id,
        public_key: key.pem,
        pinned_at: this.#db.timestamp(),
      })
      .onConflict((conflict) => conflict.columns(['model', 'profile']).doNothing())
      .execute();
    return (await this.keyOf(model, profile))!;
  }

  /** Id of the key. */
  async keyOf(model: string, profile: Profile): Promise<string | undefined> {
    const row = await this.#db.query
      .selectFrom('release_keys')
      .select('key_id')
      .where('model', '=', model)
      .where('profile', '=', profile)
      .executeTakeFirst();
    return row?.key_id;
  }

  async add(
    { manifest, signature }: SignedManifest,
    keyId: string,
    releasedBy: string,
  ): Promise<AddPackageResult> {
    const { model, version, counter, profile, length, sha256 } = manifest;
    const id = this.#db.newId();
    return this.#db.query.transaction().execute(async (transaction): Promise<AddPackageResult> => {
      const row = await rowOf(transaction, manifest);
      if (row !== undefined) {
        if (row.withdrawn_at !== null) return { kind: 'withdrawn', package: packageOf(row) };
        // Another spelling is another signed manifest of the same version.
        const same = row.version === version && row.sha256 === sha256 && row.counter === counter;
        return { kind: same ? 'same' : 'conflict', package: packageOf(row) };
      }
      const added = await transaction
        .insertInto('device_packages')
        .values({
          id,
          model,
          version,
          counter,
          profile,
          length,
          sha256,
          signature,
          key_id: keyId,
          released_by: releasedBy,
          released_at: this.#db.timestamp(),
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      return { kind: 'added', package: packageOf(added) };
    });
  }

  /** In whatever spelling of its version. */
  async find(name: PackageName): Promise<DevicePackage | undefined> {
    const row = await rowOf(this.#db.query, name);
    return row === undefined ? undefined : packageOf(row);
  }

  /**
   * It is never offered again, and the downloads of it that are open end. Copies for single devices are forgotten: `onCopy` is told
   * the digest of each. The same again changes nothing.
   */
  async withdraw(
    name: PackageName,
    reason: string,
    actor: Actor,
    onCopy: (sha256: string) => Promise<void>,
  ): Promise<WithdrawResult> {
    const now = this.#db.timestamp();
    const copies: string[] = [];
    const result = await this.#db.query
      .transaction()
      .execute(async (transaction): Promise<WithdrawResult> => {
        const row = await rowOf(transaction, name);
        if (row === undefined) return { kind: 'unknown' };
        if (row.withdrawn_at !== null) {
          return { kind: 'known', package: packageOf(row), stopped: [] };
        }
        const changed = await transaction
          .updateTable('device_packages')
          .set({ withdrawn_at: now, withdrawn_by: actor.who, withdrawn_reason: reason })
          .where('id', '=', row.id)
          .returningAll()
          .executeTakeFirstOrThrow();
        const ended = await transaction
          .updateTable('transfers')
          .set({ state: 'withdrawn', code: 'PACKAGE_WITHDRAWN', reason, changed_at: now })
          .where('package_id', '=', row.id)
          .where('state', '=', 'downloading')
          .returning('serial')
          .execute();
        const gone = await transaction
          .deleteFrom('device_copies')
          .where('package_id', '=', row.id)
          .returning('sha256')
          .execute();
        copies.push(...gone.map(({ sha256 }) => sha256));
        await this.#audit.add(transaction, {
          action: 'package.withdrawn',
          ...actor,
          detail: `${row.model} ${row.version}, profile ${row.profile}: ${reason}`,
        });
        const stopped = ended.map(({ serial }) => serial);
        return { kind: 'withdrawn', package: packageOf(changed), stopped };
      });
    for (const sha256 of copies) await onCopy(sha256);
    return result;
  }

  /** The offered package with the highest counter; of equal ones the last that was released. */
  async newest(model: string, profile: Profile): Promise<DevicePackage | undefined> {
    const row = await this.#db.query
      .selectFrom('device_packages')
      .selectAll()
      .where('model', '=', model)
      .where('profile', '=', profile)
      .where('withdrawn_at', 'is', null)
      .orderBy('counter', 'desc')
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst();
    return row === undefined ? undefined : packageOf(row);
  }

  /** The newest first. */
  async list(limit = 200): Promise<DevicePackage[]> {
    const rows = await this.#db.query
      .selectFrom('device_packages')
      .selectAll()
      .orderBy('id', 'desc')
      .limit(limit)
      .execute();
    return rows.map(packageOf);
  }

  /** Whether a package has this plain image. */
  async holds(sha256: string): Promise<boolean> {
    const row = await this.#db.query
      .selectFrom('device_packages')
      .select('id')
      .where('sha256', '=', sha256)
      .limit(1)
      .executeTakeFirst();
    return row !== undefined;
  }

  async copyOf(serial: string): Promise<DeviceCopy | undefined> {
    const row = await this.#db.query
      .selectFrom('device_copies')
      .selectAll()
      .where('serial', '=', serial)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    return {
      packageId: row.package_id,
      secretMark: row.secret_mark,
      length: row.length,
      sha256: row.sha256,
    };
  }

  /** A device has one copy at a time. */
  async setCopy(serial: string, copy: DeviceCopy): Promise<void> {
    const row = {
      package_id: copy.packageId,
      secret_mark: copy.secretMark,
      length: copy.length,
      sha256: copy.sha256,
      created_at: this.#db.timestamp(),
    };
    await this.#db.query
      .insertInto('device_copies')
      .values({ serial, ...row })
      .onConflict((conflict) => conflict.column('serial').doUpdateSet(row))
      .execute();
  }
}

async function rowOf(
  query: Kysely<Schema>,
  { model, version, profile }: PackageName,
): Promise<DevicePackagesTable | undefined> {
  const rows = await query
    .selectFrom('device_packages')
    .selectAll()
    .where('model', '=', model)
    .where('profile', '=', profile)
    .execute();
  return rows.find((row) => sameVersion(row.version, version));
}

function packageOf(row: DevicePackagesTable): DevicePackage {
  const manifest: PackageManifest = {
    type: 'can-ota device package',
    format: 1,
    model: row.model,
    version: row.version,
    counter: row.counter,
    profile: row.profile as Profile,
    length: row.length,
    sha256: row.sha256,
  };
  return {
    id: row.id,
    signed: { manifest, signature: row.signature },
    keyId: row.key_id,
    releasedBy: row.released_by,
    releasedAt: row.released_at,
    withdrawn:
      row.withdrawn_at === null
        ? undefined
        : {
            by: row.withdrawn_by ?? '',
            at: row.withdrawn_at,
            reason: row.withdrawn_reason ?? '',
          },
  };
}
