// One contact of a vehicle, in one transaction: what it tells is stored first, and what it is told follows from that.

import type { SyncAnswer, SyncRequest } from '../../../src/contract/sync.ts';
import { defined } from '../../../src/core/optional.ts';
import type { Database } from '../../platform/db/database.ts';
import type { AuditLog } from '../audit/store.ts';
import type { ConfigurationStore } from '../configuration/store.ts';
import { CommandContact } from './contact.ts';

export interface SyncStores {
  readonly db: Database;
  readonly audit: AuditLog;
  readonly configurations: ConfigurationStore;
}

/** The vehicle of the request is the one that asks: that is for the caller to check. The same request again is harmless. */
export function handleSync(
  { db, audit, configurations }: SyncStores,
  { vin, configuration, commands: told }: SyncRequest,
  address: string,
): Promise<SyncAnswer> {
  return db.query.transaction().execute(async (transaction): Promise<SyncAnswer> => {
    const { version, report } = configuration;
    const heard = { version, ...defined({ report }) };
    await configurations.heard(transaction, vin, heard, address);
    const commands = new CommandContact(transaction, { db, audit }, { vin, address });
    const wantsCatalogue = await commands.heardCatalogue(told.catalogueDigest, told.catalogue);
    const acknowledged = await commands.heard(told.reports);
    const wanted = await configurations.wanted(vin, transaction);
    return {
      configuration: {
        wanted:
          wanted === undefined || wanted.version === version
            ? null
            : { version: wanted.version, parameters: jsonOf(wanted.parameters) },
        acknowledged: report?.version ?? 0,
      },
      commands: {
        orders: await commands.orders(),
        cancel: await commands.cancels(),
        acknowledged,
        wantsCatalogue,
      },
      now: db.timestamp(),
    };
  });
}

type WantedJson = NonNullable<SyncAnswer['configuration']['wanted']>['parameters'];

/** It was JSON when it was stored. */
function jsonOf(parameters: Readonly<Record<string, unknown>>): WantedJson {
  return parameters as WantedJson;
}
