// Packages for small devices, the key that each model's packages are signed with, and the copies that were encrypted.

import type { Kysely } from 'kysely';
import type { Profile, SignedManifest } from '../../../src/contract/chunked/package.ts';
import { sameVersion } from '../../../src/core/version-order.ts';
import type { Database } from '../../platform/db/database.ts';
import type { Schema } from '../../platform/db/schema.ts';
import type { AuditLog } from '../audit/store.ts';
import type { Actor } from '../registry/store.ts';
import {
  copyDigestOf,
  type DeviceCopy,
  type DevicePackage,
  deviceCopyOf,
  packageOf,
  pinnedKeyOf,
  transferOwnerOf,
} from './rows.ts';

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
    return (await this.keyOf(model, profile)) ?? key.id;
  }

  /** Id of the key. */
  async keyOf(model: string, profile: Profile): Promise<string | undefined> {
    const row = await this.#db.query
      .selectFrom('release_keys')
      .select('key_id')
      .where('model', '=', model)
      .where('profile', '=', profile)
      .executeTakeFirst();
    return row === undefined ? undefined : pinnedKeyOf(row).key_id;
  }

  async add(
    { manifest, signature }: SignedManifest,
    keyId: string,
    releasedBy: string,
  ): Promise<AddPackageResult> {
    const { model, version, counter, profile, length, sha256 } = manifest;
    const id = this.#db.newId();
    return this.#db.query.transaction().execute(async (transaction): Promise<AddPackageResult> => {
      const known = await packageNamed(transaction, manifest);
      if (known !== undefined) {
        if (known.withdrawn !== undefined) return { kind: 'withdrawn', package: known };
        const its = known.signed.manifest;
        // Another spelling is another signed manifest of the same version.
        const same = its.version === version && its.sha256 === sha256 && its.counter === counter;
        return { kind: same ? 'same' : 'conflict', package: known };
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
    return packageNamed(this.#db.query, name);
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
        const known = await packageNamed(transaction, name);
        if (known === undefined) return { kind: 'unknown' };
        if (known.withdrawn !== undefined) return { kind: 'known', package: known, stopped: [] };
        const { model, version, profile } = known.signed.manifest;
        const changed = await transaction
          .updateTable('device_packages')
          .set({ withdrawn_at: now, withdrawn_by: actor.who, withdrawn_reason: reason })
          .where('id', '=', known.id)
          .returningAll()
          .executeTakeFirstOrThrow();
        const ended = await transaction
          .updateTable('transfers')
          .set({ state: 'withdrawn', code: 'PACKAGE_WITHDRAWN', reason, changed_at: now })
          .where('package_id', '=', known.id)
          .where('state', '=', 'downloading')
          .returning('serial')
          .execute();
        const gone = await transaction
          .deleteFrom('device_copies')
          .where('package_id', '=', known.id)
          .returning('sha256')
          .execute();
        copies.push(...gone.map((row) => copyDigestOf(row).sha256));
        await this.#audit.add(transaction, {
          action: 'package.withdrawn',
          ...actor,
          detail: `${model} ${version}, profile ${profile}: ${reason}`,
        });
        const stopped = ended.map((row) => transferOwnerOf(row).serial);
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
    return row === undefined ? undefined : deviceCopyOf(row);
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

async function packageNamed(
  query: Kysely<Schema>,
  { model, version, profile }: PackageName,
): Promise<DevicePackage | undefined> {
  const rows = await query
    .selectFrom('device_packages')
    .selectAll()
    .where('model', '=', model)
    .where('profile', '=', profile)
    .execute();
  return rows.map(packageOf).find(({ signed }) => sameVersion(signed.manifest.version, version));
}
