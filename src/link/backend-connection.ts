// A connection of people and tools to the backend: log in or use a token, send requests, interpret refusals.

import type { z } from 'zod';
import { logIn } from '../contract/endpoints/people/log-in.ts';
import type { Clock } from '../core/clock.ts';
import { CanOtaError, describeError, InputError } from '../core/errors.ts';
import { present } from '../core/present.ts';
import { parseJson } from './foreign-answer.ts';
import { type JudgedAnswer, judgeAnswer } from './judged-answer.ts';
import { readRetryAfter, retrying } from './retry.ts';

/** The backend cannot be reached, or refuses for a reason that no option can change. */
export class BackendError extends CanOtaError {
  readonly code: 'UNREACHABLE' | 'FOREIGN_ANSWER' | 'REFUSED' | 'UNINTELLIGIBLE';

  constructor(code: BackendError['code'], message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

export type Credentials =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'password'; readonly user: string; readonly password: string };

export interface BackendOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly fetch?: typeof fetch;
}

export interface SendOptions {
  /** Statuses of refusals that are returned to the caller and do not throw. */
  readonly allowed?: readonly number[];
  /** Expected form of the answer; missing: `order`. */
  readonly expects?: 'json' | 'order' | 'metadata';
  /** Largest answer in bytes. Missing: MAX_ANSWER_BYTES. */
  readonly maxBytes?: number;
}

/** An answer of the backend. */
export interface BackendReply {
  readonly ok: true;
  readonly body: Uint8Array;
  readonly headers: Headers;
  readonly url: URL;
}

/** A refusal of the backend. */
export interface BackendRefusal {
  readonly ok: false;
  readonly status: number;
  readonly code: string;
  /** The reason that the backend gave. */
  readonly why: string;
  /** The error for a caller that cannot handle the refusal. */
  readonly error: CanOtaError;
}

export type BackendAnswer = BackendReply | BackendRefusal;

export class BackendConnection {
  readonly #options: BackendOptions;
  readonly #headers: Readonly<Record<string, string>>;

  private constructor(options: BackendOptions, headers: Readonly<Record<string, string>>) {
    this.#options = options;
    this.#headers = headers;
  }

  /** A connection without authentication, for public files. */
  static withoutLogIn(options: BackendOptions): BackendConnection {
    return new BackendConnection(options, {});
  }

  /** Opens a connection. Throws InputError for a wrong name, password or address, and BackendError. */
  static async logIn(
    options: BackendOptions,
    credentials: Credentials,
  ): Promise<BackendConnection> {
    if (credentials.kind === 'token') {
      return new BackendConnection(options, { authorization: `Bearer ${credentials.token}` });
    }
    const guest = new BackendConnection(options, {});
    const { user: name, password } = credentials;
    const response = await guest.send('log-in', logIn.path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name, password }),
    });
    // Without `allowed` a refusal throws, so the response is an answer.
    if (!response.ok) throw response.error;
    const cookie = response.headers
      .getSetCookie()
      .map((line) => line.split(';', 1)[0])
      .join('; ');
    const { csrfToken } = answer(response, logIn.response.body, 'log-in');
    return new BackendConnection(options, { cookie, 'x-csrf-token': csrfToken });
  }

  /**
   * Sends a request. Throws InputError or BackendError for an answer of another server and for a refusal not in
   * `allowed`.
   */
  async send(
    doing: string,
    path: string,
    init: RequestInit,
    options: SendOptions = {},
  ): Promise<BackendAnswer> {
    const { clock, signal } = this.#options;
    let busy: BackendRefusal | undefined;
    const sent = await retrying(
      async () => {
        const reply = await this.#attempt(doing, path, init, options);
        if (reply.ok || reply.waitMs === undefined) return { kind: 'reply' as const, reply };
        busy = reply;
        const { code, why: reason, waitMs: retryAfterMs } = reply;
        return { kind: 'failed', code, reason, transient: true, atOnce: true, retryAfterMs };
      },
      { clock, signal },
    );
    if (sent.kind === 'interrupted') throw signal.reason;
    const reply =
      sent.kind === 'reply' ? sent.reply : present(busy, 'the refusal of a busy backend');
    if (!reply.ok && !options.allowed?.includes(reply.status)) throw reply.error;
    return reply;
  }

  /** Sends one request. `waitMs`: the backend is busy and asks for this pause. */
  async #attempt(
    doing: string,
    path: string,
    init: RequestInit,
    { allowed = [], expects = 'order', maxBytes }: SendOptions,
  ): Promise<BackendReply | (BackendRefusal & { readonly waitMs?: number })> {
    const { url: server, clock, signal, fetch: send = fetch } = this.#options;
    const url = target(server, path);
    let response: Response;
    try {
      response = await send(url, {
        ...init,
        redirect: 'manual',
        signal,
        headers: {
          accept: 'application/json',
          // RFC 9110 12.5.3: without this header the server may use any coding.
          'accept-encoding': 'identity',
          ...this.#headers,
          ...init.headers,
        },
      });
    } catch (error) {
      if (error instanceof InputError || signal.aborted) throw error;
      throw new BackendError(
        'UNREACHABLE',
        `${server} cannot be reached for the ${doing}: ${describeError(error)}`,
        error,
      );
    }
    const { headers } = response;
    const judged = await judgeAnswer(response, { url, expects, maxBytes, signal });
    switch (judged.kind) {
      case 'answer':
        return { ok: true, body: judged.body, headers, url };
      case 'cut':
        throw new BackendError('UNREACHABLE', `${server}, ${doing}: ${judged.why}`);
      case 'foreign':
        throw foreign(doing, judged.why);
      case 'refusal': {
        const isBusy = judged.status === 429 && !allowed.includes(judged.status);
        const waitMs = isBusy
          ? readRetryAfter(headers.get('retry-after'), clock.wallMs())
          : undefined;
        const refused = { ok: false, ...refusal(judged, doing) } as const;
        return waitMs === undefined ? refused : { ...refused, waitMs };
      }
      default:
        return judged satisfies never;
    }
  }
}

function target(url: string, path: string): URL {
  try {
    // The address of a backend may have a path.
    return new URL(path.slice(1), url.endsWith('/') ? url : `${url}/`);
  } catch (error) {
    throw new InputError('--server', `${url} is no address: expected http://HOST:PORT`, {
      cause: error,
    });
  }
}

/** Parses the JSON answer. Throws BackendError for another form. */
export function answer<T extends z.ZodType>(
  { body, url }: BackendReply,
  schema: T,
  doing: string,
): z.output<T> {
  const parsed = parseJson(body, schema, url);
  if ('value' in parsed) return parsed.value;
  throw foreign(doing, parsed.reason);
}

/** The error when the network answered in place of the backend; another network or a later try can help. */
function foreign(doing: string, why: string): BackendError {
  return new BackendError(
    'FOREIGN_ANSWER',
    `the answer to the ${doing} is not from a can-ota backend: ${why}`,
  );
}

function refusal(
  { status, code, detail }: Extract<JudgedAnswer, { kind: 'refusal' }>,
  doing: string,
): Omit<BackendRefusal, 'ok'> {
  const message = `the backend refused the ${doing} with ${status}: ${code}: ${detail}`;
  const told = { status, code, why: detail };
  if (status === 401 || status === 403) {
    return { ...told, error: new InputError('--user or --token-file', message) };
  }
  // A conflict with stored data: another version or other keys.
  if (status === 409) return { ...told, error: new InputError('--server', message) };
  return { ...told, error: new BackendError('REFUSED', message) };
}
