// The pages below a prefix, and HSTS: what a trusted proxy says of the way a request took.

import { describe, expect, it } from 'vitest';
import { cookieOf, PASSWORD, startBackend } from './support.ts';

const PREFIXED = {
  'x-forwarded-prefix': '/ota',
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'cars.example',
};
const HTML = { accept: 'text/html' };

const FOREIGN = /(?:href|action|src)="(?!\/ota\/|#)[^"]*"/g;

describe('below a prefix', () => {
  for (const [how, options, headers, before] of [
    ['told by a trusted proxy', { trustProxy: true }, PREFIXED, ''],
    ['by option, taken off by the proxy', { basePath: '/ota' }, {}, ''],
    ['by option, left on by the proxy', { basePath: '/ota/' }, {}, '/ota'],
  ] as const) {
    it(`every link, form, style, redirect and cookie stays below: ${how}`, async () => {
      const backend = await startBackend(options);
      const page = await backend.request(`${before}/`, { headers: { ...headers, ...HTML } });
      expect([page.status, page.headers.location]).toEqual([303, '/ota/login']);
      const login = await backend.request(`${before}/login`, { headers: { ...headers, ...HTML } });
      expect(login.status).toBe(200);
      expect(login.text.match(FOREIGN) ?? []).toEqual([]);
      expect(login.text).toContain('action="/ota/login"');
      const [, style] = /href="\/ota(\/static\/style[^"]*)"/.exec(login.text)!;
      expect((await backend.request(`${before}${style}`, { headers })).status).toBe(200);
      const entered = await backend.request(`${before}/login`, {
        method: 'POST',
        headers: { ...headers, ...HTML, 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ name: 'anna', password: PASSWORD }).toString(),
      });
      expect([entered.status, entered.headers.location]).toEqual([303, '/ota/']);
      for (const cookie of entered.headers['set-cookie'] ?? []) {
        expect(cookie).toMatch(/; path=\/ota\//);
      }
      const session = { ...headers, ...HTML, cookie: cookieOf(entered) };
      for (const place of ['/', '/vehicles', '/devices', '/audit?q=a', '/nothing']) {
        const shown = await backend.request(`${before}${place}`, { headers: session });
        expect(shown.text.match(FOREIGN) ?? []).toEqual([]);
        expect(shown.text).toContain('href="/ota/');
      }
      // Paths of small devices begin with /ota, too.
      const ours = await backend.request(`${before}/ota/check`, { method: 'POST', headers });
      expect(ours.status).not.toBe(404);
    });
  }

  it('is nothing that strangers can ask for, and no way to another server', async () => {
    const open = await startBackend();
    const told = await open.request('/', { headers: { ...PREFIXED, ...HTML } });
    expect(told.headers.location).toBe('/login');
    const behind = await startBackend({ trustProxy: true });
    for (const prefix of ['//evil.example', 'https://evil.example', '/a"b']) {
      const headers = { 'x-forwarded-prefix': prefix, ...HTML };
      expect((await behind.request('/', { headers })).headers.location).toBe('/login');
    }
    await expect(startBackend({ basePath: '//evil.example' })).rejects.toThrow(/--base-path/);
  });
});

it('HSTS is said behind TLS, also with a refusal, and never over plain HTTP', async () => {
  const behind = await startBackend({ trustProxy: true });
  for (const path of ['/login', '/nothing']) {
    const { headers } = await behind.request(path, { headers: { 'x-forwarded-proto': 'https' } });
    expect(headers['strict-transport-security']).toMatch(/^max-age=\d+$/);
    const plain = await behind.request(path, { headers: { 'x-forwarded-proto': 'http' } });
    expect(plain.headers['strict-transport-security']).toBeUndefined();
  }
  const open = await startBackend();
  const lied = await open.request('/login', { headers: { 'x-forwarded-proto': 'https' } });
  expect(lied.headers['strict-transport-security']).toBeUndefined();
});
