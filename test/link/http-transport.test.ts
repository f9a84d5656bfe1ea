// The HTTP client on any transport, on virtual time: servers that never answer, stop in the middle, or come too late.

import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { HttpClient, REQUEST_MS } from '../../src/link/http-client.ts';
import type { HttpRequest, HttpResponse, HttpTransport } from '../../src/link/http-transport.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { HttpBackend } from '../../src/tmu/http-backend.ts';

const VIN = '1CANXTABENCH00001';
const URL_ = new URL('http://server.test/x');
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

interface Answered {
  readonly response: HttpResponse;
  destroyed: number;
}

function answer(chunks: AsyncIterable<Uint8Array> | string[], status = 200): Answered {
  const made: Answered = {
    destroyed: 0,
    response: {
      status,
      headers: {},
      body: Array.isArray(chunks) ? each(chunks) : chunks,
      destroy: () => {
        made.destroyed++;
      },
    },
  };
  return made;
}

async function* each(chunks: readonly string[]): AsyncGenerator<Uint8Array, void, void> {
  for (const chunk of chunks) yield text(chunk);
}

const never = <T>(): Promise<T> => new Promise<T>(() => {});

class Scripted implements HttpTransport {
  readonly requests: HttpRequest[] = [];
  readonly #open: (request: HttpRequest) => Promise<HttpResponse>;

  constructor(open: (request: HttpRequest) => Promise<HttpResponse>) {
    this.#open = open;
  }

  open(request: HttpRequest): Promise<HttpResponse> {
    this.requests.push(request);
    return this.#open(request);
  }
}

function client(open: (request: HttpRequest) => Promise<HttpResponse>) {
  const clock = new VirtualClock();
  const transport = new Scripted(open);
  return {
    clock,
    transport,
    client: new HttpClient({ clock, headers: { 'x-a': 'b' }, transport }),
  };
}

describe('a request', () => {
  it('carries method, headers and body', async () => {
    const { transport, client: http } = client(async () => answer(['{"a":', '1}']).response);
    const got = await http.json(URL_, { method: 'POST', headers: { 'x-c': 'd' }, body: '{}' });
    expect(got).toMatchObject({ status: 200, body: Buffer.from('{"a":1}') });
    const [request] = transport.requests;
    expect(request).toMatchObject({
      method: 'POST',
      body: text('{}'),
      headers: { 'x-a': 'b', 'x-c': 'd', 'user-agent': 'can-ota-tmu' },
      timeout: { requestMs: REQUEST_MS },
    });
  });

  it('that is never answered ends by the clock that was handed in', async () => {
    const { clock, transport, client: http } = client(() => never());
    const got = await clock.within(REQUEST_MS, http.json(URL_, {}));
    expect(got).toMatchObject({ kind: 'failed', code: 'ETIMEDOUT', transient: true });
    expect(clock.nowMs()).toBe(REQUEST_MS);
    expect(transport.requests[0]!.signal!.aborted).toBe(true);
    expect(clock.pending()).toEqual([]);
  });

  it('whose body stops in the middle ends by the same clock', async () => {
    const stuck = answer(
      (async function* () {
        yield text('{');
        await never();
      })(),
    );
    const { clock, client: http } = client(async () => stuck.response);
    const got = await clock.within(REQUEST_MS, http.json(URL_, {}));
    expect(got).toMatchObject({ code: 'ETIMEDOUT' });
    expect(stuck.destroyed).toBe(1);
  });

  it('whose answer comes too late is let go', async () => {
    const late = answer(['{}']);
    const { clock, client: http } = client(
      () => new Promise((resolve) => clock.after('late', 30_000, () => resolve(late.response))),
    );
    expect(await clock.within(REQUEST_MS, http.json(URL_, {}))).toMatchObject({ kind: 'failed' });
    expect(late.destroyed).toBe(0);
    await clock.advance(20_000);
    expect(late.destroyed).toBe(1);
  });

  it('that nobody wants any more ends at once, whatever the transport does', async () => {
    const { clock, client: http } = client(() => never());
    const abort = new AbortController();
    clock.after('stop', 100, () => abort.abort());
    const got = await clock.within(200, http.json(URL_, { signal: abort.signal }));
    expect(got).toMatchObject({ kind: 'failed', code: 'ABORTED' });
    expect(await http.json(URL_, { signal: AbortSignal.abort() })).toMatchObject({
      code: 'ABORTED',
    });
  });

  it('leaves no timer and no listener behind, however it ends', async () => {
    const ends: (() => Promise<HttpResponse>)[] = [
      async () => answer(['{}']).response,
      async () => answer(['x'.repeat(2 * 1024 * 1024)]).response,
      () => Promise.reject(Object.assign(new Error('no'), { code: 'ECONNREFUSED' })),
      async () =>
        answer(
          (async function* () {
            yield text('{');
            throw Object.assign(new Error('cut'), { code: 'ECONNRESET' });
          })(),
        ).response,
    ];
    const codes: unknown[] = [];
    for (const end of ends) {
      const { clock, client: http } = client(end);
      const abort = new AbortController();
      const { signal } = abort;
      const got = await http.json(URL_, { signal });
      codes.push('kind' in got ? got.code : got.status);
      expect(clock.pending()).toEqual([]);
      expect(getEventListeners(signal, 'abort')).toEqual([]);
    }
    expect(codes).toEqual([200, 'FOREIGN_ANSWER', 'ECONNREFUSED', 'ECONNRESET']);
  });
});

