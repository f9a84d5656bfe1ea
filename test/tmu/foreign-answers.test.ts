// Every step of the vehicle with every kind of foreign answer: it counts as a network fault, and as nothing more.

import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import type { WithAnswer } from '../../src/contract/endpoint.ts';
import { otaCheck } from '../../src/contract/endpoints/small-devices/check.ts';
import { otaChunk } from '../../src/contract/endpoints/small-devices/chunk.ts';
import { vehicleSync } from '../../src/contract/endpoints/vehicles/sync.ts';
import { telemetryUpload } from '../../src/contract/endpoints/vehicles/telemetry-upload.ts';
import { toHex } from '../../src/core/bytes.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { MemoryStorage } from '../../src/core/memory-storage.ts';
import { HttpClient } from '../../src/link/http-client.ts';
import type { HttpRequest, HttpResponse, HttpTransport } from '../../src/link/http-transport.ts';
import { SealedClient } from '../../src/link/sealed-client.ts';
import { SealedState } from '../../src/link/sealed-state.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { downloadImage } from '../../src/tmu/download.ts';
import { HttpBackend } from '../../src/tmu/http-backend.ts';
import { VehicleImageStore } from '../../src/tmu/image-store.ts';
import { fetchMetadata } from '../../src/tmu/uptane/metadata-client.ts';
import { MOCK_NOW_MS, mockRepositories } from '../support/mock-repositories.ts';
import { bytesOf, sha256 } from './support.ts';

const VIN = '1CANXTABENCH00001';
const SERVER = 'http://server.test';
const never = new AbortController().signal;
const image = bytesOf(2000);
const release = { file: 'EDT-2.bin', size: image.length, sha256: sha256(image) };
const report = { vin: VIN, outcome: 'SUCCESS', ecus: [] };
const mock = mockRepositories({ vin: VIN });
const time = { signed: { time: '2026-01-01T00:00:00Z', nonces: [] }, signatures: [] };

interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array | string;
}

/** The backend's answer at this step. */
type Right = Answer & { readonly body: Uint8Array };

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const json = (value: unknown): Right => ({
  status: 200,
  headers: { 'content-type': 'application/json; charset=utf-8' },
  body: text(JSON.stringify(value)),
});
const octets = (body: Uint8Array): Right => ({
  status: 200,
  headers: { 'content-type': 'application/octet-stream', 'content-length': String(body.length) },
  body,
});
const PAGE =
  '<!DOCTYPE html><html><title>Welcome to the hotel</title>Please accept the terms.</html>';
const html = { 'content-type': 'text/html; charset=utf-8' };

