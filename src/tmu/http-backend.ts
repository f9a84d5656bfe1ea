// The backend over HTTP: requests, limits on what comes back, and every mistake of the server as a value.

import got, { type OptionsInit, type Request } from 'got';
import { z } from 'zod';
import {
  type Backend,
  type BackendFailure,
  type DownloadAnswer,
  DownloadCut,
  type LatestAnswer,
  type VersionReport,
} from '../campaign/ports.ts';
import type { Clock } from '../core/clock.ts';
import { describeError, InputError, systemErrorCode } from '../core/errors.ts';

export interface HttpBackendOptions {
  /** `https://host[:port][/prefix]` */
  readonly server: string;
  readonly vin: string;
  readonly clock: Clock;
  /** For requests with a JSON answer, from the name look-up to the last byte. */
  readonly requestMs?: number;
}

/** A JSON answer beyond this is garbage: nothing of the server may fill our memory. */
const MAX_JSON_BYTES = 1024 * 1024;
const REQUEST_MS = 20_000;
const CONNECT_MS = 10_000;

const releaseSchema = z.object({
  ecu: z.string().regex(/^[A-Z][A-Z0-9_]{0,15}$/),
  version: z.string().regex(/^[0-9A-Za-z][0-9A-Za-z.+_-]{0,31}$/),
  // One segment of a path: no separators, and no name that means a folder.
  file: z.string().regex(/^(?!\.{1,2}$)[^/\\\p{Cc}]{1,255}$/u),
  size: z
    .number()
    .int()
    .positive()
    .max(2 ** 40),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  notes: z
    .string()
    .max(100_000)
    .nullish()
    .transform((notes) => (notes ?? '').slice(0, 4096)),
});
const latestSchema = z.object({ releases: z.array(releaseSchema).max(1000) });
const nonceSchema = z.object({ nonce: z.string().regex(/^[0-9A-Za-z_-]{16,128}$/) });
const problemSchema = z.object({
  code: z.string().max(64).optional(),
  title: z.string().max(200).optional(),
  detail: z.string().max(500).optional(),
});

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Uint8Array;
}

export class HttpBackend implements Backend {
  readonly #base: URL;
  readonly #options: HttpBackendOptions;

  /** Throws InputError when `server` is no HTTP address. */
  constructor(options: HttpBackendOptions) {
    this.#options = options;
    const base = URL.parse(options.server);
    if (base === null || !['http:', 'https:'].includes(base.protocol)) {
      throw new InputError(
        'server',
        `${JSON.stringify(options.server)} is no address: expected http://host:port or https://host`,
      );
    }
    if (!base.pathname.endsWith('/')) base.pathname += '/';
    this.#base = base;
  }

