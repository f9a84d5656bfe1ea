// Servers for the TMU that are none of ours: a proxy that holds a download back, and a backend that says what a test wants.

import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { atTheEnd } from './processes.ts';

export interface Listening {
  readonly url: string;
}

async function listen(
  handle: (incoming: IncomingMessage, answer: ServerResponse) => void,
): Promise<Listening> {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atTheEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** A port that nobody listens on (yet). */
export async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface Proxy extends Listening {
  /** Downloads stop after this many bytes and wait; undefined: they run through. */
  holdAfter: number | undefined;
  /** The Range header of each download, `none` where there was none. */
  readonly ranges: string[];
}

/** Passes everything on to `target`. */
export async function startProxy(target: string, holdAfter?: number): Promise<Proxy> {
  const proxy: { holdAfter: number | undefined; ranges: string[] } = { holdAfter, ranges: [] };
  const { url } = await listen((incoming, answer) => {
    const isDownload = incoming.url!.startsWith('/ota_download/');
    if (isDownload) proxy.ranges.push(incoming.headers.range ?? 'none');
    const onward = request(
      new URL(incoming.url!, target),
      { method: incoming.method, headers: incoming.headers },
      (response) => {
        answer.writeHead(response.statusCode!, response.headers);
        const hold = isDownload ? proxy.holdAfter : undefined;
        if (hold === undefined) {
          response.pipe(answer);
          return;
        }
        let left = hold;
        response.on('data', (chunk: Buffer) => {
          if (left > 0) answer.write(chunk.subarray(0, left));
          left -= chunk.length;
          if (left <= 0) response.pause(); // held until one end closes
        });
      },
    );
    onward.on('error', () => answer.destroy());
    answer.on('close', () => onward.destroy());
    incoming.pipe(onward);
  });
  return Object.assign(proxy, { url });
}

export interface FakeRelease {
  readonly ecu: string;
  readonly version: string;
  readonly size: number;
  readonly sha256: string;
}

export interface FakeBackend {
  /** What `/latest_version` answers; a release of the list, or any text and status. */
  readonly latest: readonly FakeRelease[] | { readonly status: number; readonly body: string };
  /** Answers a download. */
  readonly download?: (answer: ServerResponse) => void;
}

/** Speaks our protocol as far as it wants to. */
export async function startFakeBackend({ latest, download }: FakeBackend): Promise<Listening> {
  return listen((incoming, answer) => {
    const { pathname } = new URL(incoming.url!, 'http://fake');
    incoming.resume();
    if (pathname === '/latest_version') {
      if (!('status' in latest)) {
        const releases = latest.map((release) => ({ ...release, file: `${release.ecu}.bin` }));
        json(answer, 200, { releases });
      } else answer.writeHead(latest.status).end(latest.body);
    } else if (pathname === '/get_nonce') json(answer, 200, { nonce: 'A'.repeat(22) });
    else if (pathname.startsWith('/ota_download/') && download !== undefined) download(answer);
    else json(answer, pathname === '/report_versions' ? 200 : 404, {});
  });
}

function json(answer: ServerResponse, status: number, value: unknown): void {
  answer.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}