/** Undefined: at this step the answer cannot be told from one of our backend. */
const kinds: Readonly<Record<string, (right: Right, step: string) => Answer | undefined>> = {
  'a page': () => ({ status: 200, headers: html, body: PAGE }),
  'a long page': () => ({ status: 200, headers: html, body: PAGE + ' '.repeat(20_000) }),
  'a page that says JSON': () => ({
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: PAGE,
  }),
  'a page of no type': () => ({ status: 200, body: PAGE }),
  'a long page of no type': () => ({ status: 200, body: PAGE + ' '.repeat(20_000) }),
  'a page with a length of no type': () => ({
    status: 200,
    headers: { 'content-length': String(PAGE.length) },
    body: PAGE,
  }),
  'nothing, with 200': () => ({ status: 200 }),
  'nothing, with 200 and JSON': () => ({
    status: 200,
    headers: { 'content-type': 'application/json', 'content-length': '0' },
  }),
  'nothing, with 204': () => ({ status: 204 }),
  'a redirection': () => ({ status: 302, headers: { location: 'http://portal.test/login' } }),
  'a lasting redirection with a page': () => ({
    status: 308,
    headers: { ...html, location: '/login' },
    body: PAGE,
  }),
  'network authentication required': () => ({ status: 511, headers: html, body: PAGE }),
  'bad gateway': () => ({ status: 502, headers: html, body: PAGE }),
  'unavailable for an hour': () => ({ status: 503, headers: { 'retry-after': '3600' } }),
  'bad request': () => ({ status: 400, headers: { 'content-type': 'text/plain' }, body: 'no' }),
  'log in first': () => ({ status: 401, headers: html, body: PAGE }),
  'pay first': () => ({ status: 402, headers: html, body: PAGE }),
  forbidden: () => ({ status: 403, headers: html, body: PAGE }),
  'not found': () => ({ status: 404, headers: html, body: PAGE }),
  'too large for a proxy': () => ({ status: 413, headers: html, body: PAGE }),
  'not modified, unasked': () => ({ status: 304 }),
  'a part, unasked': (right) => ({ ...right, status: 206 }),
  'JSON of somebody else': () => json({ error: 'login_required', url: 'http://portal.test' }),
  'long JSON of somebody else': () => json({ error: 'x'.repeat(20_000) }),
  'a list': () => json([]),
  null: () => json(null),
  'a word': () => json('ok'),
  'a refusal of somebody else': () => ({
    status: 403,
    headers: { 'content-type': 'application/problem+json' },
    body: JSON.stringify({ type: 'https://portal.test/auth', title: 'Log in', status: 403 }),
  }),
  'a refusal of somebody else with a code': () => ({
    status: 404,
    headers: { 'content-type': 'application/problem+json' },
    body: JSON.stringify({
      type: 'about:blank',
      title: 'x',
      detail: 'x',
      status: 404,
      code: 'e-7',
    }),
  }),
  'a refusal that is for another status': () => ({
    status: 400,
    headers: { 'content-type': 'application/problem+json' },
    body: JSON.stringify({ type: 'about:blank', title: 'x', detail: 'x', status: 403, code: 'NO' }),
  }),
  'JSON as a refusal': () => ({ ...json({ code: 'NOT_FOUND', status: 404 }), status: 404 }),
  'a refusal with 200': () => ({
    status: 200,
    headers: { 'content-type': 'application/problem+json' },
    body: JSON.stringify({ type: 'about:blank', title: 'x', detail: 'x', status: 403, code: 'NO' }),
  }),
  'the right one, compressed': (right) => ({
    ...right,
    headers: { ...right.headers, 'content-encoding': 'gzip' },
    body: gzipSync(right.body),
  }),
  'the right one, said to be compressed': (right) => ({
    ...right,
    headers: { ...right.headers, 'content-encoding': 'br' },
  }),
  'the right one, cut': (right) => {
    const body = right.body.subarray(0, right.body.length >> 1);
    // An answer without a body cannot be cut.
    if (body.length === 0) return undefined;
    const { 'content-length': _length, ...headers } = right.headers ?? {};
    return { ...right, headers, body };
  },
  'the right one, as a page': (right) =>
    right.status === 204 ? undefined : { ...right, headers: { ...right.headers, ...html } },
  'the right one, in another character set': (right, step) =>
    // Bytes have none.
    step === 'image' || right.status === 204
      ? undefined
      : {
          ...right,
          headers: { ...right.headers, 'content-type': 'application/json; charset=utf-16le' },
          body: Buffer.from(new TextDecoder().decode(right.body), 'utf16le'),
        },
};

class Network implements HttpTransport {
  readonly #answer: (request: HttpRequest) => Answer;
  readonly paths: string[] = [];

  constructor(answer: (request: HttpRequest) => Answer) {
    this.#answer = answer;
  }

  async open(request: HttpRequest): Promise<HttpResponse> {
    this.paths.push(request.url.pathname);
    const { status, headers = {}, body = '' } = this.#answer(request);
    const bytes = typeof body === 'string' ? text(body) : body;
    return {
      status,
      headers,
      body: (async function* () {
        for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
      })(),
      destroy: () => {},
    };
  }
}

interface Step {
  readonly right: Right;
  readonly run: (backend: HttpBackend, clock: VirtualClock) => Promise<{ readonly kind: string }>;
}

function metadataStep(repository: 'director' | 'images', file: string): Step {
  const found = mock.answer(repository, { role: '', file, maxBytes: 1e9, optional: true });
  if (found.kind !== 'bytes') throw new Error(`no ${file}`);
  const right = { ...json(null), body: found.bytes };
  return {
    right,
    run: (backend, clock) =>
      fetchMetadata({ backend, clock, random: seededRandom(), signal: never }, repository, {
        role: 'x',
        file,
        maxBytes: 16_384,
        optional: file.endsWith('root.json'),
      }),
  };
}

