// Sealed sessions and the keys of devices.

import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const sealedSessions: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('sealed_sessions')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('session', 'text', (column) => column.notNull().unique())
      .addColumn('serial', 'text', (column) =>
        column.notNull().references('devices.serial').onDelete('cascade'),
      )
      .addColumn('suite', 'text', (column) => column.notNull())
      .addColumn('secret', 'text', (column) => column.notNull())
      .addColumn('highest', 'integer', (column) => column.notNull())
      .addColumn('opened_at', 'text', (column) => column.notNull())
      .addColumn('expires_at', 'text', (column) => column.notNull())
      .execute();
    await db.schema
      .createIndex('sealed_sessions_serial')
      .on('sealed_sessions')
      .columns(['serial', 'id'])
      .execute();
    await db.schema
      .createTable('device_keys')
      .addColumn('serial', 'text', (column) =>
        column.primaryKey().references('devices.serial').onDelete('cascade'),
      )
      .addColumn('counter', 'integer', (column) => column.notNull())
      .addColumn('next_key', 'text')
      .addColumn('changed_at', 'text')
      .execute();
  },
};
