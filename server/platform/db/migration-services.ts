// The tables of remote configuration, commands and telemetry.

import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const servicesMigration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('configurations')
      .addColumn('vin', 'text', (column) => column.notNull())
      .addColumn('version', 'integer', (column) => column.notNull())
      .addColumn('parameters', 'text', (column) => column.notNull())
      .addColumn('changed_by', 'text', (column) => column.notNull())
      .addColumn('changed_at', 'text', (column) => column.notNull())
      .addColumn('comment', 'text')
      .addColumn('results', 'text')
      .addColumn('in_force', 'text')
      .addColumn('judged_at', 'text')
      .addColumn('reported_at', 'text')
      .addPrimaryKeyConstraint('configurations_key', ['vin', 'version'])
      .execute();
    await db.schema
      .createTable('vehicle_services')
      .addColumn('vin', 'text', (column) => column.primaryKey())
      .addColumn('judged_version', 'integer', (column) => column.notNull())
      .addColumn('catalogue', 'text')
      .addColumn('catalogue_digest', 'text')
      .addColumn('catalogue_at', 'text')
      .execute();
    await db.schema
      .createTable('commands')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('vin', 'text', (column) => column.notNull())
      .addColumn('ecu', 'text', (column) => column.notNull())
      .addColumn('action', 'text', (column) => column.notNull())
      .addColumn('arguments', 'text', (column) => column.notNull())
      .addColumn('priority', 'integer', (column) => column.notNull())
      .addColumn('expires_at', 'text', (column) => column.notNull())
      .addColumn('key', 'text')
      .addColumn('request', 'text', (column) => column.notNull())
      .addColumn('created_by', 'text', (column) => column.notNull())
      .addColumn('created_at', 'text', (column) => column.notNull())
      .addColumn('state', 'text', (column) => column.notNull())
      .addColumn('handed_out_at', 'text')
      .addColumn('delivered_at', 'text')
      .addColumn('executing_at', 'text')
      .addColumn('ended_at', 'text')
      .addColumn('vehicle_at', 'text')
      .addColumn('cancelled_by', 'text')
      .addColumn('cancelled_at', 'text')
      .addColumn('code', 'text')
      .addColumn('reason', 'text')
      .addColumn('nrc', 'integer')
      .addColumn('result', 'text')
      .addColumn('runs', 'integer', (column) => column.notNull())
      .addUniqueConstraint('commands_key', ['vin', 'key'])
      .execute();
    await db.schema.createIndex('commands_vin').on('commands').columns(['vin', 'id']).execute();
    await db.schema
      .createIndex('commands_state')
      .on('commands')
      .columns(['vin', 'state'])
      .execute();
    await db.schema
      .createTable('telemetry_senders')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('vin', 'text', (column) => column.notNull())
      .addColumn('sender', 'text', (column) => column.notNull())
      .addColumn('highest', 'integer', (column) => column.notNull())
      .addColumn('batches', 'integer', (column) => column.notNull())
      .addColumn('samples', 'integer', (column) => column.notNull())
      .addColumn('duplicates', 'integer', (column) => column.notNull())
      .addColumn('lost', 'integer', (column) => column.notNull())
      .addColumn('dropped', 'integer', (column) => column.notNull())
      .addColumn('heard_at', 'text', (column) => column.notNull())
      .addUniqueConstraint('telemetry_senders_once', ['vin', 'sender'])
      .execute();
    await db.schema
      .createIndex('telemetry_senders_vin')
      .on('telemetry_senders')
      .columns(['vin', 'id'])
      .execute();
    await db.schema
      .createTable('telemetry_samples')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('vin', 'text', (column) => column.notNull())
      .addColumn('did', 'text', (column) => column.notNull())
      .addColumn('at', 'text', (column) => column.notNull())
      .addColumn('count', 'integer', (column) => column.notNull())
      .addColumn('mean', 'real')
      .addColumn('min', 'real')
      .addColumn('max', 'real')
      .addColumn('unit', 'text')
      .addColumn('raw', 'text')
      .addColumn('received_at', 'text', (column) => column.notNull())
      .execute();
    await db.schema
      .createIndex('telemetry_samples_vin')
      .on('telemetry_samples')
      .columns(['vin', 'id'])
      .execute();
    await db.schema
      .createIndex('telemetry_samples_at')
      .on('telemetry_samples')
      .columns(['vin', 'at'])
      .execute();
    await db.schema
      .createIndex('telemetry_samples_did')
      .on('telemetry_samples')
      .columns(['vin', 'did', 'at'])
      .execute();
  },
};
