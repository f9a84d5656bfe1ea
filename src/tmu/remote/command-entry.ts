// One command as the vehicle keeps it: the order, its state, and the report for the backend.

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
  /** Counts up: the order of arrival. */
  arrival: z.number().int().nonnegative(),
  /** When it entered this state: ISO 8601, by the vehicle's clock. */
  at: z.iso.datetime({ offset: true }),
  state: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('received'),
      /** It was tried, and was certainly not executed. */
      again: z.boolean(),
    }),
    /** It may have been executed from here on. `mark`: null where nothing can tell. */
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

/** Each record is the whole entry of one command; the last record of a command counts. */
export const commandCodec = new LogCodec<CommandEntry>('command', entrySchema);

/** The report for the backend. */
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

/** Order of execution: begun commands first, then the highest priority, then the oldest. */
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

/** Every command in the bytes of a journal, in its last state. Damage is skipped. */
export function entriesIn(bytes: Uint8Array): CommandEntry[] {
  const { records, behind } = commandCodec.decode(bytes);
  const all = new Map<string, CommandEntry>();
  for (const { value } of [...records, ...behind]) all.set(value.order.id, value);
  return [...all.values()];
}

/** Length of an order as JSON. A longer order is refused, because the journal holds all of them. */
export const MAX_ORDER_BYTES = 4096;

export function sizeOf(order: CommandOrder): number {
  return new TextEncoder().encode(JSON.stringify(order)).length;
}
