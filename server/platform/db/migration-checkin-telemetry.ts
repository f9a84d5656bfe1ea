// When a vehicle told of itself last: a check-in may come without its telemetry.

import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const checkinTelemetryMigration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('vehicles').addColumn('telemetry_at', 'text').execute();
  },
};
