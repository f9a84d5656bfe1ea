// What vehicles ask, over a real connection: newest releases, nonces, downloads, reports.

import { createHash } from 'node:crypto';
import http from 'node:http';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { type Backend, json, startBackend } from './support.ts';

const IMAGE = Uint8Array.from({ length: 100_000 }, (_, index) => (index * 7) % 251);
const SHA256 = createHash('sha256').update(IMAGE).digest('hex');
const VIN = 'WVWZZZ1JZXW000001';

async function withRelease(): Promise<{ backend: Backend; url: string }> {
  const backend = await startBackend();
  const admin = await backend.login();
  const reply = await admin.upload({ ecu: 'EDT', version: '2.0.0', image: IMAGE });
  expect(reply.status).toBe(201);
  return { backend, url: `/ota_download/${reply.json.file}` };
}

async function nonceFor(backend: Backend, vin = VIN, from?: string): Promise<string> {
  const reply = await backend.request(`/get_nonce?vin=${vin}`, from === undefined ? {} : { from });
  expect(reply.status).toBe(200);
  return reply.json.nonce;
}

describe('/latest_version', () => {
  it('answers for each ECU with its newest version, never with the newest file', async () => {
    const backend = await startBackend();
    const admin = await backend.login();
    const versions = [
      ['EDT', '1.10.0'],
      ['INV', '3.0.0'],
      ['EDT', '1.9.0'],
      ['EDT', '1.10.0-rc.1'],
    ] as const;
    for (const [ecu, version] of versions) {
      const image = new TextEncoder().encode(ecu + version);
      expect((await admin.upload({ ecu, version, image, notes: 'why' })).status).toBe(201);
    }
    const all = await backend.request(`/latest_version?vin=${VIN}`);
    expect(all.headers['content-type']).toMatch(/^application\/json/);
    expect(all.json).toEqual({
      vin: VIN,
      releases: ['EDT 1.10.0', 'INV 3.0.0'].map((text) => {
        const [ecu, version] = text.split(' ') as [string, string];
        const sha256 = createHash('sha256')
          .update(ecu + version)
          .digest('hex');
        const file = `${ecu}-${version}-${sha256.slice(0, 12)}.bin`;
        const size = ecu.length + version.length;
        return { ecu, version, file, size, sha256, notes: 'why', url: `/ota_download/${file}` };
      }),
    });
    const asked = await backend.request('/latest_version?ecu=INV&ecu=NONE');
    expect(asked.json.vin).toBeNull();
    expect(asked.json.releases.map((release: { ecu: string }) => release.ecu)).toEqual(['INV']);
  });

  it('says 304 to a known tag, and writes nothing to the database for it', async () => {
    const { backend } = await withRelease();
    const first = await backend.request(`/latest_version?vin=${VIN}`);
    const etag = first.headers.etag!;
    expect(etag).toMatch(/^"[\w-]{43}"$/);
    // SQLite's own counter of commits by other connections.
    const watcher = new DatabaseSync(path.join(backend.dataDir, 'can-ota.db'), { readOnly: true });
    const commits = () => watcher.prepare('PRAGMA data_version').get()!.data_version;
    const before = commits();
    for (const header of [etag, `"x", W/${etag}`]) {
      const again = await backend.request(`/latest_version?vin=${VIN}`, {
        headers: { 'If-None-Match': header, 'Cache-Control': 'no-cache' },
      });
      expect(again.status).toBe(304);
      expect(again.body).toHaveLength(0);
      expect(again.headers.etag).toBe(etag);
    }
    expect(commits()).toBe(before);
    await nonceFor(backend);
    expect(commits()).not.toBe(before); // the counter does count
    watcher.close();

    const other = await backend.request('/latest_version?vin=OTHER', {
      headers: { 'If-None-Match': etag },
    });
    expect(other.status).toBe(200);
    const admin = await backend.login();
    await admin.upload({ ecu: 'EDT', version: '2.0.1', image: IMAGE });
    const changed = await backend.request(`/latest_version?vin=${VIN}`, {
      headers: { 'If-None-Match': etag },
    });
    expect(changed.status).toBe(200);
    expect(changed.json.releases[0].version).toBe('2.0.1');
  });

  it.each(['vin=a%20b', 'vin=', 'ecu=edt', 'ecu=..', 'vin=A&vin=B', `ecu=A${'&ecu=A'.repeat(70)}`])(
    'refuses ?%.20s with the name of the field',
    async (query) => {
      const backend = await startBackend();
      const reply = await backend.request(`/latest_version?${query}`);
      expect(reply.status).toBe(400);
      expect(reply.headers['content-type']).toMatch(/^application\/problem\+json/);
      expect(reply.json).toMatchObject({ status: 400, code: 'BAD_FIELD' });
      expect(reply.json.detail).toMatch(/^(vin|ecu)/);
    },
  );
});

