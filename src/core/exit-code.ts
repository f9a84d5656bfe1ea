// Exit codes of every command. docs/commands.md prints this table; scripts rely on it.

export const ExitCode = {
  /** Done, or `SUCCESS` of a campaign. */
  success: 0,
  /** A mistake in can-ota itself. The message asks for a report. */
  internal: 1,
  /** A wrong option, file or field. */
  usage: 2,
  userRejected: 3,
  deferred: 4,
  upToDate: 5,
  downloadIntegrityFailed: 6,
  securityValidationFailed: 7,
  preconditionFailed: 8,
  rollbackCompleted: 9,
  rollbackFailed: 10,
  /** The backend cannot be reached, or its answer cannot be understood. */
  backendUnavailable: 11,
  /** The bus is missing, cannot be opened, or was lost. */
  busUnavailable: 12,
  /** The ECU is silent or refused. */
  ecuFailed: 13,
  /** Another process works on the same state directory, or programs on the same bus. */
  stateDirectoryBusy: 14,
  /** Disk full, no permission. */
  storage: 15,
  /** Ended by SIGINT or SIGTERM, state saved: 128 + signal. */
  interrupted: 130,
  terminated: 143,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
