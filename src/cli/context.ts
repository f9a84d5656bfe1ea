// What every command needs of its process: output, signals, exit codes.

import type { Writable } from 'node:stream';
import type { ChildError } from '../bench/children.ts';
import type { Context } from '../core/context.ts';
import { CanOtaError, describeError, InputError } from '../core/errors.ts';
import { ExitCode } from '../core/exit-code.ts';
import { createLogger } from './log.ts';
import type { LogFormat } from './log-format.ts';
import { onOutputLost, outputExitCode } from './output.ts';

export interface CommonOptions {
  readonly json?: boolean;
  readonly logLevel?: string;
  readonly logFormat?: LogFormat;
}

/** Runs one command and turns its result or error into an exit code and a message. */
export async function runCommand(
  options: CommonOptions,
  body: (context: Context) => Promise<ExitCode>,
): Promise<void> {
  const abort = new AbortController();
  let interruption: ExitCode | undefined;
  const stop = (name: string, code: ExitCode) => () => {
    // After a second signal the process ends at once.
    if (interruption !== undefined) process.exit(code);
    interruption = code;
    abort.abort(name);
  };
  process.on('SIGINT', stop('SIGINT', ExitCode.interrupted));
  process.on('SIGTERM', stop('SIGTERM', ExitCode.terminated));
  process.on('SIGHUP', stop('SIGHUP', ExitCode.terminated));
  // Started by the bench: this process ends when the bench ends, however that ends, also if it ended before this line.
  if (process.send !== undefined) {
    const orphaned = (): void => abort.abort('the process that started it is gone');
    if (process.connected) process.once('disconnect', orphaned);
    else orphaned();
  }
  // `can-ota monitor | head -1`: the reader has closed the pipe. A daemon still ends in good order.
  onOutputLost((reason) => abort.abort(reason));
  const json = options.json === true;
  const context: Context = {
    json,
    signal: abort.signal,
    logger: createLogger(options.logLevel ?? 'warn', options.logFormat),
    interruption: () => interruption ?? ExitCode.terminated,
    say: (line) => {
      if (!json) process.stdout.write(`${line}\n`);
    },
    emit: (value) => {
      if (json) process.stdout.write(`${JSON.stringify(value)}\n`);
    },
  };
  let code: ExitCode;
  try {
    code = await body(context);
  } catch (error) {
    if (abort.signal.aborted) {
      code = context.interruption();
      process.stderr.write(`can-ota: ended early: ${abort.signal.reason}\n`);
    } else {
      code = exitCodeOf(error);
      reportError(error, code, context);
    }
  }
  process.exitCode = code;
  await flush(process.stdout);
  process.exitCode = outputExitCode(code);
  // Sockets and workers may stay open for a moment after a clean end; they have no work left.
  process.exit();
}

function reportError(error: unknown, code: ExitCode, context: Context): void {
  const known = error instanceof CanOtaError;
  const message = known ? describeError(error) : `unexpected: ${describeError(error)}`;
  process.stderr.write(`can-ota: ${message}\n`);
  if (!known && error instanceof Error && error.stack !== undefined) {
    process.stderr.write(`${error.stack}\nThis is a mistake in can-ota: please report it.\n`);
  }
  const name = known ? error.code : 'INTERNAL';
  context.emit({ error: { code: name, message, exitCode: code } });
}

/** The exit code of each error that a layer throws. */
function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof InputError) return ExitCode.usage;
  if (!(error instanceof CanOtaError)) return ExitCode.internal;
  switch (error.name) {
    case 'BusError':
      return error.code === 'BAD_SPEC' ? ExitCode.usage : ExitCode.busUnavailable;
    case 'StorageError':
      return ExitCode.storage;
    case 'FolderBusyError':
    case 'BusInUseError':
      return ExitCode.stateDirectoryBusy;
    case 'BackendError':
      return ExitCode.backendUnavailable;
    case 'OtherChipError':
      return ExitCode.securityValidationFailed;
    case 'RefusedError':
      return ExitCode.preconditionFailed;
    case 'UdsError':
    case 'DriverError':
      return ExitCode.ecuFailed;
    case 'ServerError':
      return serverExitCode(error.code);
    case 'ChildError':
      return childExitCode(error as ChildError);
    default:
      return ExitCode.internal;
  }
}

function serverExitCode(code: string): ExitCode {
  switch (code) {
    case 'DATA_DIRECTORY_BUSY':
    case 'DATABASE_BUSY':
      return ExitCode.stateDirectoryBusy;
    case 'DATABASE_ROW':
    case 'DATABASE_STORAGE':
      return ExitCode.storage;
    default:
      return ExitCode.usage;
  }
}

/**
 * The exit code of a failed process of the bench becomes the bench's own; a process that was killed or ended
 * cleanly has none.
 */
function childExitCode({ exitCode }: ChildError): ExitCode {
  const known = Object.values(ExitCode).find((code) => code === exitCode);
  return known === undefined || known === ExitCode.success ? ExitCode.internal : known;
}

function flush(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    // Waits one turn of the event loop, so that an error of the last write is reported.
    const done = (): void => void setImmediate(resolve);
    if (stream.destroyed || stream.writableLength === 0) done();
    else stream.write('', done);
  });
}

/** Tells the bench, if it started this process, that the command is ready, with the given facts. */
export function announceReady(facts: Record<string, unknown> = {}): void {
  if (process.send !== undefined) process.send({ ready: true, ...facts });
}

/** Resolves when the signal aborts. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
