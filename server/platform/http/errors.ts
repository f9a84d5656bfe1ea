// The server's two error families: what stops the server, and what one HTTP request is told.

import { CanOtaError } from '../../../src/core/errors.ts';

export type ServerErrorCode =
  | 'DATA_DIRECTORY_BUSY'
  | 'DATABASE'
  | 'DATABASE_BUSY'
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

/** Stable: scripts and the TMU branch on these, the texts beside them may change. */
export type ProblemCode =
  | 'ADDRESS_NOT_ALLOWED'
  | 'BACKEND_BEHIND'
  | 'BAD_ARGUMENT'
  | 'BAD_FIELD'
  | 'BAD_JSON'
  | 'BAD_NAME'
  | 'BAD_REQUEST'
  | 'BODY_INCOMPLETE'
  | 'BODY_TIMEOUT'
  | 'BODY_TOO_LARGE'
  | 'CHUNK_RANGE'
  | 'COMMAND_LIMIT'
  | 'COMMAND_OVER'
  | 'CONFIGURATION_CHANGED'
  | 'CSRF'
  | 'DATABASE_BUSY'
  | 'DEVICE_ACTIVE'
  | 'DEVICE_INCOMPLETE'
  | 'DEVICE_CERTIFICATE'
  | 'DEVICE_REFUSED'
  | 'DEVICE_REVOKED'
  | 'DEVICE_TAKEN'
  | 'DEVICE_UNKNOWN'
  | 'ENCRYPTED_ONLY'
  | 'FOREIGN_ORIGIN'
  | 'FOREIGN_VEHICLE'
  | 'IMAGE_EMPTY'
  | 'IMAGE_MISSING'
  | 'IMAGE_TOO_LARGE'
  | 'INSUFFICIENT_STORAGE'
  | 'INTERNAL'
  | 'KEY_REUSED'
  | 'LOGIN_FAILED'
  | 'LOGIN_REQUIRED'
  | 'LOGIN_THROTTLED'
  | 'MANIFEST_INCOMPLETE'
  | 'MANIFEST_MALFORMED'
  | 'MANIFEST_MISSING'
  | 'MANIFEST_REPLAYED'
  | 'MANIFEST_TIME'
  | 'MANIFEST_UNKNOWN_ECU'
  | 'MANIFEST_UNSIGNED'
  | 'MANIFEST_VEHICLE'
  | 'MESSAGE_FORGED'
  | 'MESSAGE_MALFORMED'
  | 'MESSAGE_REPLAYED'
  | 'METADATA_KEYS'
  | 'METADATA_REFUSED'
  | 'METHOD_NOT_ALLOWED'
  | 'MODEL_MISMATCH'
  | 'NONCE_EXPIRED'
  | 'NONCE_FOREIGN'
  | 'NONCE_LIMIT'
  | 'NONCE_MISSING'
  | 'NONCE_OTHER_FILE'
  | 'NONCE_UNKNOWN'
  | 'NONCE_USED'
  | 'NOT_FOUND'
  | 'NO_CAMPAIGN'
  | 'NO_REFUSAL'
  | 'NO_CATALOGUE'
  | 'NO_KEY_PAIR'
  | 'NO_TRUST'
  | 'OTHER_CHIP'
  | 'NO_REPOSITORY'
  | 'PACKAGE_CONFLICT'
  | 'PACKAGE_KEY'
  | 'PACKAGE_REFUSED'
  | 'PACKAGE_WITHDRAWN'
  | 'RANGE'
  | 'RATE_LIMITED'
  | 'RELEASE_CONFLICT'
  | 'ROLE'
  | 'SESSION_UNKNOWN'
  | 'SUITE_REFUSED'
  | 'TOKEN_EXPIRED'
  | 'TOKEN_REQUIRED'
  | 'TRANSFER_ENDED'
  | 'TRANSFER_UNKNOWN'
  | 'UNKNOWN_ACTION'
  | 'UNKNOWN_ECU'
  | 'UPSTREAM'
  | 'UNSUPPORTED_MEDIA_TYPE'
  | 'VEHICLE_UNKNOWN';

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
