// HTTP over real sockets, by `got`.

import got, { type OptionsInit } from 'got';
import type { HttpRequest, HttpResponse, HttpTransport } from './http-transport.ts';

/** The real network. */
export const gotTransport: HttpTransport = {
  async open({ method, url, headers, body, timeout, signal }: HttpRequest): Promise<HttpResponse> {
    const options = {
      method,
      headers: { ...headers },
      ...(body === undefined
        ? {}
        : { body: Buffer.from(body.buffer, body.byteOffset, body.length) }),
      ...(timeout === undefined ? {} : { timeout: timeoutsOf(timeout) }),
      ...(signal === undefined ? {} : { signal }),
      isStream: true,
      throwHttpErrors: false,
      // The server is the one of the configuration, and images have their length and hash as they are.
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
      // From here on errors come out of reading; one that comes when nobody reads any more is nobody's.
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
      throw error;
    }
  },
};

function timeoutsOf({ requestMs, connectMs }: NonNullable<HttpRequest['timeout']>) {
  return {
    lookup: connectMs,
    connect: connectMs,
    ...(requestMs === undefined ? {} : { request: requestMs }),
  };
}
