// What a command gets from its process: its output, and the signal to end.

import type { ExitCode } from './exit-code.ts';
import type { Logger } from './logger.ts';

export interface Context {
  readonly json: boolean;
  /** Aborted by SIGINT, SIGTERM, and when the bench that started us is gone. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** The exit code of the signal that ended us. */
  interruption(): ExitCode;
  /** A line for people; nothing in `--json` mode. */
  say(line: string): void;
  /** A line for machines; nothing without `--json`. */
  emit(value: unknown): void;
}
