// Signed metadata that is the same for every vehicle: the Roots of both repositories, and the image repository's files.

import type { RepositoryName } from '../../../src/trust/full-verification.ts';
import type { Database } from '../../platform/db/database.ts';
import { metadataBytesOf, metadataOf, type StoredMetadata } from './rows.ts';

/** Versions kept of a role for readers that are in the middle of a refresh; Roots are kept all. */
const KEEP_VERSIONS = 10;

export class MetadataStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** All Roots by version, and the newest file of every other role. */
  async newest(repository: RepositoryName): Promise<StoredMetadata[]> {
    const newest = this.#db.query
      .selectFrom('metadata')
      .select(({ fn }) => ['role', fn.max('version').as('version')])
      .where('repository', '=', repository)
      .groupBy('role')
      .as('newest');
    const others = await this.#db.query
      .selectFrom('metadata')
      .innerJoin(newest, (join) =>
        join
          .onRef('newest.role', '=', 'metadata.role')
          .onRef('newest.version', '=', 'metadata.version'),
      )
      .select(['metadata.role', 'metadata.version', 'metadata.bytes'])
      .where('metadata.repository', '=', repository)
      .where('metadata.role', '!=', 'root')
      .execute();
    return [...(await this.roots(repository)), ...others.map(metadataOf)];
  }

  /** By version, the oldest first. */
  async roots(repository: RepositoryName): Promise<StoredMetadata[]> {
    const rows = await this.#db.query
      .selectFrom('metadata')
      .select(['role', 'version', 'bytes'])
      .where('repository', '=', repository)
      .where('role', '=', 'root')
      .orderBy('version')
      .execute();
    return rows.map(metadataOf);
  }

  async find(
    repository: RepositoryName,
    role: string,
    version: number,
  ): Promise<Uint8Array | undefined> {
    const row = await this.#db.query
      .selectFrom('metadata')
      .select('bytes')
      .where('repository', '=', repository)
      .where('role', '=', role)
      .where('version', '=', version)
      .executeTakeFirst();
    return row === undefined ? undefined : metadataBytesOf(row).bytes;
  }

  /** All of them or none. A version that is there already is never changed: throws. */
  async add(repository: RepositoryName, files: readonly StoredMetadata[]): Promise<void> {
    await this.#write(repository, files, false);
  }

  /** As `add`, for what another server has published: its fast-forward recovery may come back to a lower version. */
  async replace(repository: RepositoryName, files: readonly StoredMetadata[]): Promise<void> {
    await this.#write(repository, files, true);
  }

  async #write(
    repository: RepositoryName,
    files: readonly StoredMetadata[],
    replace: boolean,
  ): Promise<void> {
    if (files.length === 0) return;
    await this.#db.query.transaction().execute(async (transaction) => {
      for (const { role, version, bytes } of files) {
        if (replace) {
          await transaction
            .deleteFrom('metadata')
            .where('repository', '=', repository)
            .where('role', '=', role)
            .where('version', '>=', version)
            .execute();
        }
        await transaction
          .insertInto('metadata')
          .values({ repository, role, version, bytes, stored_at: this.#db.timestamp() })
          .execute();
        if (role === 'root') continue;
        await transaction
          .deleteFrom('metadata')
          .where('repository', '=', repository)
          .where('role', '=', role)
          .where('version', '<=', version - KEEP_VERSIONS)
          .execute();
      }
    });
  }
}
