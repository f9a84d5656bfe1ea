// The network between a TMU and its backend, in one process: the server's real application with faults in front of it.

import { flipBits } from '../core/bytes.ts';
import { type Clock, sleep } from '../core/clock.ts';
import type { Random } from '../core/random.ts';
import type { HttpRequest, HttpResponse, HttpTransport } from '../link/http-transport.ts';

/** The complete answer, before network faults change it. */
export interface ServerAnswer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Uint8Array;
}

/** The server at the other end. */
export interface NetworkServer {
  /** Undefined: the server does not listen. It changes with every restart, which breaks older connections. */
  readonly incarnation: number | undefined;
  /** Takes no virtual time. Undefined: the server stopped meanwhile. */
  handle(request: HttpRequest): Promise<ServerAnswer | undefined>;
}

/** One request and its answer. */
export interface HttpExchange {
  /** Number of the exchange, from 1, over all lives of the TMU. */
  readonly n: number;
  readonly atMs: number;
  readonly method: string;
  /** Path without query. */
  readonly path: string;
}

/** Fault of an exchange. Shares refer to the answer's body, from 0 to 1. */
export type NetworkFault =
  /** The request or the answer never arrives, without an error. */
  | { readonly kind: 'drop'; readonly what: 'request' | 'answer' }
  /** The head of the answer comes this much later. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** The connection breaks; without `share`, before there is an answer. */
  | { readonly kind: 'cut'; readonly share?: number }
  /** The body ends early but looks complete. */
  | { readonly kind: 'truncate'; readonly share: number }
  /** `flip`: some bits of the body are wrong. `portal`: the page of a captive portal comes instead. */
  | { readonly kind: 'garbage'; readonly how: 'flip' | 'portal' }
  /** The answer comes extremely slowly. */
  | { readonly kind: 'drip'; readonly bytesPerSecond: number };

export interface SimulatedNetworkOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly server: NetworkServer;
  /** Latency of one direction; drawn between the two for each exchange. 5 to 40 ms by default. */
  readonly latencyMs?: readonly [number, number];
  /** 2 MB/s by default. */
  readonly bytesPerSecond?: number;
}

const LATENCY_MS = [5, 40] as const;
const BYTES_PER_SECOND = 2_000_000;
/** Bytes that arrive in one piece. */
const CHUNK_BYTES = 8192;
const PORTAL = new TextEncoder().encode(
  '<!doctype html><title>Welcome to the parking garage</title>',
);

/** Fails like a socket: the client decides by `code`. */
class NetworkError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export class SimulatedNetwork implements HttpTransport {
  readonly #options: SimulatedNetworkOptions;
  #exchanges = 0;
  #covered = true;
  #waiting: (() => void)[] = [];
  /** Called once for each exchange, before it begins; undefined: no fault. */
  fault: ((exchange: HttpExchange) => NetworkFault | undefined) | undefined;

  constructor(options: SimulatedNetworkOptions) {
    this.#options = options;
  }

  /** Number of exchanges that have begun. */
  get exchanges(): number {
    return this.#exchanges;
  }

  /** Whether there is coverage. Without it nothing can be reached, and exchanges under way wait. */
  get covered(): boolean {
    return this.#covered;
  }

  set covered(on: boolean) {
    this.#covered = on;
    if (!on) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }

