// A backend on a free loopback port in a folder of its own, with a clock that tests can move, and a plain client.

import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { addUser } from '../../server/features/people/tool-commands.ts';
import { createServer, type ServerOptions } from '../../server/server.ts';
import { type Clock, systemClock, type Timer } from '../../src/core/clock.ts';
import { type Logger, silentLogger } from '../../src/core/logger.ts';
import { systemRandom } from '../../src/core/random.ts';
import { requireContract } from './contract-support.ts';

export const PASSWORD = 'a password for tests';
export const FAST_BCRYPT = 4;

/**
 * The machine's clock at the start of the test; it moves by `skip` alone, so that no limit depends on how fast the
 * machine is. Timers run in real time.
 */
export class ShiftedClock implements Clock {
  readonly #start = { nowMs: systemClock.nowMs(), wallMs: systemClock.wallMs() };
  #offsetMs = 0;
  #wrongMs = 0;
  skip(ms: number): void {
    this.#offsetMs += ms;
  }
  /** Somebody has set the wall clock wrong by this much; 0 is right. */
  setWrong(ms: number): void {
    this.#wrongMs = ms;
  }
  nowMs(): number {
    return this.#start.nowMs + this.#offsetMs;
  }
  wallMs(): number {
    return this.#start.wallMs + this.#offsetMs + this.#wrongMs;
  }
  /** Below 1, timers fire earlier than they should, so that no test waits for a deadline. */
  timerScale = 1;
  /** How long each timer was to run, by its name. */
  readonly asked = new Map<string, number>();
  after(name: string, delayMs: number, fire: () => void): Timer {
    this.asked.set(name, delayMs);
    return systemClock.after(name, delayMs * this.timerScale, fire);
  }
}

export interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
  readonly json: any;
}

export interface RequestOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array | FormData;
  /** Another client on this machine: 127.0.0.2 and so on. */
  from?: string;
}

export interface Backend {
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  readonly clock: ShiftedClock;
  readonly log: string[];
  request(path: string, options?: RequestOptions): Promise<Reply>;
  /** Logs in; the result sends the cookie (and the token, unless told otherwise) with every request. */
  login(name?: string): Promise<Client>;
  close(): Promise<void>;
}

export interface Client {
  readonly cookie: string;
  readonly csrfToken: string;
  request(path: string, options?: RequestOptions): Promise<Reply>;
  upload(fields: UploadFields, options?: RequestOptions): Promise<Reply>;
}

export interface UploadFields {
  ecu?: string;
  version?: string;
  notes?: string;
  raw?: string;
  image: Uint8Array;
  fileName?: string;
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'can-ota-server-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Has `anna` (admin) and `vera` (viewer), both with PASSWORD. Closed when the test ends. */
export async function startBackend(options: Partial<ServerOptions> = {}): Promise<Backend> {
  const dataDir = options.dataDir ?? (await temporaryFolder());
  const clock = new ShiftedClock();
  const log: string[] = [];
  const note = (fields: Record<string, unknown>, message: string): void => {
    log.push(`${message} ${JSON.stringify(fields)}`);
  };
  const logger: Logger = { ...silentLogger, warn: note, error: note };
  const cost = { bcryptCost: FAST_BCRYPT };
  await addUser(dataDir, 'anna', 'admin', PASSWORD, cost).catch(() => {});
  await addUser(dataDir, 'vera', 'viewer', PASSWORD, cost).catch(() => {});
  const server = await createServer({
    clock,
    random: systemRandom,
    logger,
    bcryptCost: FAST_BCRYPT,
    ...options,
    dataDir,
  });
  const running = await server.listen(0, '127.0.0.1');
  onTestFinished(() => running.close(100));
  const send = (target: string, init: RequestOptions = {}): Promise<Reply> =>
    request(running.port, target, init);
  return {
    url: `http://127.0.0.1:${running.port}`,
    port: running.port,
    dataDir,
    clock,
    log,
    request: send,
    login: async (name = 'anna') => {
      const reply = await send('/login', json({ name, password: PASSWORD }));
      if (reply.status !== 200) throw new Error(`log-in failed: ${reply.text}`);
      const cookie = cookieOf(reply);
      const csrfToken: string = reply.json.csrfToken;
      const client: Client = {
        cookie,
        csrfToken,
        request: (target, init = {}) =>
          send(target, {
            ...init,
            headers: { Cookie: cookie, 'X-CSRF-Token': csrfToken, ...init.headers },
          }),
        upload: (fields, init = {}) =>
          client.request('/upload', { method: 'POST', body: uploadForm(fields), ...init }),
      };
      return client;
    },
    close: () => running.close(100),
  };
}

export function json(value: unknown): RequestOptions {
  return {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(value),
  };
}

export function uploadForm(fields: UploadFields): FormData {
  const form = new FormData();
  for (const name of ['ecu', 'version', 'notes', 'raw'] as const) {
    if (fields[name] !== undefined) form.set(name, fields[name]);
  }
  form.set('file', new Blob([Uint8Array.from(fields.image)]), fields.fileName ?? 'image.bin');
  return form;
}

export function cookieOf(reply: Reply): string {
  return (reply.headers['set-cookie'] ?? []).map((cookie) => cookie.split(';')[0]!).join('; ');
}

/** One request over its own connection; the path is sent as it is written. */
export async function request(
  port: number,
  target: string,
  init: RequestOptions = {},
): Promise<Reply> {
  let { body } = init;
  const headers: Record<string, string> = { ...init.headers };
  if (body instanceof FormData) {
    const encoded = new Response(body);
    headers['Content-Type'] = encoded.headers.get('content-type')!;
    body = new Uint8Array(await encoded.arrayBuffer());
  }
  if (body !== undefined) headers['Content-Length'] = String(Buffer.byteLength(body));
  return new Promise((resolve, reject) => {
    const outgoing = http.request(
      {
        host: '127.0.0.1',
        port,
        path: target,
        method: init.method ?? 'GET',
        headers,
        agent: false,
        ...(init.from === undefined ? {} : { localAddress: init.from }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const whole = Buffer.concat(chunks);
          const text = whole.toString('utf8');
          const { statusCode: status = 0 } = response;
          try {
            const { method = 'GET' } = init;
            const { headers: answered } = response;
            requireContract({ method, path: target, status, headers: answered, body: whole });
          } catch (error) {
            reject(error);
            return;
          }
          resolve({
            status,
            headers: response.headers,
            body: whole,
            text,
            get json() {
              return JSON.parse(text);
            },
          });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
