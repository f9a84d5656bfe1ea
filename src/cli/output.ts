// Errors of standard output: a reader that closes the pipe, which is no error, and a full disk, which is one.

import { describeError, systemErrorCode } from '../core/errors.ts';
import { ExitCode } from '../core/exit-code.ts';

type Listener = (reason: string) => void;

let lost: { readonly reason: string; readonly isFault: boolean } | undefined;
const listeners = new Set<Listener>();

/** Must be called before anything is written: an error of an output stream without a listener ends the process. */
export function guardOutput(): void {
  process.stdout.on('error', (error) => {
    if (lost !== undefined) return;
    // `can-ota --help | head -1`: the reader got what it wanted.
    lost =
      systemErrorCode(error) === 'EPIPE'
        ? { reason: 'the reader of its output has closed the pipe', isFault: false }
        : { reason: 'its output cannot be written', isFault: true };
    if (lost.isFault) {
      process.exitCode = ExitCode.storage;
      process.stderr.write(
        `can-ota: standard output cannot be written: ${describeError(error)}: free some space, or send it elsewhere\n`,
      );
    }
    for (const listener of listeners) listener(lost.reason);
  });
  // Errors of standard error cannot be reported anywhere.
  process.stderr.on('error', () => {});
}

/** Calls the listener once output is lost, at once if that has happened already. */
export function onOutputLost(listener: Listener): void {
  if (lost === undefined) listeners.add(listener);
  else listener(lost.reason);
}

/** The exit code of a command that would end with `code`: a command whose output was cut has failed. */
export function outputExitCode(code: ExitCode): ExitCode {
  return lost?.isFault === true ? ExitCode.storage : code;
}
