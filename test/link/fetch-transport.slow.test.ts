// `fetch` of the tools over the transport of the vehicle: uploads, redirects, headers, and answers without a body.

import http from 'node:http';
import { describe, expect, it } from 'vitest';
import { fetchOver } from '../../src/link/fetch-transport.ts';
import { createGotTransport } from '../../src/link/got-transport.ts';
import { listening } from '../support/link-servers.ts';

const send = fetchOver(createGotTransport({ environment: {} }));

async function serve(handler: http.RequestListener) {
  const server = await listening(http.createServer(handler));
  return { server, url: `http://127.0.0.1:${server.port}` };
}

describe('fetch over the transport', () => {
  it('uploads a form with its length, and the file as it is', async () => {
    const image = new Uint8Array(300_000).map((_, index) => index % 251);
    const { server, url } = await serve(async (request, response) => {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(piece);
      const body = Buffer.concat(pieces);
      const { 'content-length': length, 'content-type': type } = request.headers;
      const form = await new Response(body, { headers: { 'content-type': type! } }).formData();
      const file = form.get('file') as File;
      const same = Buffer.from(await file.arrayBuffer()).equals(Buffer.from(image));
      response.end(
        JSON.stringify({
          ecu: form.get('ecu'),
          name: file.name,
          same,
          right: Number(length) === body.length,
        }),
      );
    });
    await using _ = server;
    const form = new FormData();
    form.set('ecu', 'ä"\r\nX');
    form.set('file', new Blob([image]), 'a.bin');
    const answer = await send(url, { method: 'POST', body: form });
    expect(await answer.json()).toEqual({ ecu: 'ä"\r\nX', name: 'a.bin', same: true, right: true });
  });

  it('follows a redirect of GET without telling another server who asks', async () => {
    const seen: http.IncomingHttpHeaders[] = [];
    const there = await serve((request, response) => {
      seen.push(request.headers);
      response.end('there');
    });
    const here = await serve((_request, response) =>
      response.writeHead(302, { location: `${there.url}/x` }).end(),
    );
    await using _a = there.server;
    await using _b = here.server;
    const headers = { authorization: 'Bearer secret', cookie: 'c', 'x-other': 'o' };
    expect(await (await send(here.url, { headers })).text()).toBe('there');
    expect(seen[0]).not.toHaveProperty('authorization');
    expect(seen[0]).not.toHaveProperty('cookie');
    expect(seen[0]).toHaveProperty('x-other', 'o');
    expect((await send(here.url, { redirect: 'manual' })).status).toBe(302);
    await expect(send(here.url, { redirect: 'error' })).rejects.toThrow(/no redirect is followed/);
    // What changes something is never sent twice.
    expect((await send(here.url, { method: 'POST', body: 'x' })).status).toBe(302);
    expect(seen).toHaveLength(1);
  });

  it('hands cookies and answers without a body over, and ends at the signal', async () => {
    const { server, url } = await serve((request, response) => {
      if (request.url === '/silent') return;
      response.writeHead(request.method === 'DELETE' ? 204 : 200, {
        'set-cookie': ['a=1; Path=/', 'b=2'],
      });
      response.end();
    });
    await using _ = server;
    const gone = await send(url, { method: 'DELETE' });
    expect(gone.status).toBe(204);
    expect(gone.headers.getSetCookie()).toEqual(['a=1; Path=/', 'b=2']);
    expect(gone.url).toBe(`${url}/`);
    const abort = new AbortController();
    const silent = send(`${url}/silent`, { signal: abort.signal });
    abort.abort();
    await expect(silent).rejects.toThrow();
  });
});
