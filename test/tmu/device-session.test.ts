// The session with the backend: both sides authenticate, tokens are renewed, and other devices get none.

import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { HttpBackend } from '../../src/tmu/http-backend.ts';
import {
  clientProof,
  deviceKeyOf,
  type SessionExchange,
  serverProof,
  sessionKeys,
} from '../../src/trust/device-session.ts';

import { problem } from './http-backend-support.ts';

const VIN = '1CANXTABENCH00001';
const SERIAL = 'CO-000001';
const HW_ID = '0123456789abcdef0123456789abcdef';
const secret = new Uint8Array(32).fill(7);
const key = deviceKeyOf(secret);

/** A server that knows one device, with the faults that a test sets. */
class Registry {
  readonly calls: string[] = [];
  lifeMs = 900_000;
  /** Changes the answer to a challenge or a proof. */
  change: (answer: Record<string, unknown>, path: string) => unknown = (answer) => answer;
  /** Statuses of the next requests with a token. */
  statuses: number[] = [];
  readonly tokens = new Set<string>();
  readonly #exchanges = new Map<string, SessionExchange>();
  #count = 0;
  nowMs = 0;

  async start() {
    const server = http.createServer((request, response) => {
      void this.#answer(request).then(({ status, body }) => {
        if (status >= 400) return problem(response, status, 'REFUSED');
        response.end(JSON.stringify(body));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const clock: Clock = { ...systemClock, nowMs: () => this.nowMs };
    const backend = new HttpBackend({
      server: url,
      vin: VIN,
      clock,
      identity: {
        device: { serial: SERIAL, hwId: HW_ID, deviceSecret: secret },
        random: seededRandom(1),
      },
    });
    return { url, backend, clock };
  }

  async #answer(request: http.IncomingMessage): Promise<{ status: number; body: unknown }> {
    const path = request.url!.split('?')[0]!;
    let text = '';
    for await (const chunk of request) text += chunk;
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, string>);
    const { authorization } = request.headers;
    this.calls.push(path);
    switch (path) {
      case '/auth/challenge': {
        const challenge = `c${++this.#count}`;
        const exchanged: SessionExchange = {
          serial: body.serial!,
          clientNonce: body.clientNonce!,
          serverNonce: toHex(seededRandom(this.#count).bytes(16)),
          challenge,
        };
        this.#exchanges.set(challenge, exchanged);
        const { serverNonce } = exchanged;
        const proof = serverProof(key, exchanged);
        const answer = { challenge, serverNonce, serverProof: proof, expiresAt: this.#expires() };
        return { status: 200, body: this.change(answer, path) };
      }
      case '/auth/response': {
        const exchanged = this.#exchanges.get(body.challenge!)!;
        this.#exchanges.delete(body.challenge!);
        if (clientProof(key, exchanged) !== body.clientProof) return { status: 401, body: {} };
        const { token } = sessionKeys(key, exchanged);
        this.tokens.add(token);
        const answer = { token, expiresAt: this.#expires() };
        return { status: 200, body: this.change(answer, path) };
      }
      default: {
        const known = authorization !== undefined && this.tokens.has(authorization.slice(7));
        const status = this.statuses.shift() ?? (known ? 200 : 401);
        return {
          status,
          body: {
            ...{ nonce: '0123456789abcdef0123456789abcdef', expiresInSeconds: 300 },
            ...{ vin: null, releases: [] },
          },
        };
      }
    }
  }

  #expires(): string {
    return new Date(systemClock.wallMs() + this.lifeMs).toISOString();
  }
}

const SESSION = ['/auth/challenge', '/auth/response'];

describe('a session', () => {
  it('is opened before the first request, and serves those that follow', async () => {
    const registry = new Registry();
    const { backend } = await registry.start();
    expect(await backend.nonce()).toMatchObject({ kind: 'nonce' });
    expect(await backend.latest([], undefined)).toMatchObject({ kind: 'releases' });
    expect(registry.calls).toEqual([...SESSION, '/get_nonce', '/latest_version']);
  });

  it('is shared by requests at the same time', async () => {
    const registry = new Registry();
    const { backend } = await registry.start();
    await Promise.all([backend.nonce(), backend.nonce(), backend.latest([], undefined)]);
    expect(registry.calls.filter((path) => path.startsWith('/auth'))).toEqual(SESSION);
  });

  it('is renewed before its end, and when the server has forgotten it', async () => {
    const registry = new Registry();
    const { backend } = await registry.start();
    await backend.nonce();
    registry.nowMs = registry.lifeMs - 20_000;
    await backend.nonce();
    expect(registry.calls.slice(3)).toEqual([...SESSION, '/get_nonce']);
    registry.calls.length = 0;
    registry.tokens.clear();
    expect(await backend.nonce()).toMatchObject({ kind: 'nonce' });
    expect(registry.calls).toEqual(['/get_nonce', ...SESSION, '/get_nonce']);
  });

  it('that is refused again and again is not asked for without end', async () => {
    const registry = new Registry();
    const { backend } = await registry.start();
    registry.statuses = [401, 401, 401, 401];
    expect(await backend.nonce()).toMatchObject({ code: 'HTTP_401', transient: false });
    expect(registry.calls).toEqual([...SESSION, '/get_nonce', ...SESSION, '/get_nonce']);
  });

  it('holds for metadata and downloads, but not for another server', async () => {
    const registry = new Registry();
    const { url, clock } = await registry.start();
    const seen: (string | undefined)[] = [];
    const images = http.createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.end('{}');
    });
    await new Promise<void>((resolve) => images.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      images.closeAllConnections();
      images.close();
    });
    const backend = new HttpBackend({
      server: url,
      images: `http://127.0.0.1:${(images.address() as AddressInfo).port}`,
      vin: VIN,
      clock,
      identity: {
        device: { serial: SERIAL, hwId: HW_ID, deviceSecret: secret },
        random: seededRandom(1),
      },
    });
    for (const repository of ['director', 'images'] as const) {
      const body = await backend.metadata(repository, 'root.json');
      if (body.kind !== 'body') throw new Error(JSON.stringify(body));
      for await (const _chunk of body.chunks);
    }
    expect(registry.calls).toEqual([...SESSION, `/director/${VIN}/metadata/root.json`]);
    expect(seen).toEqual([undefined]);
  });
});