const steps: Readonly<Record<string, Step>> = {
  'latest version': {
    right: json({ vin: null, releases: [] }),
    run: (backend) => backend.latest(['EDT'], undefined),
  },
  nonce: {
    right: json({ nonce: '0123456789abcdef'.repeat(2), expiresInSeconds: 300 }),
    run: (backend) => backend.nonce(),
  },
  image: {
    right: octets(image),
    run: (backend, clock) =>
      downloadImage({
        // The nonce is right; the image is wrong.
        backend: Object.assign(Object.create(backend), {
          nonce: async () => ({ kind: 'nonce', nonce: 'n' }),
          download: backend.download.bind(backend),
        }),
        images: new VehicleImageStore(new MemoryStorage()),
        release,
        clock,
        random: seededRandom(),
        signal: never,
      }),
  },
  'check-in': {
    right: json({
      ...{ time, status: 'up-to-date' },
      director: { root: 1, timestamp: 1, snapshot: 1, targets: 1 },
    }),
    run: (backend) => backend.checkin({ vin: VIN, manifest: {}, nonces: [] }),
  },
  time: { right: json({ time }), run: (backend) => backend.time([]) },
  'state of the campaign': {
    right: json({ cancel: null }),
    run: (backend) => backend.campaign({ vin: VIN, campaign: 'c1', state: 'staging' }),
  },
  report: {
    right: {
      status: 204,
      headers: { 'x-checksum-sha256': sha256(text(JSON.stringify(report))) },
      body: new Uint8Array(),
    },
    run: (backend) => backend.report(report),
  },
  'Root of the Director': metadataStep('director', '1.root.json'),
  'Timestamp of the Director': metadataStep('director', 'timestamp.json'),
  'Snapshot of the images': metadataStep('images', '1.snapshot.json'),
  'Targets of the images': metadataStep('images', '1.targets.json'),
};

function world(answer: (request: HttpRequest) => Answer) {
  const clock = new VirtualClock(MOCK_NOW_MS);
  const network = new Network(answer);
  return {
    clock,
    network,
    backend: new HttpBackend({ server: SERVER, vin: VIN, clock, transport: network }),
  };
}

describe.each(Object.entries(steps))('%s', (name, { right, run }) => {
  it('is understood as our backend sends it', async () => {
    const { clock, backend } = world(() => right);
    const answer = await clock.within(60_000, run(backend, clock));
    expect(answer.kind).not.toBe('failed');
  });

  it.each(Object.keys(kinds))('%s is the network', async (kind) => {
    const foreign = kinds[kind]!(right, name);
    if (foreign === undefined) return;
    const { clock, backend } = world(() => foreign);
    const answer = await clock.within(600_000, run(backend, clock));
    expect(answer).toMatchObject({ kind: 'failed', transient: true });
    const { code } = answer as unknown as { code: string };
    expect(['FOREIGN_ANSWER', 'REDIRECT', 'TOO_SHORT', `HTTP_${foreign.status}`]).toContain(code);
    if (foreign.status < 500) expect(code).not.toMatch(/^HTTP_/);
  });
});

it('a refusal of ours is one, and says why', async () => {
  const body = { type: 'about:blank', title: 'Forbidden', status: 403, detail: 'no', code: 'ROLE' };
  const headers = { 'content-type': 'application/problem+json' };
  const { backend } = world(() => ({ status: 403, headers, body: JSON.stringify(body) }));
  expect(await backend.nonce()).toMatchObject({ code: 'HTTP_403', transient: false });
});

it('a plain web server may say in its own words that there is no next Root', async () => {
  const clock = new VirtualClock(MOCK_NOW_MS);
  const transport = new Network(() => ({ status: 404, headers: html, body: PAGE }));
  const images = 'http://images.test';
  const backend = new HttpBackend({ server: SERVER, images, vin: VIN, clock, transport });
  expect(await backend.metadata('images', '2.root.json')).toEqual({ kind: 'missing' });
  expect(await backend.metadata('images', 'timestamp.json')).toMatchObject({ kind: 'failed' });
  expect(await backend.metadata('director', '2.root.json')).toMatchObject({ kind: 'failed' });
});