  async open(request: HttpRequest): Promise<HttpResponse> {
    const { clock, random, server } = this.#options;
    const { url, method, signal } = request;
    const exchange = { n: ++this.#exchanges, atMs: clock.nowMs(), method, path: url.pathname };
    const fault = this.fault?.(exchange);
    const [least, most] = this.#options.latencyMs ?? LATENCY_MS;
    const latencyMs = least + (most - least) * random.fraction();
    const wait = (ms: number): Promise<void> => this.#wait(ms, signal);
    await this.#sleep(latencyMs, signal);
    if (!this.#covered) {
      throw new NetworkError('EAI_AGAIN', `no network to look up ${url.hostname}`);
    }
    if (fault?.kind === 'drop' && fault.what === 'request') return untilAborted(signal);
    const { incarnation } = server;
    if (incarnation === undefined) throw new NetworkError('ECONNREFUSED', `refused by ${url.host}`);
    const answer = await server.handle(request);
    if (answer === undefined) throw hungUp();
    const connection: Connection = { alive: () => server.incarnation === incarnation };
    await wait(latencyMs + (fault?.kind === 'delay' ? fault.ms : 0));
    if (fault?.kind === 'drop') return untilAborted(signal);
    if (fault?.kind === 'cut' && fault.share === undefined) throw hungUp();
    if (!connection.alive()) throw hungUp();
    return this.#respond(answer, fault, connection, signal);
  }

  #respond(
    answer: ServerAnswer,
    fault: NetworkFault | undefined,
    connection: Connection,
    signal: AbortSignal | undefined,
  ): HttpResponse {
    const whole = answer.body;
    if (fault?.kind === 'garbage' && fault.how === 'portal') {
      const headers = { 'content-type': 'text/html', 'content-length': String(PORTAL.length) };
      const body = this.#chunks(PORTAL, 'end', BYTES_PER_SECOND, connection, signal);
      return { status: 200, headers, body, destroy: () => {} };
    }
    const share = fault?.kind === 'cut' || fault?.kind === 'truncate' ? (fault.share ?? 0) : 1;
    const part = whole.subarray(0, Math.floor(share * whole.length));
    const bytes = fault?.kind === 'garbage' ? flipped(part, this.#options.random) : part;
    const speed =
      fault?.kind === 'drip'
        ? fault.bytesPerSecond
        : (this.#options.bytesPerSecond ?? BYTES_PER_SECOND);
    const end = fault?.kind === 'cut' ? 'broken' : 'end';
    return {
      status: answer.status,
      headers: answer.headers,
      body: this.#chunks(bytes, end, speed, connection, signal),
      destroy: () => {},
    };
  }

  async *#chunks(
    bytes: Uint8Array,
    end: 'end' | 'broken',
    bytesPerSecond: number,
    connection: Connection,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, void> {
    // Data arrives several times a second, however slow the connection is.
    const most = Math.max(1, Math.min(CHUNK_BYTES, Math.ceil(bytesPerSecond / 4)));
    for (let at = 0; at < bytes.length; at += most) {
      const chunk = bytes.subarray(at, at + most);
      await this.#wait((1000 * chunk.length) / bytesPerSecond, signal);
      if (!connection.alive()) throw hungUp();
      yield chunk;
    }
    if (end === 'broken') throw hungUp();
  }

  async #sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const end = await sleep(this.#options.clock, 'network', ms, signal);
    if (end === 'aborted') throw aborted();
  }

  /** Waits for `ms`, and then until there is coverage. */
  async #wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    await this.#sleep(ms, signal);
    if (this.#covered) return;
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push(resolve);
      signal?.addEventListener('abort', () => reject(aborted()), { once: true });
    });
  }
}

interface Connection {
  /** Whether the server has not restarted since the exchange began. */
  alive(): boolean;
}

function hungUp(): NetworkError {
  return new NetworkError('ECONNRESET', 'the other side hung up');
}

function aborted(): NetworkError {
  return new NetworkError('ABORT_ERR', 'the request was aborted');
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal?.aborted) reject(aborted());
    signal?.addEventListener('abort', () => reject(aborted()), { once: true });
  });
}

/** Flips at least one bit, about one bit in every hundredth byte. */
function flipped(bytes: Uint8Array, random: Random): Uint8Array {
  const wrong = bytes.slice();
  if (wrong.length === 0) return wrong;
  for (let left = 1 + Math.floor(wrong.length / 100); left > 0; left--) {
    const at = Math.floor(random.fraction() * wrong.length);
    flipBits(wrong, at, 1 << Math.floor(random.fraction() * 8));
  }
  return wrong;
}
