// The server's two error families: what stops the server, and what one HTTP request is told.

import type { ProblemCode } from '../../../src/contract/problem.ts';
import { CanOtaError } from '../../../src/core/errors.ts';

export type ServerErrorCode =
  | 'DATA_DIRECTORY_BUSY'
  | 'DATABASE'
  | 'DATABASE_BUSY'
  | 'DATABASE_ROW'
  | 'DATABASE_STORAGE'
  | 'LISTEN'
  | 'TRUST';

/** The server cannot start or go on. The message says what to do. */
export class ServerError extends CanOtaError {
  readonly code: ServerErrorCode;

  constructor(code: ServerErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** Ends a request with a problem (RFC 9457). `message` becomes `detail`, so it must not hold secrets. */
export class HttpProblem extends CanOtaError {
  readonly status: number;
  readonly code: ProblemCode;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: ProblemCode,
    detail: string,
    options: { headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(detail, { cause: options.cause });
    this.status = status;
    this.code = code;
    this.headers = options.headers ?? {};
  }
}
