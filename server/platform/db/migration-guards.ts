// What the guards need: device sessions that outlast a restart, the size and origin of reports, ends of sessions and tokens.

import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

export const guardsMigration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('device_tokens')
      .addColumn('token_hash', 'text', (column) => column.primaryKey())
      .addColumn('serial', 'text', (column) =>
        column.notNull().references('devices.serial').onDelete('cascade'),
      )
      .addColumn('number', 'integer', (column) => column.notNull())
      .addColumn('opened_at', 'text', (column) => column.notNull())
      .addColumn('expires_at', 'text', (column) => column.notNull())
      .execute();
    await db.schema
      .createIndex('device_tokens_serial')
      .on('device_tokens')
      .columns(['serial', 'number'])
      .execute();
    await db.schema
      .createIndex('device_tokens_expires_at')
      .on('device_tokens')
      .column('expires_at')
      .execute();
    await db.schema
      .alterTable('reports')
      .addColumn('bytes', 'integer', (column) => column.notNull().defaultTo(1024))
      .execute();
    // Where it came from without an identity; null for a device that was logged in.
    await db.schema.alterTable('reports').addColumn('stranger', 'text').execute();
    await db.schema
      .createIndex('reports_stranger')
      .on('reports')
      .columns(['stranger', 'id'])
      .execute();
    await db.schema
      .alterTable('audit')
      .addColumn('share', 'text', (column) => column.notNull().defaultTo(''))
      .execute();
    await sql`
      update audit set share =
        case category when 'refusals' then category || ' ' || action else category end`.execute(db);
    await db.schema.createIndex('audit_share').on('audit').columns(['share', 'id']).execute();
    await db.schema
      .alterTable('nonces')
      .addColumn('sent_bytes', 'integer', (column) => column.notNull().defaultTo(0))
      .execute();
    await db.schema
      .alterTable('nonces')
      .addColumn('last_sent', 'integer', (column) => column.notNull().defaultTo(0))
      .execute();
    await db.schema.alterTable('nonces').addColumn('ended_at', 'text').execute();
    await db.schema.alterTable('service_tokens').addColumn('expires_at', 'text').execute();
    await db.schema.alterTable('service_tokens').addColumn('used_at', 'text').execute();
  },
};
