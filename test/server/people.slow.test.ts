// Log-in, sessions, roles, CSRF tokens and the throttle, over a real connection.

import { readdir, readFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { compare } from '@node-rs/bcrypt';
import { describe, expect, it, vi } from 'vitest';
import { changePassword, removeUser } from '../../server/features/people/tool-commands.ts';
import { cookieOf, FAST_BCRYPT, json, PASSWORD, startBackend } from './support.ts';

// Counted, and done.
vi.mock('@node-rs/bcrypt', { spy: true });

const credentials = { name: 'anna', password: PASSWORD };
const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };

describe('log-in', () => {
  it('answers JSON with the token, in a cookie that scripts and other sites cannot use', async () => {
    const backend = await startBackend();
    const reply = await backend.request('/login', json(credentials));
    expect(reply.json).toEqual({ user: 'anna', role: 'admin', csrfToken: expect.any(String) });
    const cookies = reply.headers['set-cookie']!;
    expect(cookies).toHaveLength(1);
    expect(cookies[0]).toMatch(/^can-ota-session=[0-9a-f]{64}; /);
    expect(cookies[0]).toMatch(/; httponly/i);
    expect(cookies[0]).toMatch(/; samesite=strict/i);
    expect(cookies[0]).not.toMatch(/; secure/i);
    const session = await backend.request('/session', { headers: { Cookie: cookieOf(reply) } });
    expect(session.json).toMatchObject({ user: 'anna', role: 'admin' });
    // A copy of the database opens no session.
    const id = cookies[0]!.slice('can-ota-session='.length, 80);
    const stored = await Promise.all(
      ['can-ota.db', 'can-ota.db-wal'].map((name) => readFile(path.join(backend.dataDir, name))),
    );
    expect(stored.some((bytes) => bytes.includes(id))).toBe(false);
  });

  it('leads a form to the releases', async () => {
    const backend = await startBackend();
    const reply = await backend.request('/login', {
      method: 'POST',
      headers: { ...FORM, Accept: 'text/html', Origin: backend.url },
      body: new URLSearchParams({ ...credentials, name: 'ANNA' }).toString(),
    });
    expect([reply.status, reply.headers.location]).toEqual([303, '/']);
    const page = await backend.request('/', {
      headers: { Cookie: cookieOf(reply), Accept: 'text/html' },
    });
    expect(page.text).toContain('Release firmware');
  });

  it('marks the cookie Secure when told, or when a trusted proxy speaks TLS', async () => {
    const https = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-For': '127.0.0.9' };
    const login = async (options: Parameters<typeof startBackend>[0], headers = {}) => {
      const backend = await startBackend(options);
      const init = json(credentials);
      const reply = await backend.request('/login', {
        ...init,
        headers: { ...init.headers, ...headers },
      });
      expect(reply.status).toBe(200);
      return /; secure/i.test(reply.headers['set-cookie']![0]!);
    };
    expect(await login({ secureCookies: true })).toBe(true);
    expect(await login({ trustProxy: true }, https)).toBe(true);
    expect(await login({ trustProxy: ['127.0.0.1'] }, https)).toBe(true);
    expect(await login({ trustProxy: ['10.0.0.0/8'] }, https)).toBe(false);
    expect(await login({}, https)).toBe(false);
  });

  it('tells a wrong name and a wrong password apart neither in words nor in the work done', async () => {
    const backend = await startBackend({ bcryptCost: 5 }); // the hashes of anna and vera cost 4
    /** What it answers, and the cost of each hash that it compared with. */
    const refusal = async (name: string) => {
      vi.mocked(compare).mockClear();
      const reply = await backend.request('/login', json({ name, password: 'wrong password' }));
      expect(reply.status).toBe(401);
      const hashes = vi.mocked(compare).mock.calls.map(([, hash]) => String(hash));
      return { text: reply.text, costs: hashes.map((hash) => hash.split('$')[2]) };
    };
    const unknown = await refusal('nobody');
    const known = await refusal('anna');
    expect(unknown.text).toBe(known.text);
    expect(JSON.parse(unknown.text).code).toBe('LOGIN_FAILED');
    expect(known.costs).toEqual(['04']);
    expect(unknown.costs).toEqual(['05']);
  });

  it('refuses passwords that bcrypt would cut short, also when the beginning is right', async () => {
    const backend = await startBackend();
    for (const password of [`${PASSWORD}\0x`, PASSWORD.padEnd(80, 'x'), '']) {
      const reply = await backend.request('/login', json({ name: 'anna', password }));
      expect(reply.status).toBe(401);
    }
  });

  it('gives a new session identifier at every log-in, and ends the one before', async () => {
    const backend = await startBackend();
    const planted = `can-ota-session=${'a'.repeat(64)}`;
    const init = json(credentials);
    const first = await backend.request('/login', {
      ...init,
      headers: { ...init.headers, Cookie: planted },
    });
    const firstCookie = cookieOf(first);
    expect(firstCookie).not.toBe(planted);
    expect((await backend.request('/session', { headers: { Cookie: planted } })).status).toBe(401);
    const second = await backend.request('/login', {
      ...init,
      headers: { ...init.headers, Cookie: firstCookie },
    });
    expect(cookieOf(second)).not.toBe(firstCookie);
    expect((await backend.request('/session', { headers: { Cookie: firstCookie } })).status).toBe(
      401,
    );
    const third = await backend.request('/session', { headers: { Cookie: cookieOf(second) } });
    expect(third.status).toBe(200);
  });

  it('refuses forms of other sites, and takes programs that name no origin', async () => {
    const backend = await startBackend();
    const status = async (headers: Record<string, string>) => {
      const init = json(credentials);
      return (
        await backend.request('/login', { ...init, headers: { ...init.headers, ...headers } })
      ).status;
    };
    expect(await status({ Origin: 'https://evil.example' })).toBe(403);
    expect(await status({ Origin: 'null' })).toBe(403);
    expect(await status({ 'Sec-Fetch-Site': 'cross-site' })).toBe(403);
    expect(await status({ 'Sec-Fetch-Site': 'same-site' })).toBe(403);
    expect(await status({ 'Sec-Fetch-Site': 'same-origin', Origin: backend.url })).toBe(200);
    expect(await status({ Origin: backend.url })).toBe(200);
    expect(await status({})).toBe(200);
  });
});