  async latest(
    ecus: readonly string[],
    etag: string | undefined,
    signal?: AbortSignal,
  ): Promise<LatestAnswer> {
    const url = this.#url('latest_version');
    url.searchParams.set('vin', this.#options.vin);
    for (const ecu of ecus) url.searchParams.append('ecu', ecu);
    const answer = await this.#json(url, {
      headers: etag === undefined ? {} : { 'if-none-match': etag },
      ...withSignal(signal),
    });
    if ('kind' in answer) return answer;
    if (answer.status === 304) return { kind: 'not-modified' };
    if (answer.status !== 200) return this.#refused(answer, url);
    const parsed = parseJson(answer.body, latestSchema, url);
    if ('kind' in parsed) return parsed;
    return {
      kind: 'releases',
      etag: header(answer, 'etag'),
      releases: parsed.value.releases,
    };
  }

  async nonce(
    signal?: AbortSignal,
  ): Promise<{ readonly kind: 'nonce'; readonly nonce: string } | BackendFailure> {
    const url = this.#url('get_nonce');
    url.searchParams.set('vin', this.#options.vin);
    const answer = await this.#json(url, withSignal(signal));
    if ('kind' in answer) return answer;
    if (answer.status !== 200) return this.#refused(answer, url);
    const parsed = parseJson(answer.body, nonceSchema, url);
    return 'kind' in parsed ? parsed : { kind: 'nonce', nonce: parsed.value.nonce };
  }

  async download(
    release: { readonly file: string },
    nonce: string,
    offset: number,
    signal?: AbortSignal,
  ): Promise<DownloadAnswer> {
    const url = this.#url(`ota_download/${encodeURIComponent(release.file)}`);
    url.searchParams.set('nonce', nonce);
    const shown = new URL(url);
    shown.search = '';
    const opened = await this.#open(url, shown, {
      headers: offset > 0 ? { range: `bytes=${offset}-` } : {},
      // The body takes as long as it takes; whoever reads it watches its pace.
      timeout: { lookup: CONNECT_MS, connect: CONNECT_MS, response: REQUEST_MS },
      ...withSignal(signal),
    });
    if ('kind' in opened) return opened;
    const { stream, status, headers } = opened;
    if (status === 200) {
      return {
        kind: 'body',
        offset: 0,
        total: lengthOf(headers['content-length']),
        chunks: chunksOf(stream),
      };
    }
    if (status === 206) {
      const range = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(
        String(headers['content-range'] ?? ''),
      );
      if (range !== null) {
        return {
          kind: 'body',
          offset: Number(range[1]),
          total: range[3] === '*' ? undefined : Number(range[3]),
          chunks: chunksOf(stream),
        };
      }
      stream.destroy();
      return garbage(shown, `206 with Content-Range ${JSON.stringify(headers['content-range'])}`);
    }
    const body = await readAll(stream, MAX_JSON_BYTES);
    const failure = this.#refused({ status, headers, body: body ?? new Uint8Array() }, shown);
    // A nonce can be used up or too old: the next attempt gets a new one.
    return status === 403 || status === 416 ? { ...failure, transient: true } : failure;
  }

  async report(
    report: VersionReport,
    signal?: AbortSignal,
  ): Promise<{ readonly kind: 'accepted' } | BackendFailure> {
    const url = this.#url('report_versions');
    const answer = await this.#json(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(report),
      ...withSignal(signal),
    });
    if ('kind' in answer) return answer;
    if (answer.status >= 200 && answer.status < 300) return { kind: 'accepted' };
    return this.#refused(answer, url);
  }

  #url(path: string): URL {
    return new URL(path, this.#base);
  }

  /** One request with a short answer. */
  async #json(url: URL, init: OptionsInit): Promise<Answer | BackendFailure> {
    const opened = await this.#open(url, url, {
      ...init,
      timeout: { request: this.#options.requestMs ?? REQUEST_MS, connect: CONNECT_MS },
    });
    if ('kind' in opened) return opened;
    const { stream, status, headers } = opened;
    try {
      const body = await readAll(stream, MAX_JSON_BYTES);
      if (body === undefined) return garbage(url, `more than ${MAX_JSON_BYTES} bytes of answer`);
      return { status, headers, body };
    } catch (error) {
      return unreachable(url, error);
    }
  }

  /** Sends the request and waits for the head of the answer. */
  async #open(
    url: URL,
    shown: URL,
    init: OptionsInit,
  ): Promise<
    | {
        readonly stream: Request;
        readonly status: number;
        readonly headers: NodeJS.Dict<string | string[]>;
      }
    | BackendFailure
  > {
    const stream = got.stream(url, {
      ...init,
      isStream: true,
      headers: {
        'user-agent': 'can-ota-tmu',
        accept: 'application/json, application/octet-stream',
        'x-vehicle-vin': this.#options.vin,
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
      return { stream, status: response.statusCode, headers: response.headers };
    } catch (error) {
      stream.on('error', () => {});
      stream.destroy();
      return unreachable(shown, error);
    }
  }

  #refused(answer: Answer, url: URL): BackendFailure {
    const { status } = answer;
    const problem = problemOf(answer.body);
    const retryAfterMs = this.#retryAfterMs(header(answer, 'retry-after'));
    return {
      kind: 'failed',
      code: `HTTP_${status}`,
      reason: `${url.origin}${url.pathname} answered ${status}${problem === '' ? '' : ` (${problem})`}`,
      transient: status >= 500 || status === 429 || status === 408,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    };
  }

  /** RFC 9110 10.2.3: seconds or a date. */
  #retryAfterMs(text: string | undefined): number | undefined {
    if (text === undefined) return undefined;
    if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
    const dateMs = Date.parse(text);
    return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - this.#options.clock.wallMs());
  }
}

function withSignal(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

function header(answer: Pick<Answer, 'headers'>, name: string): string | undefined {
  const value = answer.headers[name];
  return typeof value === 'string' ? value : value?.[0];
}

function lengthOf(value: string | string[] | undefined): number | undefined {
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

async function* chunksOf(stream: Request): AsyncGenerator<Uint8Array, void, void> {
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) yield chunk;
  } catch (error) {
    throw new DownloadCut(systemErrorCode(error) ?? 'CUT', describeError(error), error);
  } finally {
    stream.destroy();
  }
}

function parseJson<T>(
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

function garbage(url: URL, what: string): BackendFailure {
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
