// Servers between TMU and backend: a proxy that holds a download back, and one that gives the false answers of a test.

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

/** A port without a listener. */
export async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface Proxy extends Listening {
  /** Downloads stop after this many bytes and wait; undefined: they are not stopped. */
  holdAfter: number | undefined;
  /** The Range header of each download, `none` where there was none. */
  readonly ranges: string[];
  /** Lets held downloads continue. */
  release(): void;
}

/** Forwards everything to `target`. */
export async function startProxy(target: string, holdAfter?: number): Promise<Proxy> {
  const held = new Set<() => void>();
  const proxy = {
    holdAfter,
    ranges: [] as string[],
    release: () => {
      proxy.holdAfter = undefined;
      for (const goOn of held) goOn();
    },
  };
  const { url } = await listen((incoming, answer) => {
    const isDownload = incoming.url!.startsWith('/ota_download/');
    if (isDownload) proxy.ranges.push(incoming.headers.range ?? 'none');
    passOn(target, incoming, answer, (response) => {
      const hold = isDownload ? proxy.holdAfter : undefined;
      if (hold === undefined) {
        response.pipe(answer);
        return;
      }
      let left = hold;
      const pass = (chunk: Buffer): void => {
        if (left > 0) answer.write(chunk.subarray(0, left));
        if (chunk.length >= left) {
          response.pause(); // held until one end closes, or `release`
          response.off('data', pass);
          response.unshift(chunk.subarray(Math.max(0, left)));
          held.add(() => response.pipe(answer));
        }
        left -= chunk.length;
      };
      response.on('data', pass);
    });
  });
  return Object.assign(proxy, { url });
}

export interface Lies {
  /** Replaces the answer of `/latest_version`. */
  readonly latest?: { readonly status: number; readonly body: string };
  /** Replaces an image. */
  readonly download?: (answer: ServerResponse) => void;
}

/** Forwards everything except the false answers: metadata is signed, so it is not changed. */
export async function startLiar(target: string, { latest, download }: Lies): Promise<Listening> {
  return listen((incoming, answer) => {
    const { pathname } = new URL(incoming.url!, target);
    if (pathname === '/latest_version' && latest !== undefined) {
      answer.writeHead(latest.status, { 'content-type': 'application/json' }).end(latest.body);
    } else if (pathname.startsWith('/ota_download/') && download !== undefined) {
      download(answer);
    } else passOn(target, incoming, answer, (response) => response.pipe(answer));
  });
}

function passOn(
  target: string,
  incoming: IncomingMessage,
  answer: ServerResponse,
  send: (response: IncomingMessage) => void,
): void {
  const onward = request(
    new URL(incoming.url!, target),
    { method: incoming.method, headers: incoming.headers },
    (response) => {
      answer.writeHead(response.statusCode!, response.headers);
      send(response);
    },
  );
  onward.on('error', () => answer.destroy());
  answer.on('close', () => onward.destroy());
  incoming.pipe(onward);
}
