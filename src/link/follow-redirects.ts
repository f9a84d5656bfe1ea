// Follows redirects of images, to an object store or a CDN. This is safe because length and hash are signed.

import type { BackendFailure } from '../core/backend-failure.ts';
import type { HttpResponse } from './http-transport.ts';

/** Statuses whose Location is another place of the same resource (RFC 9110 15.4). */
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const LONGEST_CHAIN = 5;

/**
 * The answer after all redirects of `first`, or `first` itself without a redirect. `send` sends the next request; it
 * must not identify the caller to another origin.
 */
export async function followRedirects(
  first: HttpResponse,
  from: URL,
  send: (next: URL) => Promise<HttpResponse | BackendFailure>,
): Promise<HttpResponse | BackendFailure> {
  let opened = first;
  let url = from;
  for (let hops = 0; REDIRECTS.has(opened.status); hops++) {
    const next = locationOf(opened, url);
    opened.destroy();
    if (next === undefined) return refused(url, 'a redirect to an address that is not HTTP');
    if (hops === LONGEST_CHAIN) return refused(url, `more than ${LONGEST_CHAIN} redirects`);
    if (url.protocol === 'https:' && next.protocol === 'http:') {
      return refused(url, `a redirect to ${withoutSearch(next)}, which is not encrypted`);
    }
    const answer = await send(next);
    if ('kind' in answer) return answer;
    if (/^(text\/html|application\/xhtml)/i.test(String(answer.headers['content-type'] ?? ''))) {
      answer.destroy();
      return refused(url, `a redirect to ${withoutSearch(next)}, which sends a page and no image`);
    }
    opened = answer;
    url = next;
  }
  return opened;
}

function locationOf({ headers }: HttpResponse, base: URL): URL | undefined {
  const { location } = headers;
  const url = typeof location === 'string' ? URL.parse(location, base.href) : null;
  return url !== null && /^https?:$/.test(url.protocol) ? url : undefined;
}

function refused(url: URL, what: string): BackendFailure {
  const reason = `${withoutSearch(url)} answers with ${what}: correct it on that server, or accept the terms of the network`;
  return { kind: 'failed', code: 'REDIRECT', reason, transient: true };
}

/** The address for messages, without its query, which holds nonces and signatures. */
export function withoutSearch(url: URL): URL {
  return new URL(url.origin + url.pathname);
}
