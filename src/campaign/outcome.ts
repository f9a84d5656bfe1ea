// How an update cycle can end, and the exit code that `can-ota tmu --once` gives for it.

import { ExitCode } from '../core/exit-code.ts';

/** The outcomes of a campaign. */
const OUTCOMES = [
  'SUCCESS',
  'UP_TO_DATE',
  'USER_REJECTED',
  'DEFERRED',
  'DOWNLOAD_INTEGRITY_FAILED',
  'SECURITY_VALIDATION_FAILED',
  'PRECONDITION_FAILED',
  'ROLLBACK_COMPLETED',
  'ROLLBACK_FAILED',
] as const;

/** The outcomes of a cycle. The last two end a cycle before anything in the vehicle was changed. */
export const CYCLE_OUTCOMES = [...OUTCOMES, 'BACKEND_UNAVAILABLE', 'INTERRUPTED'] as const;
export type CycleOutcome = (typeof CYCLE_OUTCOMES)[number];

const EXIT_CODES: Record<CycleOutcome, ExitCode> = {
  SUCCESS: ExitCode.success,
  UP_TO_DATE: ExitCode.upToDate,
  USER_REJECTED: ExitCode.userRejected,
  DEFERRED: ExitCode.deferred,
  DOWNLOAD_INTEGRITY_FAILED: ExitCode.downloadIntegrityFailed,
  SECURITY_VALIDATION_FAILED: ExitCode.securityValidationFailed,
  PRECONDITION_FAILED: ExitCode.preconditionFailed,
  ROLLBACK_COMPLETED: ExitCode.rollbackCompleted,
  ROLLBACK_FAILED: ExitCode.rollbackFailed,
  BACKEND_UNAVAILABLE: ExitCode.backendUnavailable,
  INTERRUPTED: ExitCode.terminated,
};

/** The exit code of an outcome. A command that was ended by SIGINT uses `ExitCode.interrupted` instead of 143. */
export function outcomeExitCode(outcome: CycleOutcome): ExitCode {
  return EXIT_CODES[outcome];
}