describe('the throttle', () => {
  it('stops the address that guesses, and not the person', async () => {
    const backend = await startBackend();
    const guess = { ...json({ name: 'anna', password: 'a wrong guess' }), from: '127.0.0.9' };
    for (let index = 0; index < 10; index++) {
      expect((await backend.request('/login', guess)).status).toBe(401);
    }
    const stopped = await backend.request('/login', guess);
    expect([stopped.status, stopped.json.code]).toEqual([429, 'LOGIN_THROTTLED']);
    const wait = Number(stopped.headers['retry-after']);
    expect(wait).toBeGreaterThan(800);
    expect(wait).toBeLessThanOrEqual(900);
    // The right password does not get past it from there; from elsewhere it does.
    const there = { ...json(credentials), from: '127.0.0.9' };
    expect((await backend.request('/login', there)).status).toBe(429);
    expect((await backend.request('/login', json(credentials))).status).toBe(200);
  });

  it('shuts out neither a browser nor an address from which the person has logged in', async () => {
    const backend = await startBackend();
    const form = (headers: Record<string, string>, from: string, password = PASSWORD) =>
      backend.request('/login', {
        method: 'POST',
        headers: { ...FORM, ...headers },
        body: new URLSearchParams({ name: 'anna', password }).toString(),
        from,
      });
    const first = await form({}, '127.0.0.1');
    const browser = cookieOf(first)
      .split('; ')
      .find((cookie) => cookie.startsWith('can-ota-client='))!;
    expect(first.headers['set-cookie']!.join()).toMatch(/can-ota-client=.*httponly/i);
    // Guesses from very many addresses: the name is closed to addresses that nobody knows.
    const statuses = new Set<number>();
    for (let index = 0; index < 320; index++) {
      const reply = await form({}, `127.0.${1 + Math.floor(index / 9)}.3`, 'wrong');
      statuses.add(reply.status);
    }
    expect([...statuses]).toEqual([401, 429]);
    expect((await form({}, '127.0.99.1')).status).toBe(429);
    expect((await form({}, '127.0.0.1')).status).toBe(303);
    expect((await form({ Cookie: browser }, '127.0.99.1')).status).toBe(303);
    // The proof of another person, or one that was made up, counts as none.
    const forged = `${browser.slice(0, -1)}${browser.endsWith('0') ? '1' : '0'}`;
    expect((await form({ Cookie: forged }, '127.0.99.1')).status).toBe(429);
  });

  it('stops one address that tries many names, and forgives who gets it right', async () => {
    const backend = await startBackend();
    for (let index = 0; index < 40; index++) {
      expect((await backend.request('/login', json(credentials))).status).toBe(200);
    }
    const statuses = new Set<number>();
    for (let index = 0; index < 31; index++) {
      const name = `name${index}`;
      statuses.add((await backend.request('/login', json({ name, password: 'x' }))).status);
    }
    expect([...statuses]).toEqual([401, 429]);
    const elsewhere = await backend.request('/login', { ...json(credentials), from: '127.0.0.2' });
    expect(elsewhere.status).toBe(200);
  });
});

