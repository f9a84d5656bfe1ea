// The TMU's HTTP client: limits the size of answers, waits when the server asks for it, returns failures as values.

import { MAX_ANSWER_BYTES } from '../contract/endpoint.ts';
import { type BackendFailure, DownloadCut } from '../core/backend-failure.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { describeError, InputError, systemErrorCode } from '../core/errors.ts';
import { defined } from '../core/optional.ts';
import {
  type Expected,
  foreignAnswer,
  foreignHead,
  isProblem,
  problemText,
  readProblem,
} from './foreign-answer.ts';
import { gotTransport } from './got-transport.ts';
import type { HttpResponse, HttpTransport } from './http-transport.ts';
import { type LimitedAnswer, LimitedBytes, readUpTo } from './limited-answer.ts';
import { answerAdvice, LinkError } from './link-error.ts';
import { readRetryAfter } from './retry.ts';

/** How much of a foreign page is read for its message. */
const MAX_ADVICE_BYTES = 4096;
export const REQUEST_MS = 20_000;
export const CONNECT_MS = 10_000;
/** Tolerance for a pause that was slept on another timer and ended early. */
const EARLY_MS = 20;

/** An answer with the form of our backend's answers. */
export interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Uint8Array;
}

/** The caller's options of one request. */
export interface HttpInit {
  readonly method?: 'GET' | 'POST';
  /** Expected form; another form is a failure. Missing: JSON. */
  readonly expects?: Expected;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal;
  /** A pause after 429 applies to this path only; otherwise to all paths of the server. */
  readonly ownPause?: boolean;
  /** True for another server, which gets no headers that identify the caller. */
  readonly stranger?: boolean;
}

export interface HttpClientOptions {
  readonly clock: Clock;
  /** Header fields of every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Limit for requests with a JSON answer, from the name look-up to the last byte. */
  readonly requestMs?: number | undefined;
  /** Transport; missing: the real network. */
  readonly transport?: HttpTransport | undefined;
}

export class HttpClient {
  readonly #options: HttpClientOptions;
  /** Time of the next allowed request after 429, or 503 with Retry-After, by origin or by address without query. */
  readonly #notBeforeMs = new Map<string, number>();

  constructor(options: HttpClientOptions) {
    this.#options = options;
  }

  /** Sends one request with a short answer. A foreign answer is a failure with any status. */
  async json(url: URL, init: HttpInit): Promise<Answer | BackendFailure> {
    const deadline = this.#deadline(init.signal);
    try {
      const opened = await this.#send(url, init, url, deadline, this.#requestMs);
      return 'kind' in opened ? opened : await this.#readAll(opened, url, deadline, init.expects);
    } finally {
      deadline.detach();
    }
  }

  /** Sends the request and waits for the head of the answer. `shown` is the address in messages. */
  async open(url: URL, init: HttpInit, shown = url): Promise<HttpResponse | BackendFailure> {
    const deadline = this.#deadline(init.signal);
    try {
      return await this.#send(url, init, shown, deadline);
    } finally {
      // The body has no time limit here; its reader watches the pace.
      deadline.close();
    }
  }

  /** Reads the short body of an open answer: a refusal, or the answer to a sealed request. */
  async whole(
    opened: HttpResponse,
    url: URL,
    { expects, signal }: Pick<HttpInit, 'expects' | 'signal'>,
  ): Promise<Answer | BackendFailure> {
    const deadline = this.#deadline(signal);
    try {
      return await this.#readAll(opened, url, deadline, expects);
    } finally {
      deadline.detach();
    }
  }