describe('a server that is not ours', () => {
  it.each<[string, (answer: Record<string, unknown>, path: string) => unknown]>([
    ['without a proof', (answer) => ({ ...answer, serverProof: '' })],
    [
      'with the proof of a client',
      (answer) => ({
        ...answer,
        serverProof: clientProof(key, {
          serial: SERIAL,
          clientNonce: '00'.repeat(16),
          serverNonce: String(answer.serverNonce),
          challenge: String(answer.challenge),
        }),
      }),
    ],
    ['with a proof for another nonce', (answer) => ({ ...answer, serverNonce: 'ab'.repeat(16) })],
  ])('%s gets no proof of ours', async (_name, change) => {
    const registry = new Registry();
    const { backend } = await registry.start();
    registry.change = change;
    expect(await backend.nonce()).toMatchObject({
      kind: 'failed',
      code: 'SERVER_NOT_AUTHENTIC',
      transient: false,
    });
    expect(registry.calls).toEqual(['/auth/challenge']);
  });

  it('with another token than both can derive is not believed', async () => {
    const registry = new Registry();
    const { backend } = await registry.start();
    registry.change = (answer, path) =>
      path === '/auth/response' ? { ...answer, token: 'mine' } : answer;
    expect(await backend.nonce()).toMatchObject({ code: 'SERVER_NOT_AUTHENTIC' });
    expect(registry.calls).toEqual(SESSION);
  });

  it.each<[string, unknown]>([
    ['nothing', null],
    ['another form', { challenge: 5 }],
    ['a time that is none', { token: 'x', expiresAt: 'soon' }],
  ])('and its garbage (%s) is told as such', async (_name, garbage) => {
    const registry = new Registry();
    const { backend } = await registry.start();
    registry.change = () => garbage;
    expect(await backend.nonce()).toMatchObject({ kind: 'failed', code: 'FOREIGN_ANSWER' });
  });
});
