// Requests that are malformed in every way we know, as bytes on a socket: a 4xx that says what is wrong, and no stack.

import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { type Backend, type Client, json, startBackend } from './support.ts';
import { bearer, startSigned, TestVehicle, VIN } from './trust-support.ts';

/** What comes back for these bytes; the client ends its side when `end` says so. */
function exchange(port: number, bytes: string | Buffer, end = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.write(bytes);
      if (end) socket.end();
    });
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
  });
}

const head = (line: string, ...fields: readonly string[]): string =>
  [line, 'Host: x', 'Connection: close', ...fields, '', ''].join('\r\n');
const post = (path: string, body: string, ...fields: readonly string[]): string =>
  head(`POST ${path} HTTP/1.1`, `Content-Length: ${Buffer.byteLength(body)}`, ...fields) + body;
const JSON_TYPE = 'Content-Type: application/json';

const RAW: Readonly<Record<string, string>> = {
  'no HTTP at all': 'GARBAGE\r\n\r\n',
  'another version': 'GET / HTTP/9.9\r\nHost: x\r\n\r\n',
  'no host': 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n',
  'a space in a field name': head('GET /login HTTP/1.1', 'X Y: z'),
  'NUL in a field': head('GET /login HTTP/1.1', 'X-Vehicle-VIN: a\0b'),
  'NUL in the path': head('GET /latest\0 HTTP/1.1'),
  'a head of 100 KiB': head('GET /login HTTP/1.1', `X-Long: ${'x'.repeat(100_000)}`),
  'a path of 100 KiB': head(`GET /${'x'.repeat(100_000)} HTTP/1.1`),
  'two thousand fields': head(
    'GET /nothing HTTP/1.1',
    ...Array.from({ length: 2000 }, (_, n) => `X-${n}: ${'v'.repeat(20)}`),
  ),
  'a length below zero': head('POST /login HTTP/1.1', JSON_TYPE, 'Content-Length: -1'),
  'a length that is no number': head('POST /login HTTP/1.1', JSON_TYPE, 'Content-Length: 1e3'),
  'a length beyond 64 bit': head(
    'POST /login HTTP/1.1',
    JSON_TYPE,
    'Content-Length: 99999999999999999999',
  ),
  'two lengths': `${head('POST /login HTTP/1.1', JSON_TYPE, 'Content-Length: 2', 'Content-Length: 3')}{}`,
  'length and chunks': `${head('POST /login HTTP/1.1', JSON_TYPE, 'Content-Length: 2', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
  'an encoding that is unknown': `${head('POST /login HTTP/1.1', JSON_TYPE, 'Transfer-Encoding: rot13')}{}`,
  'a damaged chunk': `${head('POST /login HTTP/1.1', JSON_TYPE, 'Transfer-Encoding: chunked')}zz\r\nx\r\n`,
  'no type': post('/login', '{}'),
  'a type in pieces': post('/login', '{}', 'Content-Type: application/json; charset="'),
  'two types': post('/login', '{}', 'Content-Type: text/plain', JSON_TYPE),
  'UTF-16': post('/login', '\xff\xfe{\0', JSON_TYPE),
  'an expectation that is unknown': post('/login', '{}', JSON_TYPE, 'Expect: the-unexpected'),
  'gzip that was not asked for': post('/login', '\x1f\x8b', JSON_TYPE, 'Content-Encoding: gzip'),
  'an unknown method': head('BREW /login HTTP/1.1'),
  'a method of WebDAV': head('PROPFIND / HTTP/1.1'),
  'a method in small letters': head('get / HTTP/1.1'),
  TRACE: head('TRACE / HTTP/1.1'),
  'DELETE by override': post('/healthz', '{}', JSON_TYPE, 'X-HTTP-Method-Override: GET'),
  'a broken escape in the path': head('GET /ota_download/%E0%A4%A HTTP/1.1'),
  'a NUL by escape': head('GET /ota_download/%00 HTTP/1.1'),
  'bytes beyond ASCII in the path': head('GET /ota_download/\x9b\xff HTTP/1.1'),
  'a traversal': head('GET /static/..%2f..%2fpackage.json HTTP/1.1'),
  'the name of a prototype': head('GET /static/__proto__ HTTP/1.1'),
  'a query twice': head('GET /latest_version?vin=A&vin=B HTTP/1.1'),
  'a field twice': head('GET /latest_version HTTP/1.1', 'X-Vehicle-VIN: A', 'X-Vehicle-VIN: B'),
  'a query of prototypes': head('GET /latest_version?vin=__proto__&ecu=constructor HTTP/1.1'),
  'a cookie of nonsense': head('GET /session HTTP/1.1', 'Cookie: can-ota-session=%; =;;="'),
  'a cookie of a prototype': head('GET /session HTTP/1.1', 'Cookie: can-ota-session=__proto__'),
  'a foreign host in the line': head('GET http://[::1/x HTTP/1.1'),
  'a form without a boundary': post('/upload', 'x', 'Content-Type: multipart/form-data'),
};

function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
}

function expectClean(answer: string, what: string): void {
  expect(answer, what).not.toMatch(/\.(?:ts|js):\d|node_modules|node:internal/);
}

describe('a malformed request', () => {
  it.each(Object.entries(RAW))('with %s is refused with a reason', async (what, bytes) => {
    const backend = await startBackend();
    const answer = await exchange(backend.port, Buffer.from(bytes, 'latin1'));
    const status = statusOf(answer);
    expect([what, status >= 400 && (status < 500 || status === 501), answer.slice(0, 300)]).toEqual(
      [what, true, expect.any(String)],
    );
    // Node ends 417 by itself.
    if (status !== 417) expect(answer).toMatch(/"code":"[A-Z_]+"/);
    expectClean(answer, what);
    expect(backend.log.filter((line) => line.includes('unexpectedly'))).toEqual([]);
    expect((await backend.request('/healthz')).status).toBe(200);
  });

  it('with a body that ends early leaves nothing behind', async () => {
    const backend = await startBackend();
    const bytes = head('POST /login HTTP/1.1', JSON_TYPE, 'Content-Length: 100');
    expectClean(await exchange(backend.port, `${bytes}{"name"`, true), 'early end');
    expect(backend.log.filter((line) => line.includes('unexpectedly'))).toEqual([]);
    expect((await backend.request('/healthz')).status).toBe(200);
  });
});

const deep = (levels: number, text = '1'): unknown =>
  JSON.parse('['.repeat(levels) + text + ']'.repeat(levels));

describe('JSON', () => {
  it('that is nested for 4 KiB is refused on every path that takes JSON, also in objects', async () => {
    const backend = await startSigned();
    const vehicle = await TestVehicle.provisioned(backend);
    const admin = await backend.login();
    const people = { 'X-CSRF-Token': admin.csrfToken, Cookie: admin.cookie };
    const device = bearer(vehicle.token);
    const bodies = [
      (inner: object) => ({ ...inner, telemetry: { a: deep(2000) }, reason: deep(2000) }),
      (inner: object) => ({ ...inner, parameters: { a: deep(33) }, arguments: { a: deep(33) } }),
    ];
    for (const [path, headers, inner] of [
      ['/login', {}, { name: 'a', password: 'b' }],
      ['/auth/challenge', {}, {}],
      ['/report_versions', device, { vin: VIN, outcome: 'SUCCESS', ecus: [] }],
      ['/vehicle/campaign', device, { vin: VIN, campaign: 'c', state: 'staging' }],
      ['/vehicle/checkin', device, { vin: VIN, manifest: vehicle.manifest(), nonces: [] }],
      ['/vehicle/time', device, { nonces: [] }],
      ['/provision', bearer(backend.factory), { hw_id: 'x' }],
      [`/commands/${VIN}`, people, { ecu: 'EDT', action: 'x' }],
      [`/vehicles/${VIN}/cancel`, people, { reason: 'x' }],
      ['/metadata/targets', bearer(backend.releaser), { signed: deep(2000), signatures: [] }],
    ] as const) {
      for (const body of bodies) {
        const init = json(body(inner));
        const reply = await backend.request(path, {
          ...init,
          headers: { ...init.headers, ...headers },
        });
        expect([path, reply.status, reply.text]).toEqual([
          path,
          expect.toSatisfy((status: number) => status === 400 || status === 422),
          expect.stringMatching(/nested|levels|JSON|MALFORMED/),
        ]);
      }
    }
    expect(backend.log.filter((line) => line.includes('unexpectedly'))).toEqual([]);
  });

  it('with names of prototypes, numbers without bounds and half characters is a 4xx or taken as it is', async () => {
    const backend = await startSigned();
    const vehicle = await TestVehicle.provisioned(backend);
    const admin = await backend.login();
    const texts = [
      '{"__proto__":{"role":"admin"},"constructor":{"prototype":{}}}',
      `{"vin":"${VIN}","__proto__":null,"outcome":"SUCCESS","ecus":[{"name":"EDT","version":1e999}]}`,
      `{"vin":"${VIN}","manifest":{"signed":{"__proto__":1}},"telemetry":{"__proto__":{"a":1}},"nonces":[]}`,
      `{"vin":"${VIN}","campaign":"\\ud800","state":"staging"}`,
      `{"vin":"${VIN}\\u0000","campaign":"c","state":"staging"}`,
      '{"name":"a\\u0000b","password":"\\u0000"}',
      '{"parameters":{"__proto__":1,"pollInterval":-1e308},"comment":"x"}',
      '{"ecu":"__proto__","action":"constructor","arguments":{"__proto__":1},"expiresInS":1e308}',
      '{"reason":"\\udfff\\ud800"}',
      '-0',
      '1e400',
      '"\\u0000"',
      '[]',
    ];
    const asked: [string, Record<string, string>, string][] = [];
    for (const [path, headers, method] of [
      ['/login', {}, 'POST'],
      ['/report_versions', bearer(vehicle.token), 'POST'],
      ['/vehicle/campaign', bearer(vehicle.token), 'POST'],
      ['/vehicle/checkin', bearer(vehicle.token), 'POST'],
      ['/provision', bearer(backend.factory), 'POST'],
      [`/config/${VIN}`, personal(admin), 'PUT'],
      [`/commands/${VIN}`, personal(admin), 'POST'],
      [`/vehicles/${VIN}/cancel`, personal(admin), 'POST'],
    ] as const) {
      asked.push([path, headers, method]);
    }
    for (const [path, headers, method] of asked) {
      for (const body of texts) {
        const reply = await backend.request(path, {
          ...{ method, body },
          headers: { 'Content-Type': 'application/json', ...headers },
        });
        expect([path, body, reply.status]).toEqual([path, body, expect.toSatisfy((s) => s < 500)]);
      }
    }
    for (const query of [
      'limit=-1',
      'limit=1e999',
      'limit=99999999999999999999',
      'limit=NaN',
      'since=-1',
      'before=__proto__',
      'state=constructor',
      '%00=%00&limit=%FF',
      '__proto__[a]=1',
    ]) {
      for (const path of [`/commands/${VIN}`, `/telemetry/${VIN}`, '/audit', '/ota/transfers']) {
        const reply = await admin.request(`${path}?${query}`);
        expect([path, query, reply.status]).toEqual([
          ...[path, query],
          expect.toSatisfy((status: number) => status < 500),
        ]);
      }
    }
    expect(backend.log.filter((line) => line.includes('unexpectedly'))).toEqual([]);
    expect(({} as { role?: string }).role).toBeUndefined();
  });
});

const personal = ({ cookie, csrfToken }: Client): Record<string, string> => ({
  ...{ Cookie: cookie, 'X-CSRF-Token': csrfToken },
});

describe('characters that control a terminal or the direction of text', () => {
  const EVIL = 'a\u001b[2Jb\u202ec\u009bd\u2028e\u200ff';
  const unsafe = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u;

  it('are refused in the name of a log-in, and in notes', async () => {
    const backend = await startBackend();
    const login = await backend.request('/login', json({ name: EVIL, password: 'x' }));
    expect([login.status, login.json.code]).toEqual([400, 'BAD_FIELD']);
    const admin = await backend.login();
    const image = Buffer.from('image');
    const notes = await admin.upload({ ecu: 'EDT', version: '1.0.0', notes: EVIL, image });
    expect([notes.status, notes.json.code]).toEqual([400, 'BAD_FIELD']);
    const fine = await admin.upload({ ecu: 'EDT', version: '1.0.0', notes: 'one\ntwo', image });
    expect([fine.status, fine.json.notes]).toEqual([201, 'one\ntwo']);
  });

  it('do not reach the vehicle in a reason, nor the log by path, header or report', async () => {
    const backend: Backend = await startBackend();
    const admin = await backend.login();
    const campaign = { vin: 'VIN1', campaign: 'c1', state: 'staging' };
    await backend.request('/vehicle/campaign', json(campaign));
    const order = await admin.request('/vehicles/VIN1/cancel', {
      ...json({ reason: EVIL }),
      headers: { 'Content-Type': 'application/json' },
    });
    expect(order.json.reason).toBe('a [2Jb c d e f');
    const answer = { order: order.json.order, accepted: false, reason: EVIL };
    await backend.request('/vehicle/campaign', json({ ...campaign, answer }));
    await backend.request(
      '/report_versions',
      json({ vin: 'VIN1', outcome: 'SUCCESS', reason: EVIL, ecus: [] }),
    );
    await exchange(
      backend.port,
      Buffer.from(head('GET /upload/\x9b31m HTTP/1.1', 'Origin: \x9b'), 'latin1'),
    );
    for (const path of ['/audit', '/vehicles/VIN1/campaign']) {
      const text = (await admin.request(path)).text;
      expect([path, unsafe.exec(text)]).toEqual([path, null]);
    }
  });
});
