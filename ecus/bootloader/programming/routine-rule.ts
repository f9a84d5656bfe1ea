// One routine of RoutineControl (31): where it exists, what it needs, what it does.

import type { Nrc } from '../../../src/uds/nrc.ts';
import type { ServiceContext } from '../../../src/uds/server-types.ts';

/** The status record of a routine, or why it was refused. */
export type RoutineOutcome = Uint8Array | { readonly nrc: Nrc };

/**
 * `unlocked`: by SecurityAccess. `authority`: once the ECU is locked, service 84 around the very message; 38 without.
 */
type RoutineAccess = 'open' | 'unlocked' | 'authority';

export interface RoutineRule {
  /**
   * Elsewhere the routine does not exist: 31 (ISO 14229-1 14.2.4). All sessions when missing, and for a message with
   * authority of its own.
   */
  readonly sessions?: readonly number[];
  /** What its start and stop need. Its results are a question, which needs nothing. */
  readonly access: RoutineAccess;
  start(record: Uint8Array, context: ServiceContext): RoutineOutcome | Promise<RoutineOutcome>;
  /** Missing: the routine ends by itself and cannot be stopped, 12. */
  stop?(record: Uint8Array): RoutineOutcome;
  /** Missing: the status of the last start is kept and told. */
  results?(record: Uint8Array): RoutineOutcome;
}
