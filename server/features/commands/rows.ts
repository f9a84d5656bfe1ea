// A command as it is stored, and which state may follow which.

import {
  type Arguments,
  COMMAND_STATES,
  type CommandState,
  isFinal,
} from '../../../src/contract/command.ts';
import type { CommandsTable } from '../../platform/db/schema.ts';

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
  /** When it left for the vehicle first; while it is `pending`, nobody knows whether it arrived. */
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

export function commandOf(row: CommandsTable): StoredCommand {
  return {
    id: row.id,
    vin: row.vin,
    ecu: row.ecu,
    action: row.action,
    arguments: JSON.parse(row.arguments),
    priority: row.priority,
    expiresAt: row.expires_at,
    key: row.key ?? undefined,
    createdBy: row.created_by,
    createdAt: row.created_at,
    state: row.state as CommandState,
    handedOutAt: row.handed_out_at ?? undefined,
    deliveredAt: row.delivered_at ?? undefined,
    executingAt: row.executing_at ?? undefined,
    endedAt: row.ended_at ?? undefined,
    vehicleAt: row.vehicle_at ?? undefined,
    cancelledBy: row.cancelled_by ?? undefined,
    cancelledAt: row.cancelled_at ?? undefined,
    code: row.code ?? undefined,
    reason: row.reason ?? undefined,
    nrc: row.nrc ?? undefined,
    result: row.result ?? undefined,
    runs: row.runs,
  };
}
