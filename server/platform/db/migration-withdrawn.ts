// Packages for small devices that were withdrawn: by whom, when and why.

import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const withdrawnMigration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    for (const column of ['withdrawn_at', 'withdrawn_by', 'withdrawn_reason']) {
      await db.schema.alterTable('device_packages').addColumn(column, 'text').execute();
    }
  },
};
