// The HTTP side against servers that behave, and against servers that do not. Loopback only.

import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { InputError } from '../../src/core/errors.ts';
import { systemRandom } from '../../src/core/random.ts';
import { DiskStorage } from '../../src/core/storage.ts';
import { downloadImage } from '../../src/tmu/download.ts';
import { HttpBackend } from '../../src/tmu/http-backend.ts';
import { ImageStore } from '../../src/tmu/image-store.ts';
import { startBackend } from '../server/support.ts';
import { bytesOf, sha256 } from './support.ts';

const VIN = '1CANXTABENCH00001';
type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void;

async function serve(handler: Handler, requestMs = 5000, clock: Clock = systemClock) {
  const server = http.createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    backend: new HttpBackend({ server: url, vin: VIN, clock, requestMs }),
  };
}

const json = (value: unknown): Handler => {
  return (_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.setHeader('etag', '"e1"');
    response.end(typeof value === 'string' ? value : JSON.stringify(value));
  };
};

const release = {
  ecu: 'EDT',
  version: '2.0.0',
  file: 'EDT-2.0.0-0123456789ab.bin',
  size: 100,
  sha256: 'a'.repeat(64),
  notes: 'n',
};

describe('the latest version', () => {
  it('is asked for with the VIN, each ECU, and the ETag', async () => {
    let seen: http.IncomingMessage | undefined;
    const { backend } = await serve((request, response) => {
      seen = request;
      json({ vin: VIN, releases: [{ ...release, url: '/x', future: 1 }] })(request, response);
    });
    expect(await backend.latest(['EDT', 'INV'], '"old"')).toEqual({
      kind: 'releases',
      etag: '"e1"',
      releases: [release],
    });
    expect(seen!.url).toBe(`/latest_version?vin=${VIN}&ecu=EDT&ecu=INV`);
    expect(seen!.headers['if-none-match']).toBe('"old"');
    expect(seen!.headers['x-vehicle-vin']).toBe(VIN);
  });

  it('unchanged is 304', async () => {
    const { backend } = await serve((_request, response) => {
      response.statusCode = 304;
      response.end();
    });
    expect(await backend.latest([], '"e1"')).toEqual({ kind: 'not-modified' });
  });

  it.each<[string, unknown]>([
    ['no JSON', '<html>Please log in to the hotel network</html>'],
    ['cut JSON', '{"releases":[{"ecu":"EDT"'],
    ['another form', { releases: 'none' }],
    ['a negative size', { releases: [{ ...release, size: -1 }] }],
    ['a file name that is a path', { releases: [{ ...release, file: '../../etc/passwd' }] }],
    ['a hash that is none', { releases: [{ ...release, sha256: 'XYZ' }] }],
    ['nothing', ''],
  ])('garbage (%s) is told as such', async (_name, body) => {
    const { backend } = await serve(json(body));
    const answer = await backend.latest([], undefined);
    expect(answer).toMatchObject({ kind: 'failed', code: 'GARBAGE', transient: true });
  });

  it('without end is not read to its end', async () => {
    let written = 0;
    const { backend } = await serve((_request, response) => {
      const more = (): void => {
        while (!response.destroyed) {
          written += 65_536;
          if (!response.write(' '.repeat(65_536))) break;
        }
      };
      response.on('drain', more);
      more();
    });
    expect(await backend.latest([], undefined)).toMatchObject({
      kind: 'failed',
      code: 'GARBAGE',
      reason: expect.stringContaining('more than 1048576 bytes'),
    });
    expect(written).toBeLessThan(64 * 1024 * 1024);
  });

  it('from a server that is silent ends in time', async () => {
    const { backend } = await serve(() => {}, 200);
    expect(await backend.latest([], undefined)).toMatchObject({
      kind: 'failed',
      code: 'ETIMEDOUT',
      transient: true,
    });
  });

  it('from a server that is not there names it', async () => {
    const { backend, url } = await serve((request) => request.socket.destroy());
    expect(await backend.latest([], undefined)).toMatchObject({ code: 'ECONNRESET' });
    const gone = new HttpBackend({ server: 'http://127.0.0.1:9', vin: VIN, clock: systemClock });
    const answer = await gone.latest([], undefined);
    expect(answer).toMatchObject({ code: 'ECONNREFUSED', transient: true });
    expect(answer.kind === 'failed' && answer.reason).toContain(
      'http://127.0.0.1:9/latest_version',
    );
    expect(url).not.toContain(':9/');
  });

  it('refused with 503 or 429 carries Retry-After, as seconds or as a date', async () => {
    const date = new Date(systemClock.wallMs() + 120_000).toUTCString();
    const busy = (retryAfter: string) =>
      serve((_request, response) => {
        response.statusCode = 503;
        response.setHeader('retry-after', retryAfter);
        response.end(JSON.stringify({ code: 'BUSY', title: 'come back later' }));
      });
    const answerTo = async (retryAfter: string) => {
      const { backend } = await busy(retryAfter);
      return backend.latest([], undefined);
    };
    expect(await answerTo('7')).toMatchObject({
      code: 'HTTP_503',
      transient: true,
      retryAfterMs: 7000,
      reason: expect.stringContaining('503 (BUSY: come back later)'),
    });
    const dated = await answerTo(date);
    expect(dated.kind === 'failed' && dated.retryAfterMs).toBeGreaterThan(110_000);
    expect(await answerTo('soon')).not.toHaveProperty('retryAfterMs');
    // Ten years of patience would be a freeze attack.
    expect(await answerTo('315360000')).toMatchObject({ retryAfterMs: 3_600_000 });
  });

  it('after 429 is not asked for again on any path before its time', async () => {
    let requests = 0;
    let nowMs = 0;
    const handler: Handler = (request, response) => {
      requests++;
      if (request.url!.startsWith('/get_nonce')) {
        return json({ nonce: '0123456789abcdef0123456789abcdef' })(request, response);
      }
      response.statusCode = 429;
      response.setHeader('retry-after', '60');
      response.end();
    };
    const { backend } = await serve(handler, 5000, { ...systemClock, nowMs: () => nowMs });
    expect(await backend.latest([], undefined)).toMatchObject({ code: 'HTTP_429' });
    const early = await backend.nonce();
    expect(early).toMatchObject({ code: 'HTTP_429', transient: true, retryAfterMs: 60_000 });
    nowMs = 59_000;
    expect(await backend.nonce()).toMatchObject({ retryAfterMs: 1000 });
    expect(requests).toBe(1);
    nowMs = 60_000;
    expect(await backend.nonce()).toMatchObject({ kind: 'nonce' });
  });

  it('is not looked for elsewhere when the server redirects', async () => {
    const { backend } = await serve((_request, response) => {
      response.statusCode = 302;
      response.setHeader('location', 'http://127.0.0.1:9/');
      response.end();
    });
    expect(await backend.latest([], undefined)).toMatchObject({
      code: 'HTTP_302',
      transient: false,
    });
  });

  it('stops at the signal', async () => {
    const { backend } = await serve(() => {});
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 20);
    expect(await backend.latest([], undefined, abort.signal)).toMatchObject({ kind: 'failed' });
  });

  it('as any JSON is a value, never a throw', async () => {
    let body = '';
    const { backend } = await serve((_request, response) => response.end(body));
    const mutated = fc.oneof(
      fc.json(),
      fc.string(),
      fc.tuple(fc.nat(200), fc.string({ maxLength: 3 })).map(([at, text]) => {
        const whole = JSON.stringify({ releases: [release] });
        return whole.slice(0, at % whole.length) + text + whole.slice((at % whole.length) + 1);
      }),
    );
    await fc.assert(
      fc.asyncProperty(mutated, async (text) => {
        body = text;
        const answer = await backend.latest([], undefined);
        expect(['releases', 'failed']).toContain(answer.kind);
        const nonce = await backend.nonce();
        expect(['nonce', 'failed']).toContain(nonce.kind);
      }),
      { numRuns: 150, seed: 1 },
    );
  });
});