describe('sessions', () => {
  it('end after eight hours without a request, and live on with requests', async () => {
    const backend = await startBackend();
    const client = await backend.login();
    for (let hour = 0; hour < 14; hour += 7) {
      backend.clock.skip(7 * 3_600_000);
      expect((await client.request('/session')).status).toBe(200);
    }
    backend.clock.skip(8 * 3_600_000 + 1);
    expect((await client.request('/session')).status).toBe(401);
  });

  it('end after a day, whatever happens', async () => {
    const backend = await startBackend();
    const client = await backend.login();
    for (let hour = 1; hour < 24; hour++) {
      backend.clock.skip(3_600_000);
      expect((await client.request('/session')).status).toBe(200);
    }
    backend.clock.skip(3_600_000);
    expect((await client.request('/session')).status).toBe(401);
  });

  it('end with the log-out, which needs the token', async () => {
    const backend = await startBackend();
    const client = await backend.login();
    const without = await client.request('/logout', {
      method: 'POST',
      headers: { 'X-CSRF-Token': '' },
    });
    expect([without.status, without.json.code]).toEqual([403, 'CSRF']);
    const other = await backend.login('vera');
    const foreign = await client.request('/logout', {
      method: 'POST',
      headers: { 'X-CSRF-Token': other.csrfToken },
    });
    expect(foreign.status).toBe(403);
    const form = await client.request('/logout', {
      method: 'POST',
      headers: { ...FORM, 'X-CSRF-Token': '', Accept: 'text/html' },
      body: new URLSearchParams({ _csrf: client.csrfToken }).toString(),
    });
    expect([form.status, form.headers.location]).toEqual([303, '/login']);
    expect((await client.request('/session')).status).toBe(401);
  });

  it('end when the password changes or the user goes, and are not brought back', async () => {
    const backend = await startBackend();
    const cost = { bcryptCost: FAST_BCRYPT };
    const anna = await backend.login();
    await changePassword(backend.dataDir, 'anna', 'another password', cost);
    expect((await anna.request('/session')).status).toBe(401);
    expect((await backend.request('/login', json(credentials))).status).toBe(401);
    const vera = await backend.login('vera');
    await removeUser(backend.dataDir, 'vera');
    expect((await vera.request('/session')).status).toBe(401);
  });

  it('end for good, also when a request that began before the log-out ends after it', async () => {
    const backend = await startBackend();
    const client = await backend.login();
    const slow = http.request({
      host: '127.0.0.1',
      port: backend.port,
      path: '/upload',
      method: 'POST',
      agent: false,
      headers: {
        Cookie: client.cookie,
        'X-CSRF-Token': client.csrfToken,
        'Content-Type': 'multipart/form-data; boundary=b',
      },
    });
    const answered = new Promise<number>((resolve, reject) => {
      slow.on('error', reject);
      slow.on('response', (response) => resolve(response.resume().statusCode!));
    });
    slow.write('--b\r\nContent-Disposition: form-data; name="file"; filename="x.bin"\r\n\r\nx');
    const incoming = path.join(backend.dataDir, 'incoming');
    await expect.poll(() => readdir(incoming)).toHaveLength(1);
    expect((await client.request('/logout', { method: 'POST' })).status).toBe(204);
    slow.end('\r\n--b--\r\n');
    expect(await answered).toBe(400); // fields are missing; what matters is that it ended
    expect((await client.request('/session')).status).toBe(401);
  });

  it('lead browsers to the log-in page and tell programs 401', async () => {
    const backend = await startBackend();
    for (const page of ['/', '/vehicles', '/audit']) {
      const browser = await backend.request(page, { headers: { Accept: 'text/html,*/*;q=0.8' } });
      expect([browser.status, browser.headers.location]).toEqual([303, '/login']);
      const program = await backend.request(page);
      expect([program.status, program.json.code]).toEqual([401, 'LOGIN_REQUIRED']);
    }
  });

  it('let a viewer look, but neither upload nor download', async () => {
    const backend = await startBackend();
    const vera = await backend.login('vera');
    for (const page of ['/', '/vehicles', '/audit']) {
      expect((await vera.request(page)).status).toBe(200);
    }
    const page = await vera.request('/', { headers: { Accept: 'text/html' } });
    expect(page.text).not.toContain('action="/upload"');
    const upload = await vera.upload({ ecu: 'EDT', version: '1', image: Buffer.from('x') });
    expect([upload.status, upload.json.code]).toEqual([403, 'ROLE']);
    const download = await vera.request('/upload/EDT-1-0123456789ab.bin');
    expect([download.status, download.json.code]).toEqual([403, 'ROLE']);
  });
});
