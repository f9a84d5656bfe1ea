// The backend over HTTP: requests, answers and refusals, and downloads over real connections on loopback.

import type http from 'node:http';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { InputError } from '../../src/core/errors.ts';
import { systemRandom } from '../../src/core/random.ts';
import { downloadImage } from '../../src/tmu/download.ts';
import { HttpBackend } from '../../src/tmu/http-backend.ts';
import {
  type Handler,
  json,
  PATIENT_MS,
  problem,
  release,
  serve,
  store,
  VIN,
} from './http-backend-support.ts';
import { bytesOf, sha256 } from './support.ts';

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
    expect(answer).toMatchObject({ kind: 'failed', code: 'FOREIGN_ANSWER', transient: true });
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
      code: 'FOREIGN_ANSWER',
      reason: expect.stringContaining('more than 1048576 bytes'),
    });
    expect(written).toBeLessThan(64 * 1024 * 1024);
  });

  it('from a server that is silent ends in time', async () => {
    const { backend } = await serve(() => {}, 50);
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
        response.setHeader('retry-after', retryAfter);
        problem(response, 503, 'BUSY', 'come back later');
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
    // Waiting for ten years would be a freeze attack.
    expect(await answerTo('315360000')).toMatchObject({ retryAfterMs: 3_600_000 });
  });

  it('after 429 is not asked for again on any path before its time', async () => {
    let requests = 0;
    let nowMs = 0;
    const handler: Handler = (request, response) => {
      requests++;
      if (request.url!.startsWith('/get_nonce')) {
        return json({ nonce: '0123456789abcdef0123456789abcdef', expiresInSeconds: 300 })(
          request,
          response,
        );
      }
      response.statusCode = 429;
      response.setHeader('retry-after', '60');
      response.end();
    };
    const { backend } = await serve(handler, PATIENT_MS, { ...systemClock, nowMs: () => nowMs });
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
      code: 'FOREIGN_ANSWER',
      transient: true,
      reason: expect.stringContaining('it points to "http://127.0.0.1:9/"'),
    });
  });

  it('stops at the signal', async () => {
    const abort = new AbortController();
    const { backend } = await serve(() => abort.abort());
    expect(await backend.latest([], undefined, abort.signal)).toMatchObject({ kind: 'failed' });
  });
});

it('an address that is none is refused with what is expected', () => {
  for (const server of ['nonsense', 'ftp://x', '']) {
    expect(() => new HttpBackend({ server, vin: VIN, clock: systemClock })).toThrow(InputError);
  }
});

