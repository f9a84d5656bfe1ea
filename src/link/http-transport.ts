// How a request of the TMU gets to a server and its answer back: what the HTTP client needs, and nothing of how it is done.

/** One request. Nothing is followed, repeated or unpacked: the answer is the server's own. */
export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /**
   * Hints for a transport with sockets. The client watches the whole request on its own clock, so a transport
   * without time need not look at them.
   */
  readonly timeout?: {
    /** From the name look-up to the last byte of the answer; missing for a body that takes as long as it takes. */
    readonly requestMs?: number;
    /** For the name look-up, and for the connection, each. */
    readonly connectMs: number;
  };
  /** Aborted: nobody wants the answer (any more); also while the body is read. */
  readonly signal?: AbortSignal;
}

/** The head of an answer, and its body as it comes. */
export interface HttpResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: NodeJS.Dict<string | string[]>;
  /** Read once. Throws an Error with a system error `code` where the connection breaks. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Nobody wants (the rest of) the body. May be called at any time, and more than once. */
  destroy(): void;
}

export interface HttpTransport {
  /** Resolves with the head of the answer. Rejects with an Error that has `code` (ECONNREFUSED, ETIMEDOUT...). */
  open(request: HttpRequest): Promise<HttpResponse>;
}
