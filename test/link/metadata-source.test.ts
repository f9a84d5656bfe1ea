// Reading metadata from a network that lies, dawdles and never ends, and from a folder.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  folderSource,
  httpSource,
  metadataSource,
  SourceError,
} from '../../src/link/metadata-source.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import type { MetadataRequest } from '../../src/trust/repository.ts';

const REQUEST: MetadataRequest = {
  role: 'timestamp',
  file: 'timestamp.json',
  maxBytes: 100,
  optional: false,
};

interface Server {
  readonly urls: string[];
  /** Why each request was ended by the reader; undefined while it is open. */
  readonly aborted: boolean[];
  readonly fetch: typeof fetch;
}

function server(respond: (signal: AbortSignal) => Response | Promise<Response>): Server {
  const urls: string[] = [];
  const aborted: boolean[] = [];
  const answer = async (url: string, options: { signal: AbortSignal }): Promise<Response> => {
    const index = urls.push(url) - 1;
    aborted[index] = false;
    options.signal.addEventListener('abort', () => {
      aborted[index] = true;
    });
    return respond(options.signal);
  };
  return { urls, aborted, fetch: answer as unknown as typeof fetch };
}

/** One piece each `everyMs`, for ever. */
function dripping(clock: VirtualClock, bytes: number, everyMs: number): Response {
  return new Response(
    new ReadableStream(
      {
        pull: (controller) =>
          new Promise<void>((resolve) => {
            clock.after('drip', everyMs, () => {
              controller.enqueue(new Uint8Array(bytes));
              resolve();
            });
          }),
      },
      { highWaterMark: 0 },
    ),
  );
}

function ask(peer: Server, clock = new VirtualClock(), maxBytes = REQUEST.maxBytes) {
  const source = httpSource('http://repo/metadata', { clock, fetch: peer.fetch });
  return source.answer({ ...REQUEST, maxBytes });
}

describe('over HTTP', () => {
  it('a file is what the server sent', async () => {
    const peer = server(() => new Response('{"a":1}'));
    expect(await ask(peer)).toEqual({
      kind: 'bytes',
      bytes: new TextEncoder().encode('{"a":1}'),
    });
    expect(peer.urls).toEqual(['http://repo/metadata/timestamp.json']);
  });

  it.each([403, 404, 410])('status %i: it is not there', async (status) => {
    expect(await ask(server(() => new Response('no', { status })))).toEqual({ kind: 'missing' });
  });

  it.each([400, 401, 429, 500, 503])(
    'status %i is no answer, least of all "not there"',
    async (status) => {
      await expect(ask(server(() => new Response('', { status })))).rejects.toThrow(
        `http://repo/metadata/timestamp.json: status ${status}`,
      );
    },
  );

  it('a network that fails is no answer either', async () => {
    const peer = server(() => Promise.reject(new TypeError('fetch failed')));
    await expect(ask(peer)).rejects.toBeInstanceOf(SourceError);
    await expect(ask(peer)).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  it('a file that says how long it is, and is too long, is not read', async () => {
    const headers = { 'content-length': '101' };
    const peer = server(() => new Response('x'.repeat(101), { headers }));
    expect(await ask(peer)).toEqual({ kind: 'too-long' });
    expect(peer.aborted).toEqual([true]);
  });

  it('an endless file is read up to the limit and not further', async () => {
    let given = 0;
    const body = new ReadableStream(
      {
        pull: (controller) => {
          given += 10;
          controller.enqueue(new Uint8Array(10));
        },
      },
      { highWaterMark: 0 },
    );
    const peer = server(() => new Response(body));
    expect(await ask(peer)).toEqual({ kind: 'too-long' });
    expect(given).toBe(110);
    expect(peer.aborted).toEqual([true]);
  });

  it('as long as the limit is not too long', async () => {
    expect(await ask(server(() => new Response('x'.repeat(100))))).toMatchObject({ kind: 'bytes' });
  });

  it('a server that says nothing at all is too slow after ten seconds', async () => {
    const clock = new VirtualClock();
    const peer = server(() => new Promise(() => {}));
    const answer = ask(peer, clock);
    await clock.advance(9999);
    expect(peer.aborted).toEqual([false]);
    await clock.advance(1);
    expect(await answer).toEqual({ kind: 'too-slow' });
    expect(peer.aborted).toEqual([true]);
  });

  it('a server that falls silent in the middle is too slow', async () => {
    const clock = new VirtualClock();
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(new Uint8Array(10)),
    });
    const answer = ask(
      server(() => new Response(body)),
      clock,
    );
    await clock.advance(10_000);
    expect(await answer).toEqual({ kind: 'too-slow' });
  });

  it('drop by drop is too slow, once five seconds of grace are over', async () => {
    const clock = new VirtualClock();
    const answer = ask(
      server(() => dripping(clock, 1, 1000)),
      clock,
      1_000_000,
    );
    await clock.advance(6000);
    expect(await answer).toEqual({ kind: 'too-slow' });
    expect(clock.nowMs()).toBeLessThanOrEqual(6000);
  });

  it('a poor connection is not a slow attacker', async () => {
    const clock = new VirtualClock();
    const answer = ask(
      server(() => dripping(clock, 2000, 1000)),
      clock,
      20_000,
    );
    await clock.advance(11_000);
    expect(await answer).toEqual({ kind: 'too-long' });
  });

  it('an aborted command ends the request', async () => {
    const abort = new AbortController();
    const peer = server(
      (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    );
    const source = httpSource('http://repo/', { fetch: peer.fetch, signal: abort.signal });
    const answer = source.answer(REQUEST);
    abort.abort(new Error('enough'));
    await expect(answer).rejects.toThrow('enough');
  });
});

describe('from a folder', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'metadata-source-'));
    await mkdir(path.join(folder, 'inside'));
    await writeFile(path.join(folder, 'timestamp.json'), '{}');
    await writeFile(path.join(folder, 'a%2Fb.json'), '{}');
    await writeFile(path.join(folder, 'inside', 'an image.bin'), 'x'.repeat(200));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('files are read by the name that is asked for', async () => {
    const source = metadataSource(folder);
    const bytes = new TextEncoder().encode('{}');
    expect(await source.answer(REQUEST)).toEqual({ kind: 'bytes', bytes });
    expect(await source.answer({ ...REQUEST, file: 'a%2Fb.json' })).toEqual({
      kind: 'bytes',
      bytes,
    });
    expect(await source.answer({ ...REQUEST, file: '2.root.json' })).toEqual({ kind: 'missing' });
  });

  it('images are read by their path, and only up to their length', async () => {
    const source = folderSource(folder);
    const pieces: unknown[] = [];
    const answer = await source.open('inside/an%20image.bin', 100);
    if (answer.kind === 'stream') for await (const piece of answer.chunks) pieces.push(piece);
    expect(pieces).toEqual(['too-long']);
  });

  it.each(['../x.json', '..%2Fx.json', '%2e%2e/x.json'])(
    '%s does not lead out of it',
    async (file) => {
      const source = folderSource(path.join(folder, 'inside'));
      expect(await source.open(file, 100)).toEqual({ kind: 'missing' });
      expect(await source.answer({ ...REQUEST, file })).toEqual({ kind: 'missing' });
    },
  );

  it('a folder in place of a file is a fault of the disk', async () => {
    await expect(folderSource(folder).answer({ ...REQUEST, file: 'inside' })).rejects.toThrow(
      SourceError,
    );
  });
});
