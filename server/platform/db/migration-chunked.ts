// The tables of the chunked download: packages, the keys they are signed with, copies for one device each, transfers.

import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const chunkedMigration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('release_keys')
      .addColumn('model', 'text', (column) => column.notNull())
      .addColumn('profile', 'text', (column) => column.notNull())
      .addColumn('key_id', 'text', (column) => column.notNull())
      .addColumn('public_key', 'text', (column) => column.notNull())
      .addColumn('pinned_at', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('release_keys_key', ['model', 'profile'])
      .execute();
    await db.schema
      .createTable('device_packages')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('model', 'text', (column) => column.notNull())
      .addColumn('version', 'text', (column) => column.notNull())
      .addColumn('counter', 'integer', (column) => column.notNull())
      .addColumn('profile', 'text', (column) => column.notNull())
      .addColumn('length', 'integer', (column) => column.notNull())
      .addColumn('sha256', 'text', (column) => column.notNull())
      .addColumn('signature', 'text', (column) => column.notNull())
      .addColumn('key_id', 'text', (column) => column.notNull())
      .addColumn('released_by', 'text', (column) => column.notNull())
      .addColumn('released_at', 'text', (column) => column.notNull())
      .addUniqueConstraint('device_packages_once', ['model', 'profile', 'version'])
      .execute();
    await db.schema
      .createTable('device_copies')
      .addColumn('serial', 'text', (column) => column.primaryKey())
      .addColumn('package_id', 'text', (column) =>
        column.notNull().references('device_packages.id'),
      )
      .addColumn('secret_mark', 'text', (column) => column.notNull())
      .addColumn('length', 'integer', (column) => column.notNull())
      .addColumn('sha256', 'text', (column) => column.notNull())
      .addColumn('created_at', 'text', (column) => column.notNull())
      .execute();
    await db.schema
      .createTable('transfers')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('serial', 'text', (column) => column.notNull())
      .addColumn('package_id', 'text')
      .addColumn('what', 'text', (column) => column.notNull())
      .addColumn('image', 'text', (column) => column.notNull())
      .addColumn('content', 'text', (column) => column.notNull())
      .addColumn('length', 'integer', (column) => column.notNull())
      .addColumn('chunk_bytes', 'integer', (column) => column.notNull())
      .addColumn('state', 'text', (column) => column.notNull())
      .addColumn('asked', 'integer', (column) => column.notNull())
      .addColumn('version', 'text')
      .addColumn('code', 'text')
      .addColumn('reason', 'text')
      .addColumn('diagnostics', 'text')
      .addColumn('started_at', 'text', (column) => column.notNull())
      .addColumn('changed_at', 'text', (column) => column.notNull())
      .execute();
    await db.schema
      .createIndex('transfers_serial')
      .on('transfers')
      .columns(['serial', 'id'])
      .execute();
  },
};