it('it may also send an image without a type, or as plain text', async () => {
  for (const type of ['', 'text/plain', 'binary/octet-stream', 'application/macbinary']) {
    const headers = { 'content-type': type, 'content-length': String(image.length) };
    const { clock, backend } = world(() => ({ status: 200, headers, body: image }));
    const answer = await clock.within(1000, steps.image!.run(backend, clock));
    expect(answer).toEqual({ kind: 'done' });
  }
});

it('nothing is asked for in another coding', async () => {
  const seen: HttpRequest[] = [];
  const { backend } = world((request) => {
    seen.push(request);
    return steps.nonce!.right;
  });
  await backend.nonce();
  expect(seen[0]!.headers['accept-encoding']).toBe('identity');
});

describe('a sealed request', () => {
  async function sealed(answer: (request: HttpRequest) => Answer) {
    const clock = new VirtualClock(MOCK_NOW_MS);
    const storage = new MemoryStorage();
    const state = await SealedState.open('CO-1', storage);
    const session = {
      id: '0'.repeat(32),
      secret: new Uint8Array(32),
      serial: 'CO-1',
      suite: 'chacha20-poly1305',
    } as const;
    await state.begin(session, MOCK_NOW_MS + 3_600_000, await state.count());
    const network = new Network(answer);
    const client = await SealedClient.open({
      client: new HttpClient({ clock, headers: {}, transport: network }),
      base: new URL(`${SERVER}/`),
      device: { serial: 'CO-1', hwId: 'tmu-1', deviceSecret: new Uint8Array(32).fill(7) },
      storage,
      clock,
      random: seededRandom(),
      logger: silentLogger,
    });
    return { client, network };
  }

  const right: Right = { ...octets(image), body: image };
  const answers = Object.keys(kinds).flatMap((kind) => {
    const foreign = kinds[kind]!(right, 'image');
    return foreign === undefined ? [] : [[kind, foreign] as const];
  });

  it.each(answers)('%s is the network, and no word of the backend', async (_kind, foreign) => {
    const { client, network } = await sealed(() => foreign);
    const body = text('{}');
    const asked: readonly WithAnswer<z.ZodType>[] = [vehicleSync, telemetryUpload, otaCheck];
    for (const endpoint of asked) {
      const answer = await client.post(endpoint.path, body);
      expect(answer).toMatchObject({ kind: 'failed', transient: true });
      expect(answer).not.toHaveProperty('sealed');
      expect(await client.json(endpoint, {})).toMatchObject({ kind: 'failed' });
    }
    // The session stays: our backend has not refused it.
    expect(network.paths.filter((path) => path.startsWith('/auth/'))).toEqual([]);
  });

  it.each(answers)('for records: %s brings none', async (kind, foreign) => {
    const { client } = await sealed(() => foreign);
    const answer = await client.open(otaChunk.path, text('{}'));
    // The HMAC of each record is checked.
    if (kind === 'the right one, cut') return expect(answer.kind).toBe('open');
    expect(answer).toMatchObject({ kind: 'failed', transient: true });
  });
});

describe('the log-in of a device', () => {
  const challenge = { challenge: 'c', serverNonce: toHex(new Uint8Array(16)), serverProof: 'p' };

  it.each(Object.keys(kinds))('%s is the network', async (kind) => {
    const foreign = kinds[kind]!(json(challenge), 'log-in')!;
    const clock = new VirtualClock(MOCK_NOW_MS);
    const backend = new HttpBackend({
      server: SERVER,
      vin: VIN,
      clock,
      transport: new Network(() => foreign),
      identity: {
        device: { serial: 'CO-1', hwId: 'tmu-1', deviceSecret: new Uint8Array(32).fill(7) },
        random: seededRandom(),
      },
    });
    const answer = await backend.nonce();
    expect(answer).toMatchObject({ kind: 'failed', transient: true });
    expect(answer).not.toMatchObject({ code: 'SERVER_NOT_AUTHENTIC' });
  });
});
