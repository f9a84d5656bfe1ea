// How a request to a backend fails: a value that says whether asking again can help.

export interface BackendFailure {
  readonly kind: 'failed';
  /** `ECONNREFUSED`, `HTTP_503`, `FOREIGN_ANSWER`, ... */
  readonly code: string;
  readonly reason: string;
  /** Asking again later can help. */
  readonly transient: boolean;
  /** What the server asked for by Retry-After. */
  readonly retryAfterMs?: number;
  /** The next try follows without a pause: the answer was wrong, and the server is not busy. */
  readonly atOnce?: true;
  /** The backend itself says so in a sealed answer. Work that any other failure ended must be able to begin again. */
  readonly sealed?: true;
}

/** Thrown by the chunks of a download whose connection broke. */
export class DownloadCut extends Error {
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'DownloadCut';
    this.code = code;
  }
}
