// The transport interface of the HTTP client: one request to a server, and its answer.

/** One request. The transport does not follow redirects, repeat, or decompress. */
export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /**
   * Limits for a transport with sockets. The client also limits the request on its own clock, so a transport without
   * time can ignore them.
   */
  readonly timeout?: {
    /** From the name look-up to the last byte of the answer; missing for a body without a time limit. */
    readonly requestMs?: number;
    /** For the name look-up and for the connection, each. */
    readonly connectMs: number;
  };
  /** Aborts the request, also while the body is read. */
  readonly signal?: AbortSignal;
}

/** The head of an answer, and its body as a stream. */
export interface HttpResponse {
  readonly status: number;
  /** Header fields with names in lower case. */
  readonly headers: NodeJS.Dict<string | string[]>;
  /** Body, to be read once. Throws an Error with a system error `code` when the connection breaks. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Discards the rest of the body. It may be called at any time and more than once. */
  destroy(): void;
}

export interface HttpTransport {
  /** Resolves with the head of the answer. Rejects with an Error that has `code` (ECONNREFUSED, ETIMEDOUT...). */
  open(request: HttpRequest): Promise<HttpResponse>;
}
