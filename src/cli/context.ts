// What every command needs of its process: output, signals, exit codes. The composition root's own small kit.

import type { Writable } from 'node:stream';
import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';
import type { ChildError } from '../bench/children.ts';
import { pc } from '../core/colours.ts';
import type { Context } from '../core/context.ts';
import { CanOtaError, describeError, InputError } from '../core/errors.ts';
import { ExitCode } from '../core/exit-code.ts';
import type { Logger } from '../core/logger.ts';
import { onOutputLost, outputExitCode } from './output.ts';

export interface CommonOptions {
  readonly json?: boolean;
  readonly logLevel?: string;
}

/** Runs one command and turns whatever happens into an exit code and a sentence. */
export async function runCommand(
  options: CommonOptions,
  body: (context: Context) => Promise<ExitCode>,
): Promise<void> {
  const abort = new AbortController();
  let interruption: ExitCode | undefined;
  const stop = (name: string, code: ExitCode) => () => {
    // A second signal means that the person is out of patience.
    if (interruption !== undefined) process.exit(code);
    interruption = code;
    abort.abort(name);
  };
  process.on('SIGINT', stop('SIGINT', ExitCode.interrupted));
  process.on('SIGTERM', stop('SIGTERM', ExitCode.terminated));
  process.on('SIGHUP', stop('SIGHUP', ExitCode.terminated));
  // Started by the bench: its death must be ours, however it died, and also when it came before this line.
  if (process.send !== undefined) {
    const orphaned = (): void => abort.abort('the process that started it is gone');
    if (process.connected) process.once('disconnect', orphaned);
    else orphaned();
  }
  // `can-ota monitor | head -1`: the reader has gone. A daemon still ends in good order.
  onOutputLost((reason) => abort.abort(reason));
  const json = options.json === true;
  const context: Context = {
    json,
    signal: abort.signal,
    logger: createLogger(options.logLevel ?? 'warn'),
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
  // Sockets and workers of a cleanly ended command may linger for a moment; nothing of value runs any more.
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

/** The layers name their errors; this table gives each its exit code. */
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

/** What ended a process of the bench ends the bench; one that was killed or ended in peace has no code for it. */
function childExitCode({ exitCode }: ChildError): ExitCode {
  const known = Object.values(ExitCode).find((code) => code === exitCode);
  return known === undefined || known === ExitCode.success ? ExitCode.internal : known;
}

/** Logs go to standard error, so that standard output stays what the command promises. */
function createLogger(level: string): Logger {
  if (!(level in pino.levels.values) && level !== 'silent') {
    throw new InputError(
      '--log-level',
      `${level} is none of trace debug info warn error fatal silent`,
    );
  }
  const destination =
    process.stderr.isTTY === true
      ? { write: (line: string) => void process.stderr.write(`${readable(line)}\n`) }
      : standardError();
  const logger: PinoLogger = pino({ level, base: null }, destination);
  return logger;
}

/** A log that cannot be written must not end what it is about. */
function standardError(): DestinationStream {
  const destination = pino.destination({ dest: 2, sync: true });
  destination.on('error', () => {});
  return destination;
}

/** For eyes: `warn: message (ecu EDT, code SILENT)`. Anything but a terminal gets the JSON line as it is. */
function readable(line: string): string {
  const { level, time: _time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const facts = Object.entries(fields).map(
    ([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const label = pino.levels.labels[Number(level)] ?? 'log';
  return pc.dim(`${label}: ${String(msg)}${facts.length > 0 ? ` (${facts.join(', ')})` : ''}`);
}

function flush(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    // A turn of the event loop later an error of the last write has been heard, too.
    const done = (): void => void setImmediate(resolve);
    if (stream.destroyed || stream.writableLength === 0) done();
    else stream.write('', done);
  });
}

/** Tells the bench (when it started us) that we are ready, with what it wants to know. */
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
