// HTTP over sockets with `got`: direct or through a proxy, with the CA and the client certificate of the operator.

import { Readable } from 'node:stream';
import got, { type OptionsInit } from 'got';
import { defined } from '../core/optional.ts';
import { LinkAgents, type LinkOptions } from './agents.ts';
import type { HttpRequest, HttpResponse, HttpTransport } from './http-transport.ts';
import { type LinkFacts, linkError } from './link-error.ts';

/** A request of a tool: all methods, and a body that is read while it is sent. */
interface GotRequest extends Omit<HttpRequest, 'method' | 'body' | 'timeout'> {
  readonly method: string;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly timeout?: Partial<NonNullable<HttpRequest['timeout']>> & {
    /** Longest time from the sent request to the head of the answer. */
    readonly answerMs?: number;
  };
}

export interface GotTransport extends HttpTransport {
  /** Rejects with LinkError, or with InputError for a proxy variable with an unusable proxy. */
  open(request: GotRequest): Promise<HttpResponse>;
}

export function createGotTransport(link: LinkOptions): GotTransport {
  const agents = new LinkAgents(link);
  return {
    async open({ method, url, headers, body, timeout, signal }: GotRequest): Promise<HttpResponse> {
      const { agent, proxy } = agents.route(url);
      const { hasCa, hasClientCertificate } = agents;
      const facts: LinkFacts = { url, proxy, hasCa, hasClientCertificate };
      const options = {
        method: method as NonNullable<OptionsInit['method']>,
        headers: { ...headers },
        ...bodyOf(method, body),
        ...defined({
          timeout: timeout === undefined ? undefined : timeoutsOf(timeout),
          signal,
          agent,
        }),
        isStream: true,
        throwHttpErrors: false,
        // The configuration names the server; follow-redirects.ts follows redirects of images.
        followRedirect: false,
        decompress: false,
        retry: { limit: 0 },
      } satisfies OptionsInit & { isStream: true };
      const stream = got.stream(url, options);
      try {
        const response = await new Promise<{
          statusCode: number;
          headers: NodeJS.Dict<string | string[]>;
        }>((resolve, reject) => {
          stream.once('response', resolve);
          stream.once('error', reject);
        });
        // From here on reading reports errors; an error after the last reader is ignored.
        stream.on('error', () => {});
        return {
          status: response.statusCode,
          headers: response.headers,
          body: stream as AsyncIterable<Uint8Array>,
          destroy: () => void stream.destroy(),
        };
      } catch (error) {
        stream.on('error', () => {});
        stream.destroy();
        throw linkError(error, facts);
      }
    },
  };
}

/** A transport without a proxy and with the CAs of Node. */
export const gotTransport: GotTransport = createGotTransport({ environment: {} });

function bodyOf(method: string, body: GotRequest['body']): { readonly body?: Buffer | Readable } {
  if (body === undefined) {
    // Without a body `got` waits for writes to its stream.
    return method === 'GET' || method === 'HEAD' ? {} : { body: Buffer.alloc(0) };
  }
  if (!(body instanceof Uint8Array)) return { body: Readable.from(body, { objectMode: false }) };
  return { body: Buffer.from(body.buffer, body.byteOffset, body.length) };
}

function timeoutsOf({ requestMs, connectMs, answerMs }: NonNullable<GotRequest['timeout']>) {
  return {
    ...defined({ lookup: connectMs, connect: connectMs }),
    ...defined({ request: requestMs, response: answerMs }),
  };
}
