// Releases: one image for each ECU and version. Kept in memory too, since vehicles ask for them all day.

import { compareVersions, sameVersion } from '../../../src/core/version-order.ts';
import type { Database } from '../../platform/db/database.ts';
import { releaseOf, type StoredRelease } from './rows.ts';

export type AddResult =
  | { readonly kind: 'added'; readonly release: StoredRelease }
  /** The same bytes were released under this ECU and version before, maybe in another spelling of the version. */
  | { readonly kind: 'same'; readonly release: StoredRelease }
  /** Other bytes have this ECU and version: a version never changes what it means, in whatever spelling. */
  | { readonly kind: 'conflict'; readonly release: StoredRelease };

export class ReleaseStore {
  readonly #db: Database;
  /** Newest upload first. This process is the only writer (it holds the data folder's lock). */
  #releases: StoredRelease[] = [];
  #byFile = new Map<string, StoredRelease>();
  #newest = new Map<string, StoredRelease>();

  private constructor(db: Database) {
    this.#db = db;
  }

  static async open(db: Database): Promise<ReleaseStore> {
    const store = new ReleaseStore(db);
    await store.#load();
    return store;
  }

  all(): readonly StoredRelease[] {
    return this.#releases;
  }

  byFile(file: string): StoredRelease | undefined {
    return this.#byFile.get(file);
  }

  holds(sha256: string): boolean {
    return this.#releases.some((release) => release.sha256 === sha256);
  }

  /** The newest release of each ECU by version, sorted by ECU; of all ECUs when none is named. */
  newest(ecus: readonly string[] = []): StoredRelease[] {
    const names = ecus.length === 0 ? [...this.#newest.keys()] : [...new Set(ecus)];
    return names.sort().flatMap((name) => this.#newest.get(name) ?? []);
  }

  async add(release: Omit<StoredRelease, 'id' | 'file' | 'uploadedAt'>): Promise<AddResult> {
    const row: StoredRelease = {
      ...release,
      id: this.#db.newId(),
      file: `${release.ecu}-${release.version}-${release.sha256.slice(0, 12)}.bin`,
      uploadedAt: this.#db.timestamp(),
    };
    const existing = await this.#db.query.transaction().execute(async (transaction) => {
      const rows = await transaction
        .selectFrom('releases')
        .selectAll()
        .where('ecu', '=', row.ecu)
        .execute();
      const same = rows.map(releaseOf).find(({ version }) => sameVersion(version, row.version));
      if (same !== undefined) return same;
      await transaction
        .insertInto('releases')
        .values({
          id: row.id,
          ecu: row.ecu,
          version: row.version,
          file: row.file,
          size: row.size,
          sha256: row.sha256,
          notes: row.notes,
          uploaded_by: row.uploadedBy,
          uploaded_at: row.uploadedAt,
        })
        .execute();
      return undefined;
    });
    await this.#load();
    if (existing === undefined) return { kind: 'added', release: row };
    return { kind: existing.sha256 === row.sha256 ? 'same' : 'conflict', release: existing };
  }

  async #load(): Promise<void> {
    const rows = await this.#db.query
      .selectFrom('releases')
      .selectAll()
      .orderBy('id', 'desc')
      .execute();
    this.#releases = rows.map(releaseOf);
    this.#byFile = new Map(this.#releases.map((release) => [release.file, release]));
    this.#newest = new Map();
    for (const release of this.#releases) {
      const best = this.#newest.get(release.ecu);
      if (best === undefined || compareVersions(release.version, best.version) > 0) {
        this.#newest.set(release.ecu, release);
      }
    }
  }
}
