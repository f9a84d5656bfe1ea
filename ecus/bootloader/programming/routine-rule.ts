// One routine of RoutineControl (31): its sessions, its required access, its actions.

import type { Nrc } from '../../../src/uds/nrc.ts';
import type { ServiceContext } from '../../../src/uds/server-types.ts';

/** The status record of a routine, or why it was refused. */
export type RoutineOutcome = Uint8Array | { readonly nrc: Nrc };

/**
 * `unlocked`: by SecurityAccess. `authority`: a locked ECU requires the message inside service 84, otherwise NRC 38.
 */
type RoutineAccess = 'open' | 'unlocked' | 'authority';

export interface RoutineRule {
  /**
   * Sessions in which the routine exists; in others it is refused with 31 (ISO 14229-1 14.2.4). Missing: all sessions.
   * An authenticated message is accepted in every session.
   */
  readonly sessions?: readonly number[];
  /** The start may hold the process for longer than P2: an erase, or checks of a whole bank. */
  readonly isCostly?: boolean;
  /** Required access for start and stop. Reading results needs none. */
  readonly access: RoutineAccess;
  start(record: Uint8Array, context: ServiceContext): RoutineOutcome | Promise<RoutineOutcome>;
  /** Stops the routine. Missing: the routine ends by itself, and a stop is refused with 12. */
  stop?(record: Uint8Array): RoutineOutcome;
  /** Gives the results. Missing: the status of the last start is kept and returned. */
  results?(record: Uint8Array): RoutineOutcome;
}
