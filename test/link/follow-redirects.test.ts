// Redirects of images: followed to another origin without telling it who asks; all other requests name the Location.

import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/core/clock.ts';
import type { HttpRequest, HttpResponse } from '../../src/link/http-transport.ts';
import { HttpBackend } from '../../src/tmu/http-backend.ts';

const clock: Clock = { nowMs: () => 0, wallMs: () => 0, after: () => ({ cancel: () => {} }) };

function answer(status: number, headers: HttpResponse['headers'], body = ''): HttpResponse {
  return {
    status,
    headers,
    body: (async function* () {
      yield new TextEncoder().encode(body);
    })(),
    destroy: () => {},
  };
}

/** A backend whose network answers by address, and what was asked. */
function world(server: string, answers: Readonly<Record<string, HttpResponse>>) {
  const asked: HttpRequest[] = [];
  const transport = {
    open: async (request: HttpRequest) => {
      asked.push(request);
      return answers[request.url.href] ?? answer(404, {});
    },
  };
  const backend = new HttpBackend({ server, vin: 'WCANOTA0000000001', clock, transport });
  return { backend, asked };
}

const FIRST = 'https://ota.example/ota_download/a.bin?nonce=n123';

describe('an image that is redirected', () => {
  it('comes from the other origin, which hears neither VIN nor token', async () => {
    const { backend, asked } = world('https://ota.example', {
      [FIRST]: answer(302, { location: 'https://cdn.example/x/a.bin?sig=s' }),
      'https://cdn.example/x/a.bin?sig=s': answer(307, { location: '/y/a.bin' }),
      'https://cdn.example/y/a.bin': answer(206, { 'content-range': 'bytes 3-4/5' }, 'lo'),
    });
    const opened = await backend.download({ file: 'a.bin', size: 3 }, 'n123', 3);
    expect(opened).toMatchObject({ kind: 'body', offset: 3, total: 5 });
    expect(asked.map(({ url }) => url.host)).toEqual(['ota.example', 'cdn.example', 'cdn.example']);
    expect(asked[0]!.headers).toHaveProperty('x-vehicle-vin');
    for (const { headers } of asked.slice(1)) {
      expect(headers).not.toHaveProperty('x-vehicle-vin');
      expect(headers).not.toHaveProperty('authorization');
      expect(headers.range).toBe('bytes=3-');
    }
  });

  it('is not followed from TLS to plain HTTP, and not for ever', async () => {
    const plain = world('https://ota.example', {
      [FIRST]: answer(302, { location: 'http://cdn.example/a.bin?sig=secret' }),
    });
    const downgrade = await plain.backend.download({ file: 'a.bin', size: 3 }, 'n123', 0);
    expect(downgrade).toMatchObject({ code: 'REDIRECT', transient: true });
    expect(downgrade.kind === 'failed' && downgrade.reason).toMatch(/cdn.example.*not encrypted/);
    expect(JSON.stringify(downgrade)).not.toMatch(/secret|n123/);
    expect(plain.asked).toHaveLength(1);
    const circle = world('https://ota.example', { [FIRST]: answer(302, { location: FIRST }) });
    const ended = await circle.backend.download({ file: 'a.bin', size: 3 }, 'n123', 0);
    expect(ended).toMatchObject({ code: 'REDIRECT' });
    expect(circle.asked).toHaveLength(6);
  });

  it('is no page: a network that wants its terms accepted redirects to one', async () => {
    const { backend } = world('http://ota.example', {
      'http://ota.example/ota_download/a.bin?nonce=n123': answer(302, {
        location: 'http://portal.example/',
      }),
      'http://portal.example/': answer(200, { 'content-type': 'text/html; charset=utf-8' }),
    });
    const refused = await backend.download({ file: 'a.bin', size: 3 }, 'n123', 0);
    expect(refused).toMatchObject({ kind: 'failed', code: 'FOREIGN_ANSWER', transient: true });
  });

  it('is refused as it is where the Location is missing or no address of HTTP', async () => {
    for (const [headers, code] of [
      [{}, 'FOREIGN_ANSWER'],
      [{ location: 'ftp://cdn.example/a.bin' }, 'REDIRECT'],
    ] as const) {
      const { backend } = world('https://ota.example', { [FIRST]: answer(302, headers) });
      const refused = await backend.download({ file: 'a.bin', size: 3 }, 'n123', 0);
      expect(refused).toMatchObject({ kind: 'failed', code, transient: true });
    }
  });
});

it('any other request that is redirected names the Location, and is not sent there', async () => {
  const url = 'https://ota.example/get_nonce?vin=WCANOTA0000000001';
  const { backend, asked } = world('https://ota.example', {
    [url]: answer(301, { location: 'https://new.example/get_nonce' }),
  });
  const refused = await backend.nonce();
  expect(refused).toMatchObject({ code: 'FOREIGN_ANSWER' });
  expect(refused.kind === 'failed' && refused.reason).toContain('https://new.example/get_nonce');
  expect(asked).toHaveLength(1);
});
