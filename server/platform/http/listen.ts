// The HTTP server itself: limits of time, what can go wrong when it starts, and an end that lets requests finish.

import { createServer as createHttpServer, type Server, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type Koa from 'koa';
import type { ProblemCode } from '../../../src/contract/problem.ts';
import { type Clock, sleep } from '../../../src/core/clock.ts';
import { systemErrorCode } from '../../../src/core/errors.ts';
import { ServerError } from './errors.ts';
import { problemBody } from './problems.ts';
import type { RequestState } from './request.ts';

export interface RunningServer {
  readonly host: string;
  readonly port: number;
  /** Lets requests finish for `graceMs` (2000 unless told), then cuts them; closes the database. */
  close(graceMs?: number): Promise<void>;
}

const GRACE_MS = 2000;

export async function listen(
  app: Koa<RequestState>,
  options: {
    port: number;
    host: string | undefined;
    clock: Clock;
    maxUploadBytes: number;
    close(): Promise<void>;
  },
): Promise<RunningServer> {
  const server = createHttpServer(
    {
      // A head comes at once; a body may take as long as the largest upload needs at 64 KiB/s.
      headersTimeout: 15_000,
      requestTimeout: Math.max(300_000, (options.maxUploadBytes / (64 * 1024)) * 1000),
      keepAliveTimeout: 10_000,
      connectionsCheckingInterval: 5_000,
      // Its refusal has no body: `problems` refuses with a reason.
      requireHostHeader: false,
    },
    app.callback(),
  );
  server.on('clientError', refuseUnreadable);
  // Nothing moves in either direction for a minute: the other side is gone or means ill.
  server.timeout = 60_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  }).catch((error) => {
    throw listenError(error, options.port, options.host);
  });
  const address = server.address() as AddressInfo;
  let closed: Promise<void> | undefined;
  return {
    host: address.address,
    port: address.port,
    close: (graceMs = GRACE_MS) => {
      closed ??= shutDown(server, options.clock, graceMs).then(options.close);
      return closed;
    },
  };
}

/**
 * What is no HTTP never becomes a request. It gets a problem (RFC 9457) as every other refusal; a connection that is
 * lost or in the middle of an answer is closed.
 */
function refuseUnreadable(error: Error, socket: Duplex): void {
  const code = systemErrorCode(error);
  // `_httpMessage`: Node's mark of a socket with an answer under way; a second head in it would be taken for its body.
  const isAnswering = (socket as { _httpMessage?: { headersSent?: boolean } })._httpMessage;
  if (code === 'ECONNRESET' || !socket.writable || isAnswering?.headersSent === true) {
    socket.destroy();
    return;
  }
  const [status, problem, detail] = UNREADABLE[code ?? ''] ?? NO_HTTP;
  const body = problemBody(status, problem, detail);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n` +
      'Content-Type: application/problem+json\r\nCache-Control: no-store\r\n' +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

const NO_HTTP = [400, 'BAD_REQUEST', 'this is no HTTP/1.1 request'] as const;
const UNREADABLE: Readonly<Record<string, readonly [number, ProblemCode, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'BAD_REQUEST', 'the head is too large: at most 16 KiB'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'BODY_TOO_LARGE', 'the chunk extensions are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'BODY_TIMEOUT', 'the request took too long'],
};

function listenError(error: unknown, port: number, host: string | undefined): ServerError {
  const where = `${host ?? 'any address'}, port ${port}`;
  const code = systemErrorCode(error);
  const what =
    code === 'EADDRINUSE'
      ? 'another program listens there: stop it or choose another port'
      : code === 'EACCES'
        ? 'no permission: choose a port from 1024 up'
        : code === 'EADDRNOTAVAIL'
          ? 'this machine does not have that address'
          : 'cannot listen there';
  return new ServerError('LISTEN', `${where}: ${what}`, error);
}

async function shutDown(server: Server, clock: Clock, graceMs: number): Promise<void> {
  const grace = new AbortController();
  const ended = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  await Promise.race([ended, sleep(clock, 'server-grace', graceMs, grace.signal)]);
  server.closeAllConnections();
  await ended;
  grace.abort();
}