describe('downloads over real connections', () => {
  const image = bytesOf(300_000);
  const digest = sha256(image);

  interface Client {
    /** Resolves when the client has `count` bytes. */
    has(count: number): Promise<void>;
    /** Ends the window in which the least number of bytes must arrive. */
    endWindow(): void;
  }

  /** Answers the nonce; the test handles everything else. Nothing here waits for real time: the test ends the windows. */
  async function download(handler: (...given: [...Parameters<Handler>, Client]) => void) {
    const ranges: (string | undefined)[] = [];
    const windows = new Set<() => void>();
    const waiting = new Set<{ readonly count: number; readonly go: () => void }>();
    let received = 0;
    const client: Client = {
      has: (count) =>
        new Promise<void>((go) => {
          if (received >= count) go();
          else waiting.add({ count, go });
        }),
      endWindow: () => {
        for (const end of [...windows]) end();
      },
    };
    const { backend } = await serve((request, response) => {
      if (request.url!.startsWith('/get_nonce')) {
        return json({ nonce: '0123456789abcdef0123456789abcdef', expiresInSeconds: 300 })(
          request,
          response,
        );
      }
      ranges.push(request.headers.range);
      handler(request, response, client);
    });
    const { storage, images } = await store();
    const result = await downloadImage({
      backend,
      images,
      release: { file: release.file, size: image.length, sha256: digest },
      clock: {
        ...systemClock,
        after: (name, ms, fire) => {
          if (name !== 'download-window') {
            // Pauses of a test are as short as possible.
            return systemClock.after(name, name === 'retry' ? 0 : ms, fire);
          }
          const end = (): void => {
            windows.delete(end);
            fire();
          };
          windows.add(end);
          return { cancel: () => windows.delete(end) };
        },
      },
      random: systemRandom,
      signal: new AbortController().signal,
      limits: { stallMs: 100, leastBytes: 1000 },
      onProgress: (count) => {
        received = count;
        for (const each of waiting) {
          if (each.count > received) continue;
          waiting.delete(each);
          each.go();
        }
      },
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
    const { result, bytes, ranges } = await download((request, response, client) => {
      if (cuts-- <= 0) return send(request, response);
      const from = Number(/(\d+)/.exec(request.headers.range ?? '0')![1]);
      if (from > 0) {
        response.statusCode = 206;
        response.setHeader('content-range', `bytes ${from}-${image.length - 1}/${image.length}`);
      }
      response.setHeader('content-length', image.length - from);
      response.write(image.subarray(from, from + 70_000));
      void client.has(from + 70_000).then(() => request.socket.destroy());
    });
    expect(result).toEqual({ kind: 'done' });
    expect(bytes).toEqual(image);
    expect(ranges).toEqual([undefined, 'bytes=70000-', 'bytes=140000-']);
  });

  it('begin anew when the range is ignored', async () => {
    let first = true;
    const { result, bytes } = await download((request, response, client) => {
      if (first) {
        first = false;
        response.setHeader('content-length', image.length);
        response.write(image.subarray(0, 1000));
        void client.has(1000).then(() => request.socket.destroy());
        return;
      }
      response.setHeader('content-length', image.length);
      response.end(image);
    });
    expect(result).toEqual({ kind: 'done' });
    expect(bytes).toEqual(image);
  });

  it('with a wrong Content-Length are not even read, and asked for again at once', async () => {
    const { result, ranges } = await download((_request, response) => {
      response.setHeader('content-type', 'application/octet-stream');
      response.setHeader('content-length', 999);
      response.end(image.subarray(0, 999));
    });
    expect(result).toMatchObject({ kind: 'integrity', code: 'LENGTH_MISMATCH' });
    expect(ranges).toHaveLength(4);
  });

  it('of another length and of no type are not ours', async () => {
    const { result } = await download((_request, response) => {
      response.setHeader('content-length', 2);
      response.end('ok');
    });
    expect(result).toMatchObject({ kind: 'failed', code: 'FOREIGN_ANSWER' });
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
    const { result, ranges } = await download((request, response, client) => {
      if (stalled) return send(request, response);
      stalled = true;
      response.setHeader('content-length', image.length);
      response.write(image.subarray(0, 5000));
      void client.has(5000).then(() => {
        client.endWindow(); // enough bytes came in this window
        client.endWindow();
      });
    });
    expect(result).toEqual({ kind: 'done' });
    expect(ranges).toEqual([undefined, 'bytes=5000-']);
  });

  it('that drip are left', async () => {
    const { result } = await download(async (request, response, client) => {
      const from = Number(/(\d+)/.exec(request.headers.range ?? '0')![1]);
      if (from > 0) {
        response.statusCode = 206;
        response.setHeader('content-range', `bytes ${from}-${image.length - 1}/${image.length}`);
      }
      response.setHeader('content-length', image.length - from);
      for (let sent = 1; sent <= 3; sent++) {
        response.write('x');
        await client.has(from + sent);
      }
      client.endWindow();
    });
    expect(result).toMatchObject({ kind: 'failed', code: 'TOO_SLOW' });
  });

  it('that are compressed on the way are not ours', async () => {
    const { result } = await download((_request, response) => {
      response.setHeader('content-encoding', 'gzip');
      response.setHeader('content-length', image.length);
      response.end(bytesOf(image.length, 3));
    });
    expect(result).toMatchObject({ kind: 'failed', code: 'FOREIGN_ANSWER', transient: true });
  });
});
