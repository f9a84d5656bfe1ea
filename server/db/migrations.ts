// Schema changes in order. A migration that was released is never edited; the next change is the next entry.

import type { Kysely } from 'kysely';
import type { Migration, MigrationProvider } from 'kysely/migration';

const initial: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('users')
      .addColumn('name', 'text', (column) => column.primaryKey())
      .addColumn('role', 'text', (column) => column.notNull())
      .addColumn('password_hash', 'text', (column) => column.notNull())
      .addColumn('created_at', 'text', (column) => column.notNull())
      .addColumn('changed_at', 'text', (column) => column.notNull())
      .execute();
    await db.schema
      .createTable('sessions')
      .addColumn('id_hash', 'text', (column) => column.primaryKey())
      .addColumn('user_name', 'text', (column) =>
        column.notNull().references('users.name').onDelete('cascade'),
      )
      .addColumn('data', 'text', (column) => column.notNull())
      .addColumn('created_at', 'text', (column) => column.notNull())
      .addColumn('expires_at', 'text', (column) => column.notNull())
      .execute();
    await db.schema
      .createIndex('sessions_expires_at')
      .on('sessions')
      .column('expires_at')
      .execute();
    await db.schema.createIndex('sessions_user').on('sessions').column('user_name').execute();
    await db.schema
      .createTable('releases')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('ecu', 'text', (column) => column.notNull())
      .addColumn('version', 'text', (column) => column.notNull())
      .addColumn('file', 'text', (column) => column.notNull().unique())
      .addColumn('size', 'integer', (column) => column.notNull())
      .addColumn('sha256', 'text', (column) => column.notNull())
      .addColumn('notes', 'text', (column) => column.notNull())
      .addColumn('uploaded_by', 'text', (column) => column.notNull())
      .addColumn('uploaded_at', 'text', (column) => column.notNull())
      .addUniqueConstraint('releases_ecu_version', ['ecu', 'version'])
      .execute();
    await db.schema.createIndex('releases_sha256').on('releases').column('sha256').execute();
    await db.schema
      .createTable('nonces')
      .addColumn('hash', 'text', (column) => column.primaryKey())
      .addColumn('address', 'text', (column) => column.notNull())
      .addColumn('vin', 'text')
      .addColumn('release_id', 'text', (column) => column.references('releases.id'))
      .addColumn('issued_at', 'text', (column) => column.notNull())
      .addColumn('expires_at', 'text', (column) => column.notNull())
      .addColumn('used_at', 'text')
      .execute();
    await db.schema
      .createIndex('nonces_address')
      .on('nonces')
      .columns(['address', 'expires_at'])
      .execute();
    await db.schema.createIndex('nonces_expires_at').on('nonces').column('expires_at').execute();
    await db.schema
      .createTable('reports')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('vin', 'text', (column) => column.notNull())
      .addColumn('address', 'text', (column) => column.notNull())
      .addColumn('outcome', 'text', (column) => column.notNull())
      .addColumn('campaign', 'text')
      .addColumn('reason', 'text')
      .addColumn('received_at', 'text', (column) => column.notNull())
      .execute();
    await db.schema.createIndex('reports_vin').on('reports').columns(['vin', 'id']).execute();
    await db.schema
      .createTable('report_ecus')
      .addColumn('report_id', 'text', (column) =>
        column.notNull().references('reports.id').onDelete('cascade'),
      )
      .addColumn('position', 'integer', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('hardware_id', 'text')
      .addColumn('from_version', 'text')
      .addColumn('version', 'text')
      .addColumn('sha256', 'text')
      .addColumn('error', 'text')
      .addPrimaryKeyConstraint('report_ecus_key', ['report_id', 'position'])
      .execute();
    await db.schema
      .createTable('audit')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('at', 'text', (column) => column.notNull())
      .addColumn('last_at', 'text', (column) => column.notNull())
      .addColumn('count', 'integer', (column) => column.notNull())
      .addColumn('category', 'text', (column) => column.notNull())
      .addColumn('action', 'text', (column) => column.notNull())
      .addColumn('who', 'text', (column) => column.notNull())
      .addColumn('address', 'text', (column) => column.notNull())
      .addColumn('detail', 'text', (column) => column.notNull())
      .execute();
    await db.schema.createIndex('audit_category').on('audit').columns(['category', 'id']).execute();
  },
};

/** Names sort in the order of application. */
export const migrations: MigrationProvider = {
  getMigrations: async () => ({ '0001-initial': initial }),
};
