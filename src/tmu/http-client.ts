// HTTP as the TMU needs it: limits on what comes back, patience where the server asks for it, every mistake as a value.

import got, { type OptionsInit, type Request } from 'got';
import { z } from 'zod';
import { type BackendFailure, DownloadCut } from '../campaign/ports.ts';
import type { Clock } from '../core/clock.ts';
import { describeError, InputError, systemErrorCode } from '../core/errors.ts';

/** A JSON answer beyond this is garbage: nothing of the server may fill our memory. */
const MAX_JSON_BYTES = 1024 * 1024;
export const REQUEST_MS = 20_000;
export const CONNECT_MS = 10_000;
/**
 * Nobody may keep a vehicle from asking for longer than this, whatever Retry-After says: an answer of ten years
 * would be a freeze attack.
 */
export const LONGEST_RETRY_AFTER_MS = 60 * 60_000;
/** A pause that was slept on another timer may end this much early. */
const EARLY_MS = 20;

const problemSchema = z.object({
  code: z.string().max(64).optional(),
  title: z.string().max(200).optional(),
  detail: z.string().max(500).optional(),
});

export interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Uint8Array;
}

export interface OpenAnswer {
  readonly stream: Request;
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
}

export interface HttpClientOptions {
  readonly clock: Clock;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** For requests with a JSON answer, from the name look-up to the last byte. */
  readonly requestMs?: number | undefined;
}

export class HttpClient {
  readonly #options: HttpClientOptions;
  /** By origin: when it may be asked again (429, or 503 with Retry-After). */
  readonly #notBeforeMs = new Map<string, number>();

  constructor(options: HttpClientOptions) {
    this.#options = options;
  }

  /** One request with a short answer. */
  async json(url: URL, init: OptionsInit): Promise<Answer | BackendFailure> {
    const opened = await this.open(url, {
      ...init,
      timeout: { request: this.#options.requestMs ?? REQUEST_MS, connect: CONNECT_MS },
    });
    return 'kind' in opened ? opened : this.whole(opened, url);
  }

  /** The short body of an answer that is open. */
  async whole(opened: OpenAnswer, url: URL): Promise<Answer | BackendFailure> {
    const { stream, status, headers } = opened;
    try {
      const body = await readAll(stream, MAX_JSON_BYTES);
      if (body === undefined) return garbage(url, `more than ${MAX_JSON_BYTES} bytes of answer`);
      return { status, headers, body };
    } catch (error) {
      return unreachable(url, error);
    }
  }

  /** Sends the request and waits for the head of the answer. `shown` is the address in messages. */
  async open(url: URL, init: OptionsInit, shown = url): Promise<OpenAnswer | BackendFailure> {
    const pause = this.#pauseOf(url);
    if (pause !== undefined) return pause;
    const stream = got.stream(url, {
      ...init,
      isStream: true,
      headers: {
        'user-agent': 'can-ota-tmu',
        accept: 'application/json, application/octet-stream',
        ...this.#options.headers,
        ...init.headers,
      },
      throwHttpErrors: false,
      // The server is the one of the configuration, and images have their length and hash as they are.
      followRedirect: false,
      decompress: false,
      retry: { limit: 0 },
    } as OptionsInit & { isStream: true });
    try {
      const response = await new Promise<{
        statusCode: number;
        headers: NodeJS.Dict<string | string[]>;
      }>((resolve, reject) => {
        stream.once('response', resolve);
        stream.once('error', reject);
      });
      // From here on errors come out of reading; one that comes when nobody reads any more is nobody's.
      stream.on('error', () => {});
      const { statusCode: status, headers } = response;
      if (status === 429 || status === 503) {
        const waitMs = this.#retryAfterMs(headers['retry-after']);
        if (waitMs !== undefined) {
          this.#notBeforeMs.set(url.origin, this.#options.clock.nowMs() + waitMs);
        }
      }
      return { stream, status, headers };
    } catch (error) {
      stream.on('error', () => {});
      stream.destroy();
      return unreachable(shown, error);
    }
  }

  /** What an answer that says no means. */
  refused(answer: Pick<Answer, 'status' | 'headers' | 'body'>, url: URL): BackendFailure {
    const { status } = answer;
    const problem = problemOf(answer.body);
    const retryAfterMs = this.#retryAfterMs(answer.headers['retry-after']);
    return {
      kind: 'failed',
      code: `HTTP_${status}`,
      reason: `${url.origin}${url.pathname} answered ${status}${problem === '' ? '' : ` (${problem})`}`,
      transient: status >= 500 || status === 429 || status === 408,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    };
  }

  /** A server that asked for a pause gets it on every path, also on those that it has not refused yet. */
  #pauseOf({ origin }: URL): BackendFailure | undefined {
    const leftMs = (this.#notBeforeMs.get(origin) ?? 0) - this.#options.clock.nowMs();
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

  /** RFC 9110 10.2.3: seconds or a date. */
  #retryAfterMs(value: string | string[] | undefined): number | undefined {
    const text = typeof value === 'string' ? value : value?.[0];
    if (text === undefined) return undefined;
    if (/^\d{1,9}$/.test(text)) return Math.min(Number(text) * 1000, LONGEST_RETRY_AFTER_MS);
    const dateMs = Date.parse(text);
    if (Number.isNaN(dateMs)) return undefined;
    const leftMs = Math.max(0, dateMs - this.#options.clock.wallMs());
    return Math.min(leftMs, LONGEST_RETRY_AFTER_MS);
  }
}

/** Throws InputError when `address` is none of HTTP. */
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

/** Undefined when there is more than `limit`. */
async function readAll(stream: Request, limit: number): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > limit) return undefined; // leaving the loop destroys the stream
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}

export async function* chunksOf(stream: Request): AsyncGenerator<Uint8Array, void, void> {
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) yield chunk;
  } catch (error) {
    throw new DownloadCut(systemErrorCode(error) ?? 'CUT', describeError(error), error);
  } finally {
    stream.destroy();
  }
}

export function parseJson<T>(
  body: Uint8Array,
  schema: z.ZodType<T>,
  url: URL,
): { readonly value: T } | BackendFailure {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    const start = new TextDecoder().decode(body.subarray(0, 40)).replace(/\p{Cc}/gu, ' ');
    return garbage(url, `no JSON: ${JSON.stringify(start)}`);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return { value: parsed.data };
  const issue = parsed.error.issues[0]!;
  return garbage(url, `${issue.path.join('.')}: ${issue.message}`);
}

export function garbage(url: URL, what: string): BackendFailure {
  return {
    kind: 'failed',
    code: 'GARBAGE',
    reason: `${url.origin}${url.pathname} sent something that cannot be understood: ${what}; is this a can-ota server?`,
    transient: true,
  };
}

function unreachable(url: URL, error: unknown): BackendFailure {
  const code = systemErrorCode(error) ?? 'NETWORK';
  return {
    kind: 'failed',
    code,
    reason: `${url.origin}${url.pathname} cannot be reached (${code}): ${describeError(error)}; check --server and the network`,
    transient: true,
  };
}

/** What an RFC 9457 answer says, for messages. */
function problemOf(body: Uint8Array): string {
  try {
    const parsed = problemSchema.safeParse(JSON.parse(new TextDecoder().decode(body)));
    if (!parsed.success) return '';
    const { code, title, detail } = parsed.data;
    const text = [code, detail ?? title].filter((part) => part !== undefined).join(': ');
    return text.replace(/\p{Cc}/gu, ' ');
  } catch {
    return '';
  }
}