describe('/get_nonce and /ota_download', () => {
  it('sends the image once for a nonce, with its length and digests', async () => {
    const { backend, url } = await withRelease();
    const nonce = await nonceFor(backend);
    expect(nonce).toMatch(/^[0-9a-f]{32}$/);
    const got = await backend.request(`${url}?nonce=${nonce}`, {
      headers: { 'X-Vehicle-VIN': VIN },
    });
    expect(got.status).toBe(200);
    expect(Buffer.compare(got.body, IMAGE)).toBe(0);
    expect(got.headers).toMatchObject({
      'content-length': String(IMAGE.length),
      'content-type': 'application/octet-stream',
      etag: `"${SHA256}"`,
      'accept-ranges': 'bytes',
      'x-checksum-sha256': SHA256,
      'repr-digest': `sha-256=:${Buffer.from(SHA256, 'hex').toString('base64')}:`,
    });
    const again = await backend.request(`${url}?nonce=${nonce}`, {
      headers: { 'X-Vehicle-VIN': VIN },
    });
    expect([again.status, again.json.code]).toEqual([403, 'NONCE_USED']);
  });

  it('gives POST /get_nonce the same answer', async () => {
    const backend = await startBackend();
    const reply = await backend.request('/get_nonce', { method: 'POST' });
    expect(reply.json).toEqual({
      nonce: expect.stringMatching(/^[0-9a-f]{32}$/),
      expiresInSeconds: 300,
    });
    expect(reply.headers['cache-control']).toBe('no-store');
  });

  it('lets exactly one of many simultaneous requests have the image', async () => {
    const { backend, url } = await withRelease();
    const nonce = await nonceFor(backend);
    const replies = await Promise.all(
      Array.from({ length: 24 }, (_, index) =>
        backend.request(
          `${url}?nonce=${nonce}`,
          index % 2 ? { headers: { Range: 'bytes=0-' } } : {},
        ),
      ),
    );
    const served = replies.filter((reply) => reply.status < 300);
    expect(served).toHaveLength(1);
    expect(served[0]!.body).toHaveLength(IMAGE.length);
    const refused = replies.filter((reply) => reply.status === 403);
    expect(refused.map((reply) => reply.json.code)).toEqual(Array(23).fill('NONCE_USED'));
  });

  it('resumes by range under the same nonce while it lives, not after', async () => {
    const { backend, url } = await withRelease();
    const whole = `${url}?nonce=${await nonceFor(backend)}&vin=${VIN}`;
    const range = (bytes: string) => backend.request(whole, { headers: { Range: bytes } });
    const part = await range('bytes=60000-79999');
    expect(part.status).toBe(206);
    expect(part.headers['content-range']).toBe(`bytes 60000-79999/${IMAGE.length}`);
    expect(Buffer.compare(part.body, IMAGE.subarray(60_000, 80_000))).toBe(0);
    const beyond = await range('bytes=100000-');
    expect([beyond.status, beyond.headers['content-range']]).toEqual([416, 'bytes */100000']);

    backend.clock.skip(5 * 60_000 - 5000);
    expect((await range('bytes=1-9')).status).toBe(206);
    backend.clock.skip(5001);
    const late = await range('bytes=1-9');
    expect([late.status, late.json.code]).toEqual([403, 'NONCE_EXPIRED']);
  });

  it.each([
    ['the whole image', [undefined]],
    ['two halves', ['bytes=0-49999', 'bytes=50000-']],
    ['the second half first', ['bytes=50000-', 'bytes=0-49999']],
    ['three parts that overlap', ['bytes=0-69999', 'bytes=30000-79999', 'bytes=80000-99999']],
    ['all but the first byte, again and again', ['bytes=1-', 'bytes=1-']],
  ])('a nonce ends with the last byte: %s', async (_name, ranges) => {
    const { backend, url } = await withRelease();
    const target = `${url}?nonce=${await nonceFor(backend)}&vin=${VIN}`;
    const get = (range: string | undefined) =>
      backend.request(target, range === undefined ? {} : { headers: { Range: range } });
    for (const range of ranges) expect((await get(range)).status).toBeLessThan(300);
    for (const range of ['bytes=1-', 'bytes=99999-', 'bytes=0-0', undefined]) {
      const reply = await get(range);
      expect([range, reply.status, reply.json.code]).toEqual([range, 403, 'NONCE_USED']);
    }
    const head = await backend.request(target, { method: 'HEAD' });
    expect(head.status).toBe(403);
  });

  it('continues an earlier download under a new nonce, and then still has the whole image once', async () => {
    const { backend, url } = await withRelease();
    const target = `${url}?nonce=${await nonceFor(backend)}`;
    const headers = { Range: 'bytes=99999-', 'If-Range': `"${SHA256}"` };
    expect((await backend.request(target, { headers })).status).toBe(206);
    expect((await backend.request(target)).status).toBe(200);
    expect((await backend.request(target)).status).toBe(403);
    // A part that turns into the whole, because the content is not what the client has, counts as the whole.
    const fresh = `${url}?nonce=${await nonceFor(backend)}`;
    const stale = { Range: 'bytes=5-', 'If-Range': '"old"' };
    expect((await backend.request(fresh, { headers: stale })).status).toBe(200);
    expect((await backend.request(fresh, { headers: stale })).status).toBe(403);
  });

  it('knows the asker by address and VIN', async () => {
    const { backend, url } = await withRelease();
    const nonce = await nonceFor(backend);
    const elsewhere = await backend.request(`${url}?nonce=${nonce}&vin=${VIN}`, {
      from: '127.0.0.2',
    });
    expect([elsewhere.status, elsewhere.json.code]).toEqual([403, 'NONCE_FOREIGN']);
    const otherVin = await backend.request(`${url}?nonce=${nonce}&vin=OTHER`);
    expect([otherVin.status, otherVin.json.code]).toEqual([403, 'NONCE_FOREIGN']);
    // Refusals cost the owner nothing.
    expect((await backend.request(`${url}?nonce=${nonce}&vin=${VIN}`)).status).toBe(200);
    // Not even that it is used up is told to others.
    const later = await backend.request(`${url}?nonce=${nonce}`, { from: '127.0.0.2' });
    expect(later.json.code).toBe('NONCE_FOREIGN');
  });

  it('binds the nonce to the first file', async () => {
    const { backend, url } = await withRelease();
    const admin = await backend.login();
    const second = await admin.upload({ ecu: 'INV', version: '1', image: IMAGE });
    const nonce = await nonceFor(backend);
    expect(
      (await backend.request(`${url}?nonce=${nonce}`, { headers: { Range: 'bytes=9-' } })).status,
    ).toBe(206);
    const other = await backend.request(`/ota_download/${second.json.file}?nonce=${nonce}`);
    expect([other.status, other.json.code]).toEqual([403, 'NONCE_OTHER_FILE']);
  });

  it.each([
    ['', 'NONCE_MISSING'],
    ['?nonce=', 'NONCE_MISSING'],
    [`?nonce=${'0'.repeat(32)}`, 'NONCE_UNKNOWN'],
    ['?nonce=short', 'NONCE_UNKNOWN'],
    [`?nonce=${'0'.repeat(32)}&nonce=${'1'.repeat(32)}`, 'NONCE_UNKNOWN'],
  ])('refuses %j', async (query, code) => {
    const { backend, url } = await withRelease();
    const reply = await backend.request(url + query);
    expect([reply.status, reply.json.code]).toEqual([403, code]);
  });

  it('answers HEAD and a known tag without using up the nonce', async () => {
    const { backend, url } = await withRelease();
    const target = `${url}?nonce=${await nonceFor(backend)}`;
    const head = await backend.request(target, { method: 'HEAD' });
    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([
      200,
      '100000',
      0,
    ]);
    const part = await backend.request(target, { method: 'HEAD', headers: { Range: 'bytes=9-' } });
    expect([part.status, part.headers['content-length']]).toEqual([206, '99991']);
    const known = await backend.request(target, { headers: { 'If-None-Match': `"${SHA256}"` } });
    expect(known.status).toBe(304);
    expect((await backend.request(target)).status).toBe(200);
    const stranger = await backend.request(target, { method: 'HEAD', from: '127.0.0.3' });
    expect(stranger.status).toBe(403);
  });

  it.each([
    '..%2f..%2fcan-ota.db',
    '../can-ota.db',
    '../../etc/passwd',
    '%2e%2e%2fcan-ota.db',
    '..%5c..%5ccan-ota.db',
    '%00',
    'EDT-1.0.0-000000000000.bin%00',
    '%2Fetc%2Fpasswd',
    '%ZZ',
    '%C0%AE%C0%AE%2Fx',
    '..',
    '.',
    'EDT-2.0.0-..........bin',
    'a'.repeat(5000),
  ])('never turns the name %.40s into a file', async (name) => {
    const { backend } = await withRelease();
    const nonce = await nonceFor(backend);
    for (const folder of ['/ota_download/', '/upload/', '/static/']) {
      const admin = await backend.login();
      const reply = await admin.request(`${folder}${name}?nonce=${nonce}`);
      expect([400, 404], `${folder} ${reply.status}`).toContain(reply.status);
      expect(reply.json.code).toMatch(/^(BAD_NAME|NOT_FOUND)$/);
    }
  });

  it('says 404 for a name that fits but does not exist, only to holders of a nonce', async () => {
    const { backend } = await withRelease();
    const target = '/ota_download/EDT-9.9.9-0123456789ab.bin';
    expect((await backend.request(target)).status).toBe(403);
    expect((await backend.request(`${target}?nonce=${await nonceFor(backend)}`)).status).toBe(404);
  });

  it('records a download that the client broke off', async () => {
    const backend = await startBackend();
    const admin = await backend.login();
    const image = new Uint8Array(8 * 1024 * 1024).fill(1);
    const { file } = (await admin.upload({ ecu: 'EDT', version: '1', image })).json;
    const target = `/ota_download/${file}?nonce=${await nonceFor(backend)}`;
    await new Promise<void>((resolve) => {
      const cut = http.get(`${backend.url}${target}`, { agent: false }, (response) => {
        response.once('data', () => cut.destroy());
        response.on('error', () => {});
        response.on('close', resolve);
      });
      cut.on('error', () => {});
    });
    await expect
      .poll(async () => (await admin.request('/audit?q=download')).json.entries, {
        timeout: 60_000,
      })
      .toMatchObject([{ action: 'download.aborted' }, { action: 'download.start' }]);
    const rest = await backend.request(target, { headers: { Range: 'bytes=1000000-' } });
    expect([rest.status, rest.body.length]).toEqual([206, image.length - 1_000_000]);
  });

  it('limits the open nonces of one address, not of another', async () => {
    const backend = await startBackend({ openNoncesPerAddress: 3 });
    const admin = await backend.login();
    const { file } = (await admin.upload({ ecu: 'EDT', version: '1', image: IMAGE })).json;
    const nonces: string[] = [];
    for (let index = 0; index < 3; index++) nonces.push(await nonceFor(backend, `V${index}`));
    const refused = await backend.request('/get_nonce');
    expect([refused.status, refused.json.code]).toEqual([429, 'NONCE_LIMIT']);
    expect(refused.headers['retry-after']).toBe('60');
    expect((await backend.request('/get_nonce', { from: '127.0.0.2' })).status).toBe(200);
    await backend.request(`/ota_download/${file}?nonce=${nonces[0]}`); // a used one is no longer open
    expect((await backend.request('/get_nonce')).status).toBe(200);
    expect((await backend.request('/get_nonce')).status).toBe(429);
    backend.clock.skip(5 * 60_000 + 1);
    expect((await backend.request('/get_nonce')).status).toBe(200);
  });
});

