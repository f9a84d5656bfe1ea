// Configuration, commands and telemetry in the state directory of a TMU; a daemon may use it meanwhile.

import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { CommandReport } from '../../contract/command.ts';
import { pc } from '../../core/colours.ts';
import { systemErrorCode } from '../../core/errors.ts';
import { StorageError } from '../../core/storage.ts';
import { TELEMETRY_FOLDER, windowsAmong } from '../../tmu/remote/batch-store.ts';
import {
  COMMANDS_FILE,
  type CommandEntry,
  entriesIn,
  isOpen,
  OLD_COMMANDS_FILE,
  reportOf,
} from '../../tmu/remote/command-entry.ts';
import { CONFIGURATION_FILE, versionIn } from '../../tmu/remote/configuration-store.ts';
import { readBytes } from './state-folder.ts';

/** One command as the vehicle has it; `acknowledged`: the backend knows how it ended. */
export interface VehicleCommand extends CommandReport {
  readonly ecu: string;
  readonly action: string;
  readonly arguments: Readonly<Record<string, number | string>>;
  readonly priority: number;
  readonly expiresAt: string;
  readonly acknowledged: boolean;
}

export interface ServicesStatus {
  /** Version of the configuration that was checked last, 0 for none. */
  readonly configuration: number;
  /** Commands that have not ended. */
  readonly commands: readonly VehicleCommand[];
  /** Number of telemetry uploads that the backend does not have. */
  readonly telemetry: number;
}

/** null where this vehicle has no remote features. Throws StorageError for files that cannot be read. */
export async function readServices(folder: string): Promise<ServicesStatus | null> {
  const journal = await readBytes(folder, COMMANDS_FILE);
  const configuration = await readBytes(folder, CONFIGURATION_FILE);
  const telemetry = windowsAmong(await namesIn(path.join(folder, TELEMETRY_FOLDER)));
  const entries = entriesIn(journal);
  if (entries.length === 0 && configuration.length === 0 && telemetry === 0) return null;
  return {
    configuration: versionIn(configuration) ?? 0,
    commands: entries.filter(isOpen).map(stored),
    telemetry,
  };
}

/** Commands of both journals, in the order of their arrival. Throws StorageError for files that cannot be read. */
export async function readCommands(folder: string): Promise<VehicleCommand[]> {
  const all = new Map<string, CommandEntry>();
  for (const file of [OLD_COMMANDS_FILE, COMMANDS_FILE]) {
    for (const entry of entriesIn(await readBytes(folder, file))) all.set(entry.order.id, entry);
  }
  return [...all.values()].sort((a, b) => a.arrival - b.arrival).map(stored);
}

function stored(entry: CommandEntry): VehicleCommand {
  const { ecu, action, arguments: given, priority, expiresAt } = entry.order;
  const acknowledged = entry.state.kind === 'ended' && entry.state.acknowledged;
  return {
    ...reportOf(entry),
    ...{ ecu, action, arguments: given, priority, expiresAt, acknowledged },
  };
}

/** Lines for `can-ota status`. */
export function servicesLines({ configuration, commands, telemetry }: ServicesStatus): string[] {
  const facts = [
    configuration === 0 ? 'no configuration' : `configuration ${configuration}`,
    `${commands.length} ${commands.length === 1 ? 'command' : 'commands'} open`,
    `${telemetry} ${telemetry === 1 ? 'upload' : 'uploads'} of telemetry waiting`,
  ];
  return [`services: ${facts.join(', ')}`, ...commands.map((each) => `  ${commandLine(each)}`)];
}

/** Line for `can-ota history --commands`. */
export function commandLine(command: VehicleCommand): string {
  const { id, ecu, action, state, code, reason, result, at } = command;
  const given = Object.entries(command.arguments).map(([name, value]) => ` ${name}=${value}`);
  const end = [code, reason ?? result].filter((part) => part !== undefined).join(': ');
  const colour = state === 'completed' ? pc.green : state === 'failed' ? pc.red : pc.cyan;
  const why = end === '' ? '' : ` (${end})`;
  return `${at}  ${id}  ${ecu} ${action}${given.join('')}  ${colour(state)}${why}`;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw new StorageError('IO', folder, 'cannot be read', error);
  }
}
