// The backend of a simulated world: the real application gets its requests by a call; its database and disk are in memory.

import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { DatabaseSync } from 'node:sqlite';
import inject from 'light-my-request';
import type { TrustFolder } from '../../server/features/releases/trust-folder.ts';
import { type CanOtaServer, createServer } from '../../server/server.ts';
import { loadWeb, type WebFiles } from '../../server/web/assets.ts';
import type { ChunkFault } from '../contract/chunked/faults.ts';
import type { Logger } from '../core/logger.ts';
import { defined } from '../core/optional.ts';
import type { HttpRequest } from '../link/http-transport.ts';
import { SimulatedMachine } from './machine.ts';
import type { SeededRandom } from './seeded-random.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import type { SignedImage } from './simulated-factory.ts';
import type { NetworkServer, ServerAnswer } from './simulated-network.ts';
import type { VirtualClock } from './virtual-clock.ts';

type App = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;

/** Tokens of the programs that use the backend. */
export interface ServerTokens {
  readonly factory: string;
  readonly release: string;
  readonly operator: string;
}

/** Everything that a backend keeps. */
export interface BackendState {
  readonly database: Uint8Array;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

export interface SimulatedServerOptions {
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly logger: Logger;
  readonly trust: TrustFolder;
  readonly tokens: ServerTokens;
  /** Missing: a new backend; the tokens are added before it starts. */
  readonly state?: BackendState;
}

/** Operators use more methods than vehicles. */
type OperatorRequest = Omit<HttpRequest, 'method'> & { readonly method: 'POST' | 'PUT' | 'DELETE' };

/** One row of the table of reports, as the vehicle sent it. */
export interface SentReportRow {
  readonly id: string;
  readonly vin: string;
  readonly campaign: string | null;
  readonly outcome: string;
  readonly code: string | null;
  readonly reason: string | null;
  readonly ecus: readonly {
    readonly name: string;
    readonly from: string | null;
    readonly version: string | null;
    readonly sha256: string | null;
    readonly error: string | null;
  }[];
}

/** An error answer of the backend to an operator: what was not done, and why. */
export class OperatorError extends Error {
  readonly status: number;
  readonly body: string;

  constructor(path: string, { status, body }: ServerAnswer) {
    const text = Buffer.from(body).toString('utf8');
    super(`${path} was answered ${status}: ${text}`);
    this.status = status;
    this.body = text;
  }
}

let web: Promise<WebFiles> | undefined;

/** Read from the real disk, once for each process. */
function webFiles(): Promise<WebFiles> {
  web ??= loadWeb();
  return web;
}

/** bcrypt protects passwords of people, and there are none here; the decoy hash is computed at each start. */
const BCRYPT_COST = 4;
/** All requests come from one address without real time, so rate limits do not apply. */
const NO_LIMIT = { burst: 1_000_000, perSecond: 1_000_000 };

export class SimulatedServer implements NetworkServer {
  readonly url = 'http://backend.simulation';
  readonly database: DatabaseSync;
  readonly disk: SimulatedDisk;
  /** Faults of chunked downloads and how often they happen; may be changed at any time. */
  readonly chunkFaults: Partial<Record<ChunkFault, number>> = {};
  readonly #options: SimulatedServerOptions;
  readonly #machine: SimulatedMachine;
  readonly #waiting = new Set<() => void>();
  readonly #listeners = new Set<() => void>();
  /** The last server that was started. */
  #server: CanOtaServer | undefined;
  #app: App | undefined;

