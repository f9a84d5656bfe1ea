// `can-ota history`: the campaigns of a vehicle, or its commands, from the journals of its TMU.

import { type HistoryEcu, type HistoryEntry, historyOf } from '../../campaign/history.ts';
import { pc } from '../../core/colours.ts';
import type { Context } from '../../core/context.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { formatBytes, formatDuration } from '../../core/units.ts';
import { type CommonOptions, runCommand } from '../context.ts';
import { checkFolder, readJournals } from './state-folder.ts';
import { commandLine, readCommands } from './state-services.ts';

export interface HistoryOptions extends CommonOptions {
  readonly stateDir: string;
  readonly limit?: number;
  readonly commands?: boolean;
}

export function history(options: HistoryOptions): Promise<void> {
  return runCommand(options, async (context) => {
    if (options.commands === true) return listCommands(options, context);
    const { old, current } = await readJournals(options.stateDir);
    const all = historyOf([...old, ...current]);
    const entries = options.limit === undefined ? all : all.slice(-options.limit);
    for (const entry of entries) {
      context.emit(entryJson(entry));
      for (const line of entryLines(entry)) context.say(line);
    }
    if (all.length === 0) context.say('no campaign yet');
    return ExitCode.success;
  });
}

async function listCommands(
  { stateDir, limit }: HistoryOptions,
  context: Context,
): Promise<ExitCode> {
  await checkFolder(stateDir);
  const all = await readCommands(stateDir);
  for (const command of limit === undefined ? all : all.slice(-limit)) {
    context.emit(command);
    context.say(commandLine(command));
  }
  if (all.length === 0) context.say('no command yet');
  return ExitCode.success;
}

/** One line of `--json`. */
export function entryJson(entry: HistoryEntry): Record<string, unknown> {
  const { startedWallMs, endedWallMs, ...rest } = entry;
  return {
    ...rest,
    started: iso(startedWallMs),
    ended: endedWallMs === null ? null : iso(endedWallMs),
    seconds: endedWallMs === null ? null : (endedWallMs - startedWallMs) / 1000,
  };
}

/** The lines of one entry: a head line, one line for each ECU, then the reason. */
export function entryLines(entry: HistoryEntry): string[] {
  const { outcome, code, startedWallMs, endedWallMs, approvedBy, restarts } = entry;
  const end = [outcome ?? 'under way', ...(code === null ? [] : [`(${code})`])].join(' ');
  const facts = [
    approvedBy === null ? 'not approved' : `approved by ${APPROVED_BY[approvedBy]}`,
    ...(endedWallMs === null ? [] : [formatDuration(Math.max(0, endedWallMs - startedWallMs))]),
    ...(restarts === 0 ? [] : [`${restarts} ${restarts === 1 ? 'restart' : 'restarts'}`]),
  ];
  const colour = outcome === 'SUCCESS' ? pc.green : outcome === null ? pc.cyan : pc.yellow;
  const widths = {
    name: Math.max(...entry.ecus.map(({ name }) => name.length)),
    versions: Math.max(...entry.ecus.map((ecu) => versionsOf(ecu).length)),
  };
  return [
    `${iso(startedWallMs)}  ${colour(end)}  ${facts.join(', ')}`,
    ...entry.ecus.map((ecu) => ecuLine(ecu, widths)),
    ...(entry.reason === null ? [] : [`  why: ${entry.reason}`]),
    ...entry.warnings.map((text) => `  warning: ${text}`),
    pc.dim(`  campaign ${entry.id}`),
  ];
}

const APPROVED_BY = {
  driver: 'the driver',
  policy: 'the policy of the vehicle',
  forced: 'the release itself: a forced safety release needs no approval',
} as const;

function versionsOf({ from, to }: HistoryEcu): string {
  return `${from} -> ${to}`;
}

function ecuLine(ecu: HistoryEcu, widths: { name: number; versions: number }): string {
  const { name, reported, bytes, seconds, resumedAt, error } = ecu;
  const facts = [
    ...(reported === null ? [] : [`runs ${reported}`]),
    ...(bytes === 0 ? [] : [`${formatBytes(bytes)} in ${formatDuration(seconds * 1000)}`]),
    ...(resumedAt === undefined ? [] : [`resumed at ${formatBytes(resumedAt)}`]),
    ...(error === undefined ? [] : [pc.red(error)]),
  ];
  const versions = versionsOf(ecu).padEnd(widths.versions);
  return `  ${name.padEnd(widths.name)}  ${versions}  ${facts.join(', ')}`.trimEnd();
}

function iso(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
