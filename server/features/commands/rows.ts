// A command as it is stored, and which state may follow which.

import { z } from 'zod';
import {
  type Arguments,
  COMMAND_STATES,
  type CommandState,
  isFinal,
} from '../../../src/contract/command.ts';
import { count, json, tableRows, text, time } from '../../platform/db/row.ts';

/** Not final: the vehicle may still do something about them. */
export const OPEN_STATES = COMMAND_STATES.filter((state) => !isFinal(state));

export interface StoredCommand {
  readonly id: string;
  readonly vin: string;
  readonly ecu: string;
  readonly action: string;
  readonly arguments: Arguments;
  readonly priority: number;
  readonly expiresAt: string;
  readonly key: string | undefined;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly state: CommandState;
  /** When it left for the vehicle first; while it is `pending`, it is unknown whether it arrived. */
  readonly handedOutAt: string | undefined;
  readonly deliveredAt: string | undefined;
  readonly executingAt: string | undefined;
  readonly endedAt: string | undefined;
  /** Of the last report, by the vehicle's clock. */
  readonly vehicleAt: string | undefined;
  /** Who wanted it not to be done any more; it may have been done all the same. */
  readonly cancelledBy: string | undefined;
  readonly cancelledAt: string | undefined;
  readonly code: string | undefined;
  readonly reason: string | undefined;
  readonly nrc: number | undefined;
  readonly result: string | undefined;
  /** How often the ECU was made to do it, as the vehicle says. */
  readonly runs: number;
}

/** True where a command in `from` goes on to `to`: never back, never out of a final state. */
export function isStepForward(from: CommandState, to: CommandState): boolean {
  return !isFinal(from) && rankOf(to) > rankOf(from);
}

/** The final states are one rank: none of them follows another. */
function rankOf(state: CommandState): number {
  return isFinal(state) ? COMMAND_STATES.length : COMMAND_STATES.indexOf(state);
}

const commandRows = tableRows('commands', {
  id: text,
  vin: text,
  ecu: text,
  action: text,
  arguments: json(z.record(z.string(), z.union([z.number(), z.string()]))),
  priority: z.int(),
  expires_at: time,
  key: text.nullable(),
  request: json(z.record(z.string(), z.unknown())),
  created_by: text,
  created_at: time,
  state: z.enum(COMMAND_STATES),
  handed_out_at: time.nullable(),
  delivered_at: time.nullable(),
  executing_at: time.nullable(),
  ended_at: time.nullable(),
  vehicle_at: text.nullable(),
  cancelled_by: text.nullable(),
  cancelled_at: time.nullable(),
  code: text.nullable(),
  reason: text.nullable(),
  nrc: count.nullable(),
  result: text.nullable(),
  runs: count,
});
export const commandIdOf = commandRows.only('id');

export function commandOf(row: unknown): StoredCommand {
  return orderedCommandOf(row).command;
}

/** With what was asked for, which tells the same request from another one under the same key. */
export function orderedCommandOf(row: unknown): {
  readonly command: StoredCommand;
  readonly request: Readonly<Record<string, unknown>>;
} {
  const read = commandRows.read(row);
  const command: StoredCommand = {
    id: read.id,
    vin: read.vin,
    ecu: read.ecu,
    action: read.action,
    arguments: read.arguments,
    priority: read.priority,
    expiresAt: read.expires_at,
    key: read.key ?? undefined,
    createdBy: read.created_by,
    createdAt: read.created_at,
    state: read.state,
    handedOutAt: read.handed_out_at ?? undefined,
    deliveredAt: read.delivered_at ?? undefined,
    executingAt: read.executing_at ?? undefined,
    endedAt: read.ended_at ?? undefined,
    vehicleAt: read.vehicle_at ?? undefined,
    cancelledBy: read.cancelled_by ?? undefined,
    cancelledAt: read.cancelled_at ?? undefined,
    code: read.code ?? undefined,
    reason: read.reason ?? undefined,
    nrc: read.nrc ?? undefined,
    result: read.result ?? undefined,
    runs: read.runs,
  };
  return { command, request: read.request };
}
