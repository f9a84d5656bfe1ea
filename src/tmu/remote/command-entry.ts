// One command as the vehicle keeps it: the order, how far it has come, and what the backend is told.

import { z } from 'zod';
import {
  type CommandOrder,
  type CommandReport,
  type CommandState,
  commandOrder,
  commandReport,
} from '../../contract/command.ts';
import { defined } from '../../core/optional.ts';
import { LogCodec } from '../../core/record-log.ts';

export const COMMANDS_FILE = 'commands.journal';
export const OLD_COMMANDS_FILE = 'commands.1.journal';
export const DAMAGED_COMMANDS_FILE = 'commands.damaged.journal';

const entrySchema = z.object({
  order: commandOrder,
  /** Counts up: the order of their coming. */
  arrival: z.number().int().nonnegative(),
  /** When it came into this state: ISO 8601, by the vehicle's clock. */
  at: z.iso.datetime({ offset: true }),
  state: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('received'),
      /** It was tried, and is known not to have been done. */
      again: z.boolean(),
    }),
    /** It may have been done from here on. `mark`: null where nothing can tell. */
    z.object({ kind: z.literal('begun'), mark: z.string().nullable() }),
    z.object({
      kind: z.literal('ended'),
      report: commandReport,
      /** The backend has the report. */
      acknowledged: z.boolean(),
    }),
  ]),
});
export type CommandEntry = Readonly<z.output<typeof entrySchema>>;

/** Every record is one command as it is from then on; the last one of a command counts. */
export const commandCodec = new LogCodec<CommandEntry>('command', entrySchema);

/** What the backend is told of it. */
export function reportOf({ order, at, state }: CommandEntry): CommandReport {
  switch (state.kind) {
    case 'received':
      return { id: order.id, state: state.again ? 'executing' : 'delivered', runs: 0, at };
    case 'begun':
      return { id: order.id, state: 'executing', runs: 0, at };
    case 'ended':
      return state.report;
  }
}

export function stateOf(entry: CommandEntry): CommandState {
  return reportOf(entry).state;
}

export function isOpen(entry: CommandEntry): boolean {
  return entry.state.kind !== 'ended';
}

/** The next one first: what was begun, then the highest priority, then the oldest. */
export function byTurn(a: CommandEntry, b: CommandEntry): number {
  const begun = Number(b.state.kind === 'begun') - Number(a.state.kind === 'begun');
  return begun || b.order.priority - a.order.priority || a.arrival - b.arrival;
}

/** How a command ended. */
export type CommandEnding = Pick<CommandReport, 'state' | 'runs'> &
  Partial<Pick<CommandReport, 'code' | 'reason' | 'nrc' | 'result'>>;

const MAX_TEXT = 500;

export function endedEntry(
  entry: CommandEntry,
  ending: CommandEnding,
  wallMs: number,
): CommandEntry {
  const at = new Date(wallMs).toISOString();
  const { reason, result, ...rest } = ending;
  const report: CommandReport = {
    ...rest,
    ...defined({ reason: reason?.slice(0, MAX_TEXT), result: result?.slice(0, MAX_TEXT) }),
    id: entry.order.id,
    at,
  };
  return { ...entry, at, state: { kind: 'ended', report, acknowledged: false } };
}

/** Every command that the bytes of a journal hold, as it is at the end of them. Damage is skipped. */
export function entriesIn(bytes: Uint8Array): CommandEntry[] {
  const { records, behind } = commandCodec.decode(bytes);
  const all = new Map<string, CommandEntry>();
  for (const { value } of [...records, ...behind]) all.set(value.order.id, value);
  return [...all.values()];
}

/** As JSON. A longer order is refused: the journal holds all of them. */
export const MAX_ORDER_BYTES = 4096;

export function sizeOf(order: CommandOrder): number {
  return new TextEncoder().encode(JSON.stringify(order)).length;
}
