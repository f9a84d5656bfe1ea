// HTTP between a client and a server in one process, with somebody in the middle who sees, keeps and changes what passes.

import inject from 'light-my-request';
import type { HttpRequest, HttpResponse, HttpTransport } from '../../src/link/http-transport.ts';

/** The server: something that answers requests of Node's kind. */
interface App {
  callback(): Parameters<typeof inject>[0];
}

export interface PassedRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface PassedAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
}

export class InjectedTransport implements HttpTransport {
  /** All that passed, in its order. */
  readonly passed: {
    readonly request: PassedRequest;
    readonly answer: PassedAnswer | undefined;
  }[] = [];
  /** What the server gets in place of a request; `drop`: it never arrives. */
  onRequest: (request: PassedRequest) => PassedRequest | 'drop' = (request) => request;
  /** What the client gets in place of an answer; `drop`: it never arrives. */
  onAnswer: (answer: PassedAnswer, request: PassedRequest) => PassedAnswer | 'drop' = (answer) =>
    answer;
  readonly #app: () => App;

  constructor(app: () => App) {
    this.#app = app;
  }

  /** As the attacker, who needs no client. */
  async send({ path, headers, body }: PassedRequest): Promise<PassedAnswer> {
    const response = await inject(this.#app().callback(), {
      method: body.length === 0 ? 'GET' : 'POST',
      url: path,
      headers: { ...headers },
      ...(body.length === 0 ? {} : { payload: Buffer.from(body) }),
    });
    return {
      status: response.statusCode,
      headers: response.headers as Record<string, string>,
      body: Uint8Array.from(response.rawPayload),
    };
  }

  async open({ url, headers, body = new Uint8Array() }: HttpRequest): Promise<HttpResponse> {
    const sent = { path: `${url.pathname}${url.search}`, headers: { ...headers }, body };
    const request = this.onRequest(sent);
    if (request === 'drop') {
      this.passed.push({ request: sent, answer: undefined });
      throw lost();
    }
    const answer = await this.send(request);
    this.passed.push({ request, answer });
    const told = this.onAnswer(answer, request);
    if (told === 'drop') throw lost();
    return {
      status: told.status,
      headers: told.headers,
      body: (async function* () {
        yield told.body;
      })(),
      destroy: () => {},
    };
  }
}

function lost(): Error {
  return Object.assign(new Error('the connection was lost'), { code: 'ECONNRESET' });
}