  /** The server is not started yet. */
  constructor(options: SimulatedServerOptions) {
    this.#options = options;
    this.database = new DatabaseSync(':memory:', { enableForeignKeyConstraints: true });
    if (options.state !== undefined) this.database.deserialize(options.state.database);
    this.disk = new SimulatedDisk({ location: 'server', files: options.state?.files ?? new Map() });
    this.#machine = new SimulatedMachine({
      name: 'server',
      clock: options.clock,
      disk: this.disk,
      random: options.random,
      program: async (life) => {
        const server = await createServer({
          storage: life.storage,
          database: this.database,
          clock: life.clock,
          random: life.random,
          logger: options.logger,
          devices: 'required',
          bcryptCost: BCRYPT_COST,
          rateLimits: { identity: NO_LIMIT, address: NO_LIMIT, anonymous: NO_LIMIT },
          openNoncesPerAddress: 1_000_000,
          uptane: { role: 'all', trust: options.trust },
          web: await webFiles(),
          chunkFaults: this.chunkFaults,
        });
        this.#server = server;
        if (life.alive) this.#app = server.app.callback();
        return { stopped: new Promise(() => {}) };
      },
      onEvent: (event) => {
        if (event.kind === 'program-ended') throw new Error(`the server ended: ${event.reason}`);
      },
    });
  }

  /** Whether it answers. */
  get running(): boolean {
    return this.#app !== undefined;
  }

  get incarnation(): number | undefined {
    return this.#app === undefined ? undefined : this.#machine.lives;
  }

  /** Calls `hear` before each operation on its disk, until the returned function is called. */
  onOperation(hear: () => void): () => void {
    this.#listeners.add(hear);
    this.disk.onOperation = (_n, _operation, moment) => {
      if (moment === 'before') for (const listener of this.#listeners) listener();
    };
    return () => void this.#listeners.delete(hear);
  }

  /** Takes no virtual time. */
  async start(): Promise<void> {
    const release = this.#options.clock.hold('start of the server');
    try {
      await this.#machine.boot();
    } finally {
      release();
    }
  }

  /** SIGKILL: requests under way are never answered, and connections break. */
  stop(): void {
    this.#app = undefined;
    this.#machine.kill();
    for (const gone of [...this.#waiting]) gone();
  }

  /**
   * Cuts the power: files that were not synced are lost, kept or torn. Committed transactions of the database stay:
   * the server's SQLite syncs its log with each commit (synchronous = FULL), and open transactions are undone.
   */
  cut(): void {
    this.#app = undefined;
    this.#machine.cut();
    if (this.database.isTransaction) this.database.exec('ROLLBACK');
    for (const gone of [...this.#waiting]) gone();
  }

  /** Restarts the program: all connections break; nothing else is lost. */
  async restart(): Promise<void> {
    this.stop();
    await this.start();
  }

  async handle(request: HttpRequest | OperatorRequest): Promise<ServerAnswer | undefined> {
    const app = this.#app;
    if (app === undefined) return undefined;
    const release = this.#options.clock.hold(`answer to ${request.url.pathname}`);
    try {
      return await new Promise((resolve, reject) => {
        const gone = (): void => settle(() => resolve(undefined));
        const settle = (how: () => void): void => {
          if (this.#waiting.delete(gone)) how();
        };
        this.#waiting.add(gone);
        answerOf(app, request).then(
          (answer) => settle(() => resolve(answer)),
          (error: unknown) => settle(() => reject(error)),
        );
      });
    } finally {
      release();
    }
  }

  /** Sends a POST with an operator's token of the role `release`. Throws OperatorError for any answer but 2xx. */
  async post(
    path: string,
    body: Uint8Array,
    contentType: string,
    token = this.#options.tokens.release,
  ): Promise<unknown> {
    return this.#ask('POST', path, body, contentType, token);
  }

  async #ask(
    method: OperatorRequest['method'],
    path: string,
    body: Uint8Array,
    contentType: string,
    token: string,
  ): Promise<unknown> {
    const answer = await this.handle({
      method,
      url: new URL(path, this.url),
      headers: {
        accept: 'application/json',
        authorization: `Bearer ${token}`,
        'content-type': contentType,
        'content-length': String(body.length),
      },
      body,
    });
    if (answer === undefined) throw new Error(`${path}: the server is not running`);
    if (answer.status < 200 || answer.status > 299) throw new OperatorError(path, answer);
    return answer.body.length === 0 ? undefined : JSON.parse(Buffer.from(answer.body).toString());
  }

  /** Sends a request with a token of the role `operator`. Throws OperatorError for any answer but 2xx. */
  async operate(method: 'PUT' | 'POST' | 'DELETE', path: string, body: unknown): Promise<unknown> {
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    return this.#ask(method, path, bytes, 'application/json', this.#options.tokens.operator);
  }

  /** Uploads the images first, then the signed list, so that the list never names a missing image. */
  async take(images: readonly SignedImage[], targets: Uint8Array): Promise<void> {
    for (const image of images) {
      const { body, contentType } = uploadForm(image);
      await this.post('/upload', body, contentType);
    }
    await this.post('/metadata/targets', targets, 'application/json');
  }

  /** Acknowledged images that are not durably on the disk with their original bytes. */
  lost(images: readonly SignedImage[]): readonly string[] {
    return images
      .filter(({ sha256 }) => {
        const bytes = this.disk.durable(`images/${sha256}`);
        return bytes === undefined || createHash('sha256').update(bytes).digest('hex') !== sha256;
      })
      .map(({ name }) => name);
  }

  /** Reports in the order of their arrival, read from the table itself. */
  reports(vin: string): SentReportRow[] {
    const rows = this.database
      .prepare(
        'select id, vin, campaign, outcome, code, reason from reports where vin = ? order by id',
      )
      .all(vin) as unknown as Omit<SentReportRow, 'ecus'>[];
    const ecus = this.database.prepare(
      'select name, from_version as "from", version, sha256, error from report_ecus where report_id = ? order by position',
    );
    return rows.map((row) => ({
      ...row,
      ecus: ecus.all(row.id) as unknown as SentReportRow['ecus'],
    }));
  }

  /** State for another world that begins where this one is now. */
  state(): BackendState {
    return { database: this.database.serialize(), files: this.disk.files() };
  }

  /** Closes it for good. The database is closed after the server, because its statements would keep both in memory. */
  close(): void {
    const closing = this.#server?.close() ?? Promise.resolve();
    this.stop();
    const closed = (): void => this.database.close();
    closing.then(closed, closed);
  }
}

async function answerOf(app: App, request: HttpRequest | OperatorRequest): Promise<ServerAnswer> {
  const { url, method, headers, body } = request;
  const response = await inject(app, {
    method,
    url: { pathname: url.pathname, query: Object.fromEntries(url.searchParams) },
    headers: { host: url.host, ...headers },
    authority: url.host,
    validate: false,
    ...defined({ payload: body === undefined ? undefined : asBuffer(body) }),
  } as Parameters<typeof inject>[1]);
  return {
    status: response.statusCode,
    headers: response.headers as ServerAnswer['headers'],
    body: response.rawPayload,
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

const BOUNDARY = 'can-ota-simulation-3f9c1d';

/** RFC 7578, as a browser sends the form. */
function uploadForm({ ecu, version, name, image }: SignedImage): {
  readonly body: Uint8Array;
  readonly contentType: string;
} {
  const field = (key: string, value: string): string =>
    `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${key}"\r\n\r\n${value}\r\n`;
  const head =
    field('ecu', ecu) +
    field('version', version) +
    `--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="${name}"\r\n` +
    'content-type: application/octet-stream\r\n\r\n';
  const body = Buffer.concat([Buffer.from(head), image, Buffer.from(`\r\n--${BOUNDARY}--\r\n`)]);
  return { body, contentType: `multipart/form-data; boundary=${BOUNDARY}` };
}

/** `fetch` for programs that use it, without a network in between. */
export function fetchFrom(server: SimulatedServer): typeof fetch {
  return async (input, init = {}) => {
    const request: HttpRequest = {
      method: init.method === 'POST' ? 'POST' : 'GET',
      url: new URL(String(input)),
      headers: Object.fromEntries(new Headers(init.headers).entries()),
      ...(typeof init.body === 'string' ? { body: Buffer.from(init.body) } : {}),
    };
    const answer = await server.handle(request);
    if (answer === undefined) throw new TypeError('fetch failed');
    const headers = new Headers();
    for (const [name, value] of Object.entries(answer.headers)) {
      for (const each of [value ?? []].flat()) headers.append(name, each);
    }
    return new Response(Buffer.from(answer.body), { status: answer.status, headers });
  };
}
