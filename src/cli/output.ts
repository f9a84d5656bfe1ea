// Standard output as it can fail: a reader that went away, which is no mistake, and a disk that is full, which is one.

import { describeError, systemErrorCode } from '../core/errors.ts';
import { ExitCode } from '../core/exit-code.ts';

type Listener = (reason: string) => void;

let lost: { readonly reason: string; readonly isFault: boolean } | undefined;
const listeners = new Set<Listener>();

/** To be called before anything writes: an output stream without a listener for its errors ends the process. */
export function guardOutput(): void {
  process.stdout.on('error', (error) => {
    if (lost !== undefined) return;
    // `can-ota --help | head -1`: what was asked for was done.
    lost =
      systemErrorCode(error) === 'EPIPE'
        ? { reason: 'the reader of its output has gone', isFault: false }
        : { reason: 'its output cannot be written', isFault: true };
    if (lost.isFault) {
      process.exitCode = ExitCode.storage;
      process.stderr.write(
        `can-ota: standard output cannot be written: ${describeError(error)}: free some space, or send it elsewhere\n`,
      );
    }
    for (const listener of listeners) listener(lost.reason);
  });
  // There is no other place to complain.
  process.stderr.on('error', () => {});
}

/** Tells, at once when it happened before, that what is written does not arrive any more. */
export function onOutputLost(listener: Listener): void {
  if (lost === undefined) listeners.add(listener);
  else listener(lost.reason);
}

/** The exit code of a command whose own is `code`: what it did is of no use when its output is cut. */
export function outputExitCode(code: ExitCode): ExitCode {
  return lost?.isFault === true ? ExitCode.storage : code;
}