  get #requestMs(): number {
    return this.#options.requestMs ?? REQUEST_MS;
  }

  #deadline(signal: AbortSignal | undefined): Deadline {
    return new Deadline(this.#options.clock, this.#requestMs, signal);
  }

  async #send(
    url: URL,
    init: HttpInit,
    shown: URL,
    deadline: Deadline,
    requestMs?: number,
  ): Promise<HttpResponse | BackendFailure> {
    const pause = this.#pauseOf(url);
    if (pause !== undefined) {
      deadline.detach();
      return pause;
    }
    const { transport = gotTransport } = this.#options;
    const headers = {
      'user-agent': 'can-ota-tmu',
      accept: 'application/json, application/octet-stream',
      // RFC 9110 12.5.3: without this header any coding is allowed, but hashes and lengths are of the plain bytes.
      'accept-encoding': 'identity',
      ...(init.stranger === true ? {} : this.#options.headers),
      ...init.headers,
    };
    try {
      const sent = transport.open({
        method: init.method ?? 'GET',
        url,
        headers,
        ...defined({ body: init.body === undefined ? undefined : bytesOf(init.body) }),
        timeout: { connectMs: CONNECT_MS, ...defined({ requestMs }) },
        signal: deadline.signal,
      });
      const response = await deadline.race(sent, (late) => late.destroy());
      if (response.status === 429 || response.status === 503) {
        const waitMs = this.#waitMs(response.headers['retry-after']);
        if (waitMs !== undefined) {
          const isOwn = init.ownPause === true && response.status === 429;
          const what = isOwn ? pathOf(url) : url.origin;
          this.#notBeforeMs.set(what, this.#options.clock.nowMs() + waitMs);
        }
      }
      const foreign = foreignHead(response, init.expects ?? 'json', headers);
      if (foreign !== undefined) {
        const advice = await adviceOf(response, url, deadline);
        deadline.detach();
        response.destroy();
        return this.#foreign(response, shown, foreign, advice);
      }
      return {
        status: response.status,
        headers: response.headers,
        body: response.body,
        destroy: () => {
          deadline.detach();
          response.destroy();
        },
      };
    } catch (error) {
      deadline.detach();
      return unreachable(shown, error);
    }
  }

  async #readAll(
    response: HttpResponse,
    url: URL,
    deadline: Deadline,
    expects: Expected = 'json',
  ): Promise<Answer | BackendFailure> {
    const { status, headers } = response;
    const chunks = response.body[Symbol.asyncIterator]();
    let read: LimitedAnswer;
    try {
      read = await readUpTo(MAX_ANSWER_BYTES, () => nextOf(chunks, deadline));
    } catch (error) {
      return unreachable(url, error);
    } finally {
      response.destroy();
    }
    if (read.kind === 'long') {
      return foreignAnswer(url, `more than ${MAX_ANSWER_BYTES} bytes of answer`);
    }
    const body = read.bytes;
    const isJudged = status >= 400 && isProblem(headers) && expects !== 'anything';
    const foreign = isJudged ? readProblem(status, body).foreign : undefined;
    return foreign === undefined
      ? { status, headers, body }
      : this.#foreign(response, url, foreign);
  }

  /** The failure for a refusal of our backend. */
  refused(answer: Answer, url: URL): BackendFailure {
    const { status } = answer;
    const problem = problemText(readProblem(status, answer.body));
    const retryAfterMs = this.#waitMs(answer.headers['retry-after']);
    return {
      kind: 'failed',
      code: `HTTP_${status}`,
      reason: `${url.origin}${url.pathname} answered ${status}${problem === '' ? '' : ` (${problem})`}`,
      transient: isBusy(status),
      ...defined({ retryAfterMs }),
    };
  }

  /** The failure for a foreign answer. The network, or a proxy before a stopped server, can ask for a pause, too. */
  #foreign(
    { status, headers }: Pick<Answer, 'status' | 'headers'>,
    url: URL,
    what: string,
    advice?: string,
  ): BackendFailure {
    const failure = foreignAnswer(url, what, status, advice);
    const retryAfterMs = this.#waitMs(headers['retry-after']);
    return {
      ...failure,
      ...(isBusy(status) ? { code: `HTTP_${status}` } : {}),
      ...defined({ retryAfterMs }),
    };
  }

  /** The failure while a pause lasts, which applies to all paths of a server. */
  #pauseOf(url: URL): BackendFailure | undefined {
    const { origin } = url;
    const until = [origin, pathOf(url)].map((what) => this.#notBeforeMs.get(what) ?? 0);
    const leftMs = Math.max(...until) - this.#options.clock.nowMs();
    if (leftMs <= EARLY_MS) return undefined;
    const retryAfterMs = Math.ceil(leftMs);
    return {
      kind: 'failed',
      code: 'HTTP_429',
      reason: `${origin} asked not to be asked for another ${Math.ceil(leftMs / 1000)} s (Retry-After)`,
      transient: true,
      retryAfterMs,
    };
  }

  #waitMs(value: string | string[] | undefined): number | undefined {
    return readRetryAfter(value, this.#options.clock.wallMs());
  }
}

async function nextOf(
  chunks: AsyncIterator<Uint8Array>,
  deadline: Deadline,
): Promise<Uint8Array | undefined> {
  const next = await deadline.race(chunks.next());
  return next.done === true ? undefined : next.value;
}

function pathOf({ origin, pathname }: URL): string {
  return `${origin}${pathname}`;
}

