// The error family of the project: every layer has one class with a closed set of codes.

/** Base of all errors that we throw on purpose. `message` says what was expected and what to do. */
export abstract class CanOtaError extends Error {
  abstract readonly code: string;

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Bad input of a person: a file, an option, a field. `where` names it, so that it can be found. */
export class InputError extends CanOtaError {
  readonly code = 'INPUT';
  readonly where: string;

  constructor(where: string, message: string, options?: { cause?: unknown }) {
    super(`${where}: ${message}`, options);
    this.where = where;
  }
}

/** Closes a switch over a union: the compiler refuses a missing case, the error at run time names it. */
export function assertNever(value: never): never {
  throw new Error(`unreachable case: ${JSON.stringify(value)}`);
}

/** The message of anything that was thrown, with the messages of its causes. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) {
    return typeof error === 'object' && error !== null ? '' : String(error);
  }
  const own =
    error instanceof AggregateError && error.message === ''
      ? error.errors.map(describeError).join('; ')
      : error.message;
  const cause = error.cause === undefined ? '' : describeError(error.cause);
  // Wrappers often repeat what they wrap.
  return cause === '' || own.includes(cause) ? own : `${own} (${cause})`;
}

/** The `code` of a Node system error (`ENOSPC`), undefined for anything else. */
export function systemErrorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}
