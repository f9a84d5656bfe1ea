// Schema changes in order. A migration that was released is never edited; the next change is the next entry.

import type { Kysely } from 'kysely';
import type { Migration, MigrationProvider } from 'kysely/migration';
import { askAgainMigration } from './migration-ask-again.ts';
import { checkinTelemetryMigration } from './migration-checkin-telemetry.ts';
import { chunkedMigration } from './migration-chunked.ts';
import { guardsMigration } from './migration-guards.ts';
import { sealedSessions } from './migration-sealed.ts';
import { servicesMigration } from './migration-services.ts';
import { twinsMigration } from './migration-twins.ts';
import { withdrawnMigration } from './migration-withdrawn.ts';

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

const registry: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('counters')
      .addColumn('name', 'text', (column) => column.primaryKey())
      .addColumn('value', 'integer', (column) => column.notNull())
      .execute();
    await db.schema
      .createTable('devices')
      .addColumn('hw_id', 'text', (column) => column.primaryKey())
      .addColumn('serial', 'text', (column) => column.notNull().unique())
      .addColumn('status', 'text', (column) => column.notNull())
      .addColumn('created_at', 'text', (column) => column.notNull())
      .addColumn('updated_at', 'text', (column) => column.notNull())
      .addColumn('device_secret_hash', 'text')
      .addColumn('vin', 'text')
      .addColumn('name', 'text')
      .addColumn('hardware_id', 'text')
      .addColumn('is_primary', 'integer', (column) => column.notNull())
      .addColumn('signing_key', 'text', (column) => column.unique())
      .addColumn('encryption_key', 'text', (column) => column.unique())
      .execute();
    await db.schema.createIndex('devices_vin').on('devices').column('vin').execute();
    await db.schema
      .createTable('service_tokens')
      .addColumn('name', 'text', (column) => column.primaryKey())
      .addColumn('role', 'text', (column) => column.notNull())
      .addColumn('token_hash', 'text', (column) => column.notNull().unique())
      .addColumn('created_at', 'text', (column) => column.notNull())
      .execute();
  },
};

const uptane: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('metadata')
      .addColumn('repository', 'text', (column) => column.notNull())
      .addColumn('role', 'text', (column) => column.notNull())
      .addColumn('version', 'integer', (column) => column.notNull())
      .addColumn('bytes', 'blob', (column) => column.notNull())
      .addColumn('stored_at', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('metadata_key', ['repository', 'role', 'version'])
      .execute();
    await db.schema
      .createTable('vehicles')
      .addColumn('vin', 'text', (column) => column.primaryKey())
      .addColumn('state', 'text', (column) => column.notNull())
      .addColumn('reason', 'text', (column) => column.notNull())
      .addColumn('state_since', 'text', (column) => column.notNull())
      .addColumn('checked_in_at', 'text')
      .addColumn('manifest_sha256', 'text')
      .addColumn('telemetry', 'text')
      .addColumn('decision_sha256', 'text')
      .addColumn('targets_version', 'integer', (column) => column.notNull())
      .addColumn('snapshot_version', 'integer', (column) => column.notNull())
      .addColumn('timestamp_version', 'integer', (column) => column.notNull())
      .addColumn('renew_at', 'text')
      .execute();
    await db.schema
      .createTable('vehicle_metadata')
      .addColumn('vin', 'text', (column) =>
        column.notNull().references('vehicles.vin').onDelete('cascade'),
      )
      .addColumn('role', 'text', (column) => column.notNull())
      .addColumn('version', 'integer', (column) => column.notNull())
      .addColumn('bytes', 'blob', (column) => column.notNull())
      .addPrimaryKeyConstraint('vehicle_metadata_key', ['vin', 'role', 'version'])
      .execute();
    await db.schema
      .createTable('ecu_reports')
      .addColumn('serial', 'text', (column) =>
        column.primaryKey().references('devices.serial').onDelete('cascade'),
      )
      .addColumn('counter', 'integer', (column) => column.notNull())
      .addColumn('file', 'text', (column) => column.notNull())
      .addColumn('length', 'integer', (column) => column.notNull())
      .addColumn('sha256', 'text', (column) => column.notNull())
      .addColumn('release_counter', 'integer', (column) => column.notNull())
      .addColumn('attack', 'text', (column) => column.notNull())
      .addColumn('attack_at', 'text')
      .addColumn('verified_time', 'text')
      .addColumn('received_at', 'text', (column) => column.notNull())
      .execute();
    await db.schema
      .createTable('encrypted_images')
      .addColumn('file', 'text', (column) => column.primaryKey())
      .addColumn('serial', 'text', (column) => column.notNull())
      .addColumn('encryption_key', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('plain_sha256', 'text', (column) => column.notNull())
      .addColumn('length', 'integer', (column) => column.notNull())
      .addColumn('sha256', 'text', (column) => column.notNull())
      .addColumn('created_at', 'text', (column) => column.notNull())
      .addUniqueConstraint('encrypted_images_once', ['serial', 'encryption_key', 'name'])
      .execute();
    await db.schema.alterTable('reports').addColumn('code', 'text').execute();
    // Which file of a release: the image itself, or a copy that is encrypted for one ECU.
    await db.schema.alterTable('nonces').addColumn('file', 'text').execute();
  },
};

const campaigns: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('campaigns')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('vin', 'text', (column) => column.notNull())
      .addColumn('campaign', 'text', (column) => column.notNull())
      .addColumn('state', 'text', (column) => column.notNull())
      .addColumn('started_at', 'text', (column) => column.notNull())
      .addColumn('heard_at', 'text', (column) => column.notNull())
      .addColumn('ended_at', 'text')
      .addUniqueConstraint('campaigns_once', ['vin', 'campaign'])
      .execute();
    await db.schema.createIndex('campaigns_vin').on('campaigns').columns(['vin', 'id']).execute();
    await db.schema
      .createTable('cancel_orders')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('vin', 'text', (column) => column.notNull())
      .addColumn('campaign', 'text', (column) => column.notNull())
      .addColumn('ordered_by', 'text', (column) => column.notNull())
      .addColumn('reason', 'text', (column) => column.notNull())
      .addColumn('ordered_at', 'text', (column) => column.notNull())
      .addColumn('accepted', 'integer')
      .addColumn('answer', 'text')
      .addColumn('answered_at', 'text')
      .execute();
    await db.schema
      .createIndex('cancel_orders_vin')
      .on('cancel_orders')
      .columns(['vin', 'id'])
      .execute();
    await db.schema.alterTable('reports').addColumn('warnings', 'text').execute();
    await db.schema
      .createIndex('reports_campaign')
      .on('reports')
      .columns(['vin', 'campaign'])
      .execute();
  },
};

/** Names sort in the order of application. */
export const migrations: MigrationProvider = {
  getMigrations: async () => ({
    '0001-initial': initial,
    '0002-registry': registry,
    '0003-uptane': uptane,
    '0004-campaigns': campaigns,
    '0005-sealed-sessions': sealedSessions,
    '0006-services': servicesMigration,
    '0007-chunked': chunkedMigration,
    '0008-guards': guardsMigration,
    '0009-ask-again': askAgainMigration,
    '0010-twins': twinsMigration,
    '0011-checkin-telemetry': checkinTelemetryMigration,
    '0012-withdrawn': withdrawnMigration,
  }),
};
