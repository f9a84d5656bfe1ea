// A connection to the backend as people and tools have it: log in or show a token, ask, and understand refusals.

import { z } from 'zod';
import { type Clock, sleep } from '../core/clock.ts';
import { CanOtaError, describeError, InputError } from '../core/errors.ts';
import { answerAdvice } from '../link/link-error.ts';

/** The backend cannot be reached, or refuses for a reason that no option changes. */
export class BackendError extends CanOtaError {
  readonly code: 'UNREACHABLE' | 'REFUSED' | 'UNINTELLIGIBLE';

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

const loginAnswer = z.object({ csrfToken: z.string().min(1) });
const problem = z.object({ code: z.string().optional(), detail: z.string().optional() });

/** A backend that is busy says when to come back; nobody waits longer than this at a prompt. */
const LONGEST_WAIT_S = 60;
const TRIES = 3;
/** Answers are small; more is not ours. */
const MAX_ANSWER = 64 * 1024;

export class BackendConnection {
  readonly #options: BackendOptions;
  readonly #headers: Readonly<Record<string, string>>;

  private constructor(options: BackendOptions, headers: Readonly<Record<string, string>>) {
    this.#options = options;
    this.#headers = headers;
  }

  /** For what everybody may read. */
  static withoutLogIn(options: BackendOptions): BackendConnection {
    return new BackendConnection(options, {});
  }

  /** Throws InputError for a wrong name, password or address, BackendError. */
  static async logIn(
    options: BackendOptions,
    credentials: Credentials,
  ): Promise<BackendConnection> {
    if (credentials.kind === 'token') {
      return new BackendConnection(options, { authorization: `Bearer ${credentials.token}` });
    }
    const guest = new BackendConnection(options, {});
    const { user: name, password } = credentials;
    const response = await guest.send('log-in', '/login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name, password }),
    });
    const cookie = response.headers
      .getSetCookie()
      .map((line) => line.split(';', 1)[0])
      .join('; ');
    const { csrfToken } = await answer(response, loginAnswer, 'log-in');
    return new BackendConnection(options, { cookie, 'x-csrf-token': csrfToken });
  }

  /** Throws InputError and BackendError for every status but 2xx and those that are `allowed`. */
  async send(
    doing: string,
    path: string,
    init: RequestInit,
    allowed: readonly number[] = [],
  ): Promise<Response> {
    const { url, clock, signal, fetch: send = fetch } = this.#options;
    for (let attempt = 1; ; attempt++) {
      let response: Response;
      try {
        response = await send(target(url, path), {
          ...init,
          redirect: 'manual',
          signal,
          headers: { accept: 'application/json', ...this.#headers, ...init.headers },
        });
      } catch (error) {
        if (error instanceof InputError || signal.aborted) throw error;
        throw new BackendError(
          'UNREACHABLE',
          `${url} cannot be reached for the ${doing}: ${describeError(error)}`,
          error,
        );
      }
      if (response.ok || allowed.includes(response.status)) return response;
      const waitS = Number(response.headers.get('retry-after') ?? Number.NaN);
      if (
        response.status !== 429 ||
        attempt === TRIES ||
        !(waitS >= 0 && waitS <= LONGEST_WAIT_S)
      ) {
        throw (await refusal(response, doing)).error;
      }
      await response.body?.cancel();
      if ((await sleep(clock, 'retry-after', waitS * 1000, signal)) === 'aborted') {
        throw signal.reason;
      }
    }
  }
}

function target(url: string, path: string): URL {
  try {
    // A backend may stand below a path of its own.
    return new URL(path.slice(1), url.endsWith('/') ? url : `${url}/`);
  } catch (error) {
    throw new InputError('--server', `${url} is no address: expected http://HOST:PORT`, {
      cause: error,
    });
  }
}

/** Throws BackendError for what is no such JSON, or longer than `maxLength`. */
export async function answer<T>(
  response: Response,
  schema: z.ZodType<T>,
  doing: string,
  maxLength = MAX_ANSWER,
): Promise<T> {
  const text = await response.text();
  try {
    if (text.length > maxLength) throw new Error('the answer is too long');
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw new BackendError(
      'UNINTELLIGIBLE',
      `the answer to the ${doing} is not that of a can-ota backend`,
      error,
    );
  }
}

/** What the backend said, and the error that it is where nothing else can be made of it. */
export async function refusal(
  response: Response,
  doing: string,
): Promise<{
  readonly code: string | undefined;
  /** In the words of the backend. */
  readonly why: string;
  readonly error: CanOtaError;
}> {
  const text = (await response.text().catch(() => '')).slice(0, MAX_ANSWER);
  const { status } = response;
  let why = text.slice(0, 300);
  let code: string | undefined;
  let detail: string | undefined;
  try {
    const told = problem.parse(JSON.parse(text));
    ({ code, detail } = told);
    why = [code, detail].filter((part) => part !== undefined).join(': ') || why;
  } catch {
    // Some proxy answered; its own words are the best there is.
    const url = URL.parse(response.url);
    const location = response.headers.get('location');
    const advice = url === null ? undefined : answerAdvice(status, location, text, url);
    if (advice !== undefined) why = advice;
  }
  const message = `the backend refused the ${doing} with ${status}: ${why}`;
  if (status === 401 || status === 403) {
    return { code, why: detail ?? why, error: new InputError('--user or --token-file', message) };
  }
  // A conflict is with what is there already: another version, other keys.
  if (status === 409)
    return { code, why: detail ?? why, error: new InputError('--server', message) };
  return { code, why: detail ?? why, error: new BackendError('REFUSED', message) };
}