describe('/report_versions', () => {
  const report = {
    vin: VIN,
    outcome: 'ROLLBACK_COMPLETED',
    campaign: 'c1',
    reason: 'BMS was <b>silent</b>',
    ecus: [
      { name: 'EDT', hardwareId: 'EDT-HW', from: '1.0.0', version: '1.0.0', sha256: SHA256 },
      { name: 'BMS', version: null, error: 'no answer' },
    ],
  };

  it('stores what was reported, and shows it to people, escaped', async () => {
    const backend = await startBackend();
    expect((await backend.request('/report_versions', json(report))).status).toBe(204);
    const viewer = await backend.login('vera');
    const stored = (await viewer.request('/vehicles')).json.reports;
    expect(stored).toMatchObject([
      {
        vin: VIN,
        address: '127.0.0.1',
        outcome: 'ROLLBACK_COMPLETED',
        ecus: [
          { name: 'EDT', sha256: SHA256 },
          { name: 'BMS', error: 'no answer' },
        ],
      },
    ]);
    const page = await viewer.request(`/vehicles?vin=${VIN}`, { headers: { Accept: 'text/html' } });
    expect(page.text).toContain('BMS was &lt;b&gt;silent&lt;/b&gt;');
    expect(page.text).not.toContain('<b>silent');
  });

  it('keeps the last hundred of a vehicle', async () => {
    const backend = await startBackend();
    for (let index = 0; index < 103; index++) {
      await backend.request('/report_versions', json({ ...report, campaign: `c${index}` }));
    }
    const viewer = await backend.login('vera');
    const { reports } = (await viewer.request(`/vehicles?vin=${VIN}`)).json;
    expect(reports).toHaveLength(100);
    expect(reports[0].campaign).toBe('c102');
    expect(reports[99].campaign).toBe('c3');
  });

  it.each([
    ['no vin', { ...report, vin: undefined }, 'vin'],
    ['bad outcome', { ...report, outcome: 'fine' }, 'outcome'],
    ['bad ECU', { ...report, ecus: [{ name: 'edt', version: '1' }] }, 'ecus[0].name'],
    ['bad hash', { ...report, ecus: [{ name: 'EDT', sha256: 'x' }] }, 'ecus[0].sha256'],
    ['too many ECUs', { ...report, ecus: Array(65).fill({ name: 'EDT' }) }, 'ecus'],
    ['a list', [report], 'the input'],
  ])('refuses %s and names the field', async (_name, body, field) => {
    const backend = await startBackend();
    const reply = await backend.request('/report_versions', json(body));
    expect([reply.status, reply.json.code]).toEqual([400, 'BAD_FIELD']);
    expect(reply.json.detail.startsWith(`${field}:`)).toBe(true);
  });

  it('refuses what is not JSON, too large or compressed', async () => {
    const backend = await startBackend();
    const send = async (headers: Record<string, string>, body: string) => {
      const reply = await backend.request('/report_versions', { method: 'POST', headers, body });
      return [reply.status, reply.json.code];
    };
    const type = { 'Content-Type': 'application/json' };
    expect(await send(type, '{"vin":')).toEqual([400, 'BAD_JSON']);
    expect(await send(type, '')).toEqual([400, 'BAD_JSON']);
    expect(await send({ 'Content-Type': 'text/plain' }, '{}')).toEqual([
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ]);
    expect(await send({ ...type, 'Content-Encoding': 'gzip' }, 'x')).toEqual([
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ]);
    expect(await send(type, ' '.repeat(70_000))).toEqual([413, 'BODY_TOO_LARGE']);
    expect(await send({ 'Content-Type': 'application/x-www-form-urlencoded' }, 'vin=A')).toEqual([
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ]);
  });
});
