// A vehicle for tests of configuration, commands and measured data: registered, and with the contacts of its TMU.

import { DatabaseSync } from 'node:sqlite';
import { sql } from 'kysely';
import { AuditLog } from '../../server/features/audit/store.ts';
import { CommandStore } from '../../server/features/commands/store.ts';
import { handleSync } from '../../server/features/commands/vehicle-sync.ts';
import { ConfigurationStore } from '../../server/features/configuration/store.ts';
import { addToken } from '../../server/features/registry/tool-commands.ts';
import { TelemetryStore } from '../../server/features/telemetry/store.ts';
import { type Database, type DataFolder, openDatabase } from '../../server/platform/db/database.ts';
import type { Catalogue, CommandReport, CommandRequest } from '../../src/contract/command.ts';
import type { SyncAnswer, SyncRequest } from '../../src/contract/sync.ts';
import type { Clock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import type { Random } from '../../src/core/random.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { type Backend, json } from './support.ts';
import { bearer } from './trust-support.ts';

export const VIN = 'VIN1';
export const ACTOR = { who: 'anna', address: '127.0.0.1' };
export const CATALOGUE: Catalogue = {
  INV: {
    setPowerLimit: {
      title: 'Limit the power',
      arguments: { power: { type: 'number', unit: 'kW', min: 0, max: 120 } },
    },
    calibrate: { title: 'Calibrate the current sensor', arguments: {} },
    setMode: {
      title: 'Choose <how> it works',
      arguments: { mode: { type: 'choice', choices: ['eco', 'sport'] } },
    },
  },
};
export const DIGEST = 'a'.repeat(64);

export interface Stores {
  readonly db: Database;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly commands: CommandStore;
  readonly configurations: ConfigurationStore;
  readonly telemetry: TelemetryStore;
  /** What SQLite has changed since it was opened: rows. */
  changes(): Promise<number>;
}

/** In memory under virtual time, or on the folder of a server that runs. */
export async function openStores(
  target: DataFolder = new DatabaseSync(':memory:'),
  clock: Clock = new VirtualClock(),
  random: Random = seededRandom(1),
): Promise<Stores> {
  const db = await openDatabase(target, { clock, random });
  const audit = new AuditLog(db, silentLogger);
  return {
    ...{ db, audit, clock },
    commands: new CommandStore(db, audit),
    configurations: new ConfigurationStore(db, audit),
    telemetry: new TelemetryStore(db, audit),
    changes: async () => {
      const { rows } = await sql<{ n: number }>`select total_changes() as n`.execute(db.query);
      return rows[0]!.n;
    },
  };
}

export interface Told {
  vin?: string;
  version?: number;
  report?: SyncRequest['configuration']['report'];
  reports?: readonly CommandReport[];
  catalogue?: Catalogue | undefined;
  digest?: string;
}

/** One contact of the vehicle. */
export function sync(stores: Stores, told: Told = {}): Promise<SyncAnswer> {
  const { vin = VIN, version = 0, report, reports = [], catalogue, digest = DIGEST } = told;
  return handleSync(
    stores,
    {
      vin,
      configuration: { version, ...(report === undefined ? {} : { report }) },
      commands: {
        reports: [...reports],
        ...(catalogue === undefined ? {} : { catalogue }),
        catalogueDigest: digest,
      },
    },
    '127.0.0.1',
  );
}

export function reportOf(
  id: string,
  state: CommandReport['state'],
  more: Partial<CommandReport> = {},
): CommandReport {
  return { id, state, runs: 0, at: '2026-01-01T00:00:00Z', ...more };
}

export function request(more: Partial<CommandRequest> = {}): CommandRequest {
  return {
    ...{ ecu: 'INV', action: 'setPowerLimit', arguments: { power: 60 }, priority: 5 },
    ...more,
  };
}

/** Orders one and gives its id. */
export async function order(stores: Stores, more: Partial<CommandRequest> = {}): Promise<string> {
  const result = await stores.commands.order(VIN, request(more), ACTOR);
  if (result.kind !== 'ordered') throw new Error(`not ordered: ${JSON.stringify(result)}`);
  return result.command.id;
}

/** With a catalogue. */
export async function startVehicle(): Promise<Stores & { readonly clock: VirtualClock }> {
  const clock = new VirtualClock();
  const stores = await openStores(new DatabaseSync(':memory:'), clock);
  await sync(stores, { catalogue: CATALOGUE });
  return { ...stores, clock };
}

/** Registers the Primary of a vehicle with a server that runs. */
export async function register(backend: Backend, vin = VIN): Promise<void> {
  const token = await addToken(backend.dataDir, `factory-${vin.toLowerCase()}`, 'factory');
  const reply = await backend.request('/provision', {
    ...json({ hw_id: `chip-${vin}`, vin, name: 'TMU', primary: true }),
    headers: { 'Content-Type': 'application/json', ...bearer(token) },
  });
  if (reply.status !== 201) throw new Error(`not registered: ${reply.text}`);
}