/** Parses the address of a server. Throws InputError when it is not an HTTP address. */
export function baseUrl(address: string, option: string): URL {
  const base = URL.parse(address);
  if (base === null || !['http:', 'https:'].includes(base.protocol)) {
    throw new InputError(
      option,
      `${JSON.stringify(address)} is no address: expected http://host:port or https://host`,
    );
  }
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return base;
}

export function withSignal(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

export function header(answer: Pick<Answer, 'headers'>, name: string): string | undefined {
  const value = answer.headers[name];
  return typeof value === 'string' ? value : value?.[0];
}

export function lengthOf(value: string | string[] | undefined): number | undefined {
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

/** The pieces of the body of a download or of metadata. */
export async function* chunksOf(response: HttpResponse): AsyncGenerator<Uint8Array, void, void> {
  try {
    for await (const chunk of response.body) yield chunk;
  } catch (error) {
    throw new DownloadCut(systemErrorCode(error) ?? 'CUT', describeError(error), error);
  } finally {
    response.destroy();
  }
}

/** Ends the wait for a silent server, on the given clock. */
class Deadline {
  /** Signal for the transport: aborted at the deadline, or when the caller aborts. */
  readonly signal: AbortSignal;
  readonly #outer: AbortSignal | undefined;
  readonly #timer: Timer;
  readonly #over: Promise<never>;
  readonly #stop: () => void;

  constructor(clock: Clock, limitMs: number, outer: AbortSignal | undefined) {
    const own = new AbortController();
    this.signal = own.signal;
    this.#outer = outer;
    let end: (error: Error) => void = () => {};
    this.#over = new Promise<never>((_resolve, reject) => {
      end = reject;
    });
    // Avoids an unhandled rejection while no code waits for it.
    this.#over.catch(() => {});
    this.#stop = () => {
      end(withCode('ABORTED', 'the request was given up'));
      own.abort();
    };
    this.#timer = clock.after('http-request', limitMs, () => {
      end(withCode('ETIMEDOUT', `no complete answer within ${limitMs} ms`));
      own.abort();
    });
    if (outer?.aborted === true) this.#stop();
    else outer?.addEventListener('abort', this.#stop, { once: true });
  }

  /** The value of `work`; throws when it is too late. `late` gets a value that comes after the deadline. */
  async race<T>(work: Promise<T>, late?: (value: T) => void): Promise<T> {
    let isOver = false;
    work.then(
      (value) => {
        if (isOver) late?.(value);
      },
      () => {},
    );
    try {
      return await Promise.race([work, this.#over]);
    } catch (error) {
      isOver = true;
      throw error;
    }
  }

  /** Ends the deadline because the answer has come; only the caller's signal can still abort. */
  close(): void {
    this.#timer.cancel();
  }

  /** Removes the listener at the end of the read, because the daemon's signal must not collect listeners. */
  detach(): void {
    this.#timer.cancel();
    this.#outer?.removeEventListener('abort', this.#stop);
  }
}

function bytesOf(body: string | Uint8Array): Uint8Array {
  return typeof body === 'string' ? new TextEncoder().encode(body) : body;
}

function withCode(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** Advice from the beginning of the page of a proxy or TLS front end. */
async function adviceOf(
  { status, headers, body }: HttpResponse,
  url: URL,
  deadline: Deadline,
): Promise<string | undefined> {
  const { location } = headers;
  const page = new LimitedBytes(MAX_ADVICE_BYTES);
  const chunks = body[Symbol.asyncIterator]();
  try {
    if (status >= 400) await readUpTo(MAX_ADVICE_BYTES, () => nextOf(chunks, deadline), page);
  } catch {
    // The page is only read for its message.
  }
  const text = new TextDecoder().decode(page.bytes);
  return answerAdvice(status, typeof location === 'string' ? location : undefined, text, url);
}

function unreachable(url: URL, error: unknown): BackendFailure {
  const code = systemErrorCode(error) ?? 'NETWORK';
  // A message that says what to do needs no general advice.
  const explained = error instanceof LinkError && error.explained;
  const advice = explained ? '' : '; check --server and the network';
  return {
    kind: 'failed',
    code,
    reason: `${url.origin}${url.pathname} cannot be reached (${code}): ${describeError(error)}${advice}`,
    transient: true,
  };
}

/** Whether a later try can help; the status may also come from a proxy. */
function isBusy(status: number): boolean {
  return status >= 500 || status === 429 || status === 408;
}
