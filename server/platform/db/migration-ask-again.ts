// Orders of operators to ask a driver again.

import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const askAgainMigration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('ask_orders')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('vin', 'text', (column) => column.notNull())
      .addColumn('campaign', 'text', (column) => column.notNull())
      .addColumn('ordered_by', 'text', (column) => column.notNull())
      .addColumn('reason', 'text', (column) => column.notNull())
      .addColumn('ordered_at', 'text', (column) => column.notNull())
      .addUniqueConstraint('ask_orders_once', ['vin', 'campaign'])
      .execute();
  },
};