describe('a body that is streamed', () => {
  it('takes as long as it takes, and its own signal ends it', async () => {
    const { clock, transport, client: http } = client(async () => answer(['a', 'b']).response);
    const abort = new AbortController();
    const opened = await http.open(URL_, { signal: abort.signal });
    await clock.advance(10 * REQUEST_MS);
    expect(transport.requests[0]!.signal!.aborted).toBe(false);
    expect(transport.requests[0]!.timeout!.requestMs).toBeUndefined();
    abort.abort();
    expect(transport.requests[0]!.signal!.aborted).toBe(true);
    if ('destroy' in opened) opened.destroy();
  });
});

describe('the backend', () => {
  const backend = (open: (request: HttpRequest) => Promise<HttpResponse>) => {
    const clock = new VirtualClock();
    const transport = new Scripted(open);
    return {
      transport,
      backend: new HttpBackend({ server: 'http://server.test', vin: VIN, clock, transport }),
    };
  };
  const status = { vin: VIN, campaign: 'c1', state: 'staging' };

  it('tells where a campaign is and hears orders', async () => {
    const cancel = { order: 'o1', by: 'olga', reason: 'no' };
    const { backend: http, transport } = backend(
      async () => answer([JSON.stringify({ cancel, more: 1 })]).response,
    );
    expect(await http.campaign(status)).toEqual({ kind: 'orders', cancel, askAgain: null });
    expect(transport.requests[0]).toMatchObject({ method: 'POST' });
    expect(transport.requests[0]!.url.pathname).toBe('/vehicle/campaign');
    expect(JSON.parse(new TextDecoder().decode(transport.requests[0]!.body))).toEqual(status);
  });

  it('that wants nothing, knows no campaigns, or sends rubbish', async () => {
    const of = async (body: string, code = 200) =>
      backend(async () => answer([body], code).response).backend.campaign(status);
    expect(await of('{"cancel":null}')).toEqual({ kind: 'orders', cancel: null, askAgain: null });
    expect(await of('{}', 404)).toMatchObject({ code: 'FOREIGN_ANSWER', transient: true });
    expect(await of('{"cancel":{"order":""}}')).toMatchObject({ code: 'FOREIGN_ANSWER' });
    expect(await of('{}')).toMatchObject({ code: 'FOREIGN_ANSWER' });
  });
});
