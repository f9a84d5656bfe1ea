// Devices of which two use one key: counted, so that the operator sees them without the audit log.

import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const twinsMigration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .alterTable('device_keys')
      .addColumn('twin_count', 'integer', (column) => column.notNull().defaultTo(0))
      .execute();
    await db.schema.alterTable('device_keys').addColumn('twin_at', 'text').execute();
  },
};
