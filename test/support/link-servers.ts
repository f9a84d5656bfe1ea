// Servers with certificates of test/fixtures/tls, and forward proxies, on ports of their own.

import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';

const FOLDER = path.resolve(import.meta.dirname, '../fixtures/tls');

export function pem(name: string): string {
  return readFileSync(path.join(FOLDER, name), 'utf8');
}

export interface Listening extends AsyncDisposable {
  readonly port: number;
}

export async function listening(server: http.Server | net.Server): Promise<Listening> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Answers every request with its method, path, and whether it saw a client certificate. */
export function tlsServer(
  certificate: string,
  options: https.ServerOptions = {},
): Promise<Listening> {
  return listening(
    https.createServer(
      { key: pem(`${certificate}.key`), cert: pem(`${certificate}.pem`), ...options },
      (request, response) => response.end(`${request.method} ${request.url}`),
    ),
  );
}

export interface ForwardProxy extends Listening {
  /** Request targets as the proxy saw them: absolute addresses, and `CONNECT host:port`. */
  readonly seen: string[];
  readonly authorization: (string | undefined)[];
}

/** Sends all to `to` on this machine, as a proxy does that alone can resolve names. */
export async function forwardProxy(
  to: number,
  refusal?: { readonly status: number; readonly text: string },
): Promise<ForwardProxy> {
  const seen: string[] = [];
  const authorization: (string | undefined)[] = [];
  const server = http.createServer((request, response) => {
    seen.push(request.url!);
    authorization.push(request.headers['proxy-authorization']);
    if (refusal !== undefined) {
      response.writeHead(refusal.status).end();
      return;
    }
    const url = new URL(request.url!);
    const { method, headers } = request;
    const onward = http.request(
      { host: '127.0.0.1', port: to, path: url.pathname + url.search, method, headers },
      (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  server.on('connect', (request: http.IncomingMessage, socket: net.Socket) => {
    seen.push(`CONNECT ${request.url}`);
    authorization.push(request.headers['proxy-authorization']);
    if (refusal !== undefined) {
      socket.end(`HTTP/1.1 ${refusal.status} ${refusal.text}\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const onward = net.connect(to, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    onward.on('error', () => socket.destroy());
    socket.on('error', () => onward.destroy());
  });
  return { ...(await listening(server)), seen, authorization };
}
