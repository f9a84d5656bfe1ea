// `fetch` over the vehicle's transport, so that tools use the same proxies, CAs and error messages.

import { randomUUID } from 'node:crypto';
import { defined } from '../core/optional.ts';
import type { GotTransport } from './got-transport.ts';
import { CONNECT_MS } from './http-client.ts';

/** Longest wait for an answer, the same as in `fetch`. */
const ANSWER_MS = 300_000;
const LONGEST_CHAIN = 10;

/** A `fetch` with these parts of `init`: method, headers, redirect, signal, and a body of text, bytes or FormData. */
export function fetchOver(transport: GotTransport): typeof fetch {
  return async (input, init = {}) => {
    let url = new URL(input instanceof Request ? input.url : input);
    const method = init.method ?? 'GET';
    const headers = new Headers(init.headers);
    for (let redirects = 0; ; redirects++) {
      const { body, fields } = bodyOf(init.body);
      const opened = await transport.open({
        method,
        url,
        headers: {
          'user-agent': 'can-ota',
          accept: '*/*',
          ...Object.fromEntries(headers),
          ...fields,
        },
        ...defined({ body }),
        timeout: { connectMs: CONNECT_MS, answerMs: ANSWER_MS },
        ...(init.signal ? { signal: init.signal } : {}),
      });
      const { status, headers: given, destroy } = opened;
      const next = status >= 300 && status < 400 ? locationOf(given.location, url) : undefined;
      const follows = next !== undefined && (init.redirect ?? 'follow') === 'follow';
      if (next !== undefined && init.redirect === 'error') {
        destroy();
        throw new TypeError(`${url} answered ${status} to ${next}, and no redirect is followed`);
      }
      if (!follows || (method !== 'GET' && method !== 'HEAD')) {
        return responseOf(url, status, given, opened.body, destroy);
      }
      destroy();
      if (redirects === LONGEST_CHAIN) throw new TypeError(`${url}: too many redirects`);
      if (url.protocol === 'https:' && next.protocol !== 'https:') {
        throw new TypeError(`${url} answered ${status} to ${next}, which is not encrypted`);
      }
      // Only the first server gets the headers that identify the caller.
      if (next.origin !== url.origin) for (const name of SECRETS) headers.delete(name);
      url = next;
    }
  };
}

const SECRETS = ['authorization', 'cookie', 'x-csrf-token', 'x-vehicle-vin'];

function locationOf(location: string | string[] | undefined, base: URL): URL | undefined {
  const url = typeof location === 'string' ? URL.parse(location, base.href) : null;
  return url !== null && /^https?:$/.test(url.protocol) ? url : undefined;
}

function responseOf(
  url: URL,
  status: number,
  given: NodeJS.Dict<string | string[]>,
  body: AsyncIterable<Uint8Array>,
  destroy: () => void,
): Response {
  const headers = new Headers();
  for (const [name, value] of Object.entries(given)) {
    for (const each of Array.isArray(value) ? value : [value ?? '']) headers.append(name, each);
  }
  const empty = [204, 205, 304].includes(status);
  if (empty) destroy();
  const response = new Response(empty ? null : ReadableStream.from(ended(body, destroy)), {
    status,
    headers,
  });
  return Object.defineProperty(response, 'url', { value: url.href });
}

/** Returns the connection also when the reader stops early. */
async function* ended(
  body: AsyncIterable<Uint8Array>,
  destroy: () => void,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    for await (const piece of body) yield Uint8Array.from(piece);
  } finally {
    destroy();
  }
}

function bodyOf(body: RequestInit['body']): {
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly fields?: Readonly<Record<string, string>>;
} {
  if (body === undefined || body === null) return {};
  if (typeof body === 'string') return { body: new TextEncoder().encode(body) };
  if (body instanceof Uint8Array) return { body };
  if (body instanceof FormData) return formOf(body);
  throw new TypeError('this body is not supported: expected text, bytes or FormData');
}

/**
 * Encodes a form (RFC 7578) piece by piece: a large image is never whole in memory, and the length is known beforehand.
 */
function formOf(form: FormData) {
  const boundary = `can-ota-${randomUUID()}`;
  const parts = [...form].map(([name, value]) => {
    const isFile = typeof value !== 'string';
    const file = isFile ? `; filename="${quoted(value.name)}"` : '';
    const type = isFile ? '\r\nContent-Type: application/octet-stream' : '';
    return {
      head: bytes(
        `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"${file}${type}\r\n\r\n`,
      ),
      value: isFile ? value : new Blob([value]),
    };
  });
  const end = bytes(`--${boundary}--\r\n`);
  const length = parts.reduce(
    (sum, { head, value }) => sum + head.length + value.size + 2,
    end.length,
  );
  return {
    fields: {
      'content-type': `multipart/form-data; boundary=${boundary}`,
      'content-length': String(length),
    },
    body: (async function* () {
      for (const { head, value } of parts) {
        yield head;
        yield* value.stream();
        yield bytes('\r\n');
      }
      yield end;
    })(),
  };
}

function quoted(text: string): string {
  return text.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
