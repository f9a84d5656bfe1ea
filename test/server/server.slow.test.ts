// The server as a whole: allow list, proxies, headers, methods, health, start and end.

import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { ServerError } from '../../server/platform/http/errors.ts';
import { createServer } from '../../server/server.ts';
import { systemClock } from '../../src/core/clock.ts';
import { InputError } from '../../src/core/errors.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { systemRandom } from '../../src/core/random.ts';
import { json, startBackend, temporaryFolder } from './support.ts';

const PATHS = [
  '/',
  '/healthz',
  '/latest_version',
  '/get_nonce',
  '/ota_download/EDT-1-0123456789ab.bin',
  '/report_versions',
  '/login',
  '/session',
  '/upload',
  '/static/style.css',
  '/nothing',
  '/%ZZ',
];

describe('the allow list', () => {
  it('refuses other addresses on every path and method', async () => {
    const backend = await startBackend({ allowCidrs: ['127.0.0.1'] });
    for (const path of PATHS) {
      for (const method of ['GET', 'POST', 'HEAD', 'DELETE', 'OPTIONS']) {
        const reply = await backend.request(path, { method, from: '127.0.0.2' });
        expect(reply.status, `${method} ${path}`).toBe(403);
        if (method !== 'HEAD') expect(reply.json.code).toBe('ADDRESS_NOT_ALLOWED');
      }
    }
    expect((await backend.request('/healthz')).status).toBe(200);
  });

  it('is the loopback when nothing is said, and the log says so', async () => {
    const backend = await startBackend();
    expect((await backend.request('/healthz', { from: '127.0.0.2' })).status).toBe(200);
    expect(backend.log.join()).toContain('only this machine');
  });

  it('believes X-Forwarded-For of trusted proxies only', async () => {
    const forwarded = (value: string, from?: string) => ({
      headers: { 'X-Forwarded-For': value },
      ...(from === undefined ? {} : { from }),
    });
    const direct = await startBackend({ allowCidrs: ['10.0.0.0/8'] });
    expect((await direct.request('/healthz', forwarded('10.1.1.1'))).status).toBe(403);
    const proxied = await startBackend({ allowCidrs: ['10.0.0.0/8'], trustProxy: ['127.0.0.1'] });
    const status = async (value: string, from?: string) =>
      (await proxied.request('/healthz', forwarded(value, from))).status;
    expect(await status('10.1.1.1')).toBe(200);
    expect(await status('10.1.1.1, 9.9.9.9')).toBe(403); // the left one was written by the client
    expect(await status('9.9.9.9, 10.1.1.1')).toBe(200);
    expect(await status('garbage')).toBe(403);
    expect(await status('10.1.1.1', '127.0.0.2')).toBe(403);
  });

  it('counts a flood of refusals in one line of the log', async () => {
    const backend = await startBackend({ allowCidrs: ['127.0.0.1'] });
    for (let index = 0; index < 50; index++) await backend.request('/', { from: '127.0.0.7' });
    const admin = await backend.login();
    const { entries } = (await admin.request('/audit?q=127.0.0.7')).json;
    expect(entries).toMatchObject([{ action: 'refused.address', count: 50 }]);
  });
});