it('an address that is none is refused with what is expected', () => {
  for (const server of ['nonsense', 'ftp://x', '']) {
    expect(() => new HttpBackend({ server, vin: VIN, clock: systemClock })).toThrow(InputError);
  }
});

async function store(): Promise<{ storage: DiskStorage; images: ImageStore }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'can-ota-tmu-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const storage = await DiskStorage.open(folder);
  return { storage, images: new ImageStore(storage) };
}

describe('downloads over real connections', () => {
  const image = bytesOf(300_000);
  const digest = sha256(image);

  /** Answers the nonce; everything else is the test's. */
  async function download(handler: Handler, limits?: { stallMs: number; leastBytes: number }) {
    const ranges: (string | undefined)[] = [];
    const { backend } = await serve((request, response) => {
      if (request.url!.startsWith('/get_nonce')) {
        return json({ nonce: '0123456789abcdef0123456789abcdef' })(request, response);
      }
      ranges.push(request.headers.range);
      handler(request, response);
    });
    const { storage, images } = await store();
    const result = await downloadImage({
      backend,
      images,
      release: { file: release.file, size: image.length, sha256: digest },
      // Pauses of a test are a hundred times shorter.
      clock: {
        ...systemClock,
        after: (name, ms, fire) => systemClock.after(name, name === 'retry' ? ms / 100 : ms, fire),
      },
      random: systemRandom,
      signal: new AbortController().signal,
      ...(limits === undefined ? {} : { limits }),
    });
    const bytes = await storage.read(`images/${digest}.bin`);
    return { result, ranges, bytes };
  }

  const send: Handler = (request, response) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    if (from > 0) {
      response.statusCode = 206;
      const range = `bytes ${from}-${image.length - 1}/${image.length}`;
      response.setHeader('content-range', range);
    }
    response.setHeader('content-length', image.length - from);
    response.end(image.subarray(from));
  };

  it('come whole', async () => {
    const { result, bytes, ranges } = await download(send);
    expect(result).toEqual({ kind: 'done' });
    expect(bytes).toEqual(image);
    expect(ranges).toEqual([undefined]);
  });

  it('go on by range after the connection was cut', async () => {
    let cuts = 2;
    const { result, bytes, ranges } = await download((request, response) => {
      if (cuts-- <= 0) return send(request, response);
      const from = Number(/(\d+)/.exec(request.headers.range ?? '0')![1]);
      if (from > 0) {
        response.statusCode = 206;
        response.setHeader('content-range', `bytes ${from}-${image.length - 1}/${image.length}`);
      }
      response.setHeader('content-length', image.length - from);
      response.write(image.subarray(from, from + 70_000), () =>
        setTimeout(() => request.socket.destroy(), 20),
      );
    });
    expect(result).toEqual({ kind: 'done' });
    expect(bytes).toEqual(image);
    expect(ranges).toEqual([undefined, 'bytes=70000-', 'bytes=140000-']);
  });

  it('begin anew when the range is ignored', async () => {
    let first = true;
    const { result, bytes } = await download((request, response) => {
      if (first) {
        first = false;
        response.setHeader('content-length', image.length);
        response.write(image.subarray(0, 1000), () =>
          setTimeout(() => request.socket.destroy(), 20),
        );
        return;
      }
      response.setHeader('content-length', image.length);
      response.end(image);
    });
    expect(result).toEqual({ kind: 'done' });
    expect(bytes).toEqual(image);
  });

  it('with a wrong Content-Length are not even read', async () => {
    const { result, ranges } = await download((_request, response) => {
      response.setHeader('content-length', 999);
      response.end(image.subarray(0, 999));
    });
    expect(result).toMatchObject({ kind: 'integrity', code: 'LENGTH_MISMATCH' });
    expect(ranges).toHaveLength(1);
  });

  it('without Content-Length are stopped when they are too long', async () => {
    const { result } = await download((_request, response) => {
      response.write(image);
      response.end('more');
    });
    expect(result).toMatchObject({ kind: 'integrity', code: 'TOO_LONG' });
  });

  it('that stall are left and resumed', async () => {
    let stalled = false;
    const limits = { stallMs: 100, leastBytes: 100 };
    const { result, ranges } = await download((request, response) => {
      if (stalled) return send(request, response);
      stalled = true;
      response.setHeader('content-length', image.length);
      response.write(image.subarray(0, 5000));
    }, limits);
    expect(result).toEqual({ kind: 'done' });
    expect(ranges).toEqual([undefined, 'bytes=5000-']);
  });

  it('that drip are left', async () => {
    const limits = { stallMs: 100, leastBytes: 1000 };
    const { result } = await download((_request, response) => {
      response.setHeader('content-length', image.length);
      const timer = setInterval(() => response.write('x'), 10);
      response.on('close', () => clearInterval(timer));
    }, limits);
    expect(result).toMatchObject({ kind: 'failed', code: 'TOO_SLOW' });
  });

  it('that are compressed on the way are not what was released', async () => {
    const { result } = await download((_request, response) => {
      response.setHeader('content-encoding', 'gzip');
      response.setHeader('content-length', image.length);
      response.end(bytesOf(image.length, 3));
    });
    expect(result).toMatchObject({ kind: 'integrity', code: 'DIGEST_MISMATCH' });
  });
});

describe('with the backend of this project', () => {
  it('asks, downloads, resumes, reports', async () => {
    const image = bytesOf(100_000);
    const digest = createHash('sha256').update(image).digest('hex');
    const server = await startBackend();
    const admin = await server.login();
    const uploaded = await admin.upload({
      ecu: 'EDT',
      version: '2.0.0',
      notes: 'first\nline',
      image,
    });
    expect(uploaded.status).toBeLessThan(300);
    const backend = new HttpBackend({ server: server.url, vin: VIN, clock: systemClock });

    const latest = await backend.latest(['EDT', 'INV'], undefined);
    if (latest.kind !== 'releases') throw new Error(JSON.stringify(latest));
    expect(latest.releases).toMatchObject([
      { ecu: 'EDT', version: '2.0.0', size: 100_000, sha256: digest, notes: 'first\nline' },
    ]);
    expect(await backend.latest(['EDT', 'INV'], latest.etag)).toEqual({ kind: 'not-modified' });

    const { storage, images } = await store();
    const found = latest.releases[0]!;
    await storage.replace(`images/${digest}.part`, image.slice(0, 60_000));
    const result = await downloadImage({
      backend,
      images,
      release: found,
      clock: systemClock,
      random: systemRandom,
      signal: new AbortController().signal,
    });
    expect(result).toEqual({ kind: 'done' });
    expect(await storage.read(`images/${digest}.bin`)).toEqual(image);

    const nonce = await backend.nonce();
    if (nonce.kind !== 'nonce') throw new Error('no nonce');
    const whole = await backend.download(found, nonce.nonce, 0);
    if (whole.kind !== 'body') throw new Error(JSON.stringify(whole));
    for await (const _chunk of whole.chunks);
    expect(await backend.download(found, nonce.nonce, 0)).toMatchObject({
      kind: 'failed',
      code: 'HTTP_403',
      transient: true,
      reason: expect.stringContaining('NONCE_USED'),
    });
    // The nonce is a secret of the moment: no message may carry it.
    const refusedAgain = await backend.download(found, nonce.nonce, 0);
    expect(refusedAgain.kind === 'failed' && refusedAgain.reason).not.toContain(nonce.nonce);

    const report = {
      vin: VIN,
      outcome: 'SUCCESS',
      campaign: 'ab'.repeat(16),
      ecus: [
        { name: 'EDT', hardwareId: 'EDT-HW', from: '1.0.0', version: '2.0.0', sha256: digest },
      ],
    };
    expect(await backend.report(report)).toEqual({ kind: 'accepted' });
    expect(await backend.report({ ...report, ecus: [{ name: '?', version: '1' }] })).toMatchObject({
      kind: 'failed',
      transient: false,
    });
  });
});