describe('every answer', () => {
  it('carries security headers and no name of the software', async () => {
    const backend = await startBackend({ secureCookies: true });
    for (const path of ['/login', '/healthz', '/nothing', '/static/style.css']) {
      const { headers } = await backend.request(path);
      expect(headers['x-powered-by']).toBeUndefined();
      expect(headers.server).toBeUndefined();
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect(headers['x-frame-options']).toBe('DENY');
      expect(headers['strict-transport-security']).toMatch(/max-age=\d+/);
      const policy = headers['content-security-policy'];
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toContain('unsafe');
    }
    const plain = await startBackend();
    expect((await plain.request('/login')).headers['strict-transport-security']).toBeUndefined();
  });

  it('is a problem in JSON for programs and a page for browsers', async () => {
    const backend = await startBackend();
    const program = await backend.request('/nothing');
    expect(program.headers['content-type']).toBe('application/problem+json');
    expect(program.json).toEqual({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      detail: expect.any(String),
      code: 'NOT_FOUND',
    });
    const browser = await backend.request('/nothing', { headers: { Accept: 'text/html' } });
    expect(browser.status).toBe(404);
    expect(browser.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(browser.text).toContain('NOT_FOUND');
    expect(browser.text).not.toMatch(/<script(?! src)|\sstyle=|\son\w+=/);
  });

  it('names the methods that a path has', async () => {
    const backend = await startBackend();
    const wrong = await backend.request('/latest_version', { method: 'DELETE' });
    expect([wrong.status, wrong.json.code]).toEqual([405, 'METHOD_NOT_ALLOWED']);
    expect((await backend.request('/report_versions')).status).toBe(405);
    expect((await backend.request('/upload')).status).toBe(405);
  });

  it('serves the files of the pages, for good under their hash', async () => {
    const backend = await startBackend();
    const page = await backend.request('/login', { headers: { Accept: 'text/html' } });
    const [address] = /\/static\/style\.css\?v=\w+/.exec(page.text)!;
    const pinned = await backend.request(address);
    expect(pinned.headers['content-type']).toBe('text/css; charset=utf-8');
    expect(pinned.headers['cache-control']).toContain('immutable');
    expect((await backend.request('/static/style.css')).headers['cache-control']).toContain(
      'no-cache',
    );
    expect((await backend.request('/static/pages.ts')).status).toBe(404);
  });
});

describe('a client that stalls', () => {
  it('is told so after ten seconds, and loses its connection', async () => {
    const backend = await startBackend();
    backend.clock.timerScale = 0.001;
    const slow = connect(backend.port, '127.0.0.1');
    let answer = '';
    slow.on('data', (chunk) => {
      answer += chunk;
    });
    const closed = new Promise<void>((resolve) => slow.once('close', () => resolve()));
    slow.write('POST /report_versions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n');
    slow.write('Content-Length: 10\r\n\r\n{');
    await closed;
    expect(backend.clock.asked.get('body')).toBe(10_000);
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain('BODY_TIMEOUT');
  });
});

describe('/healthz', () => {
  it('knows version and database', async () => {
    const backend = await startBackend();
    expect((await backend.request('/healthz')).json).toEqual({
      status: 'ok',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      database: 'ok',
      uptimeSeconds: expect.any(Number),
      metadata: [],
      vehicles: { known: 0, day: 0, week: 0, month: 0 },
      tokens: [],
      notices: [],
    });
  });
});

describe('start and end', () => {
  const base = { clock: systemClock, random: systemRandom, logger: silentLogger };

  it('refuses a data folder on which another server works, and takes it over afterwards', async () => {
    const backend = await startBackend();
    const again = () => createServer({ ...base, dataDir: backend.dataDir });
    await expect(again()).rejects.toThrow(ServerError);
    await expect(again()).rejects.toMatchObject({ code: 'DATA_DIRECTORY_BUSY' });
    await backend.close();
    await (await again()).close();
  });

  it('says which port is taken', async () => {
    const backend = await startBackend();
    const other = await createServer({ ...base, dataDir: await temporaryFolder() });
    await expect(other.listen(backend.port, '127.0.0.1')).rejects.toMatchObject({
      code: 'LISTEN',
      message: expect.stringContaining(String(backend.port)),
    });
    await other.close();
  });

  it('refuses bad options by name', async () => {
    const dataDir = await temporaryFolder();
    await expect(createServer({ ...base, dataDir, allowCidrs: ['x'] })).rejects.toThrow(InputError);
    await expect(createServer({ ...base, dataDir, maxUploadBytes: 2 ** 32 })).rejects.toThrow(
      /upload limit: .*1 to 4294967295 bytes \(4 GiB less one\)/,
    );
    // The folder is not left locked by any of these.
    await (await createServer({ ...base, dataDir, maxUploadBytes: 2 ** 32 - 1 })).close();
  });

  it('ends although a client hangs, and keeps what was written', async () => {
    const dataDir = await temporaryFolder();
    const backend = await startBackend({ dataDir });
    await backend.request(
      '/report_versions',
      json({ vin: 'V1', outcome: 'SUCCESS', ecus: [{ name: 'EDT', version: '1' }] }),
    );
    const hanging = connect(backend.port, '127.0.0.1');
    hanging.on('error', () => {});
    hanging.resume();
    await new Promise<void>((resolve) => hanging.once('connect', resolve));
    hanging.write('POST /report_versions HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n');
    const closed = new Promise<void>((resolve) => hanging.once('close', () => resolve()));
    await backend.close();
    await closed;
    const next = await startBackend({ dataDir });
    const viewer = await next.login('vera');
    expect((await viewer.request('/vehicles')).json.reports).toHaveLength(1);
  });
});
