// Uploads: who may, what is accepted, and that nothing is left of what was not.

import { createHash } from 'node:crypto';
import * as fs from 'node:fs/promises';
import http from 'node:http';
import { connect } from 'node:net';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { DiskStorage, StorageError } from '../../src/core/storage.ts';
import {
  type Backend,
  json,
  PASSWORD,
  startBackend,
  temporaryFolder,
  uploadForm,
} from './support.ts';

const IMAGE = Buffer.from('firmware of the EDT');
const SHA256 = createHash('sha256').update(IMAGE).digest('hex');
const RELEASE = { ecu: 'EDT', version: '2.0.0', notes: 'Better\r\nbrakes', image: IMAGE };

async function files(backend: Backend): Promise<{ images: string[]; incoming: string[] }> {
  const [images, incoming] = await Promise.all(
    ['images', 'incoming'].map((folder) => fs.readdir(path.join(backend.dataDir, folder))),
  );
  return { images: images!, incoming: incoming! };
}

const NOTHING = { images: [], incoming: [] };

describe('who may upload', () => {
  it('401 without a session, 403 with the wrong role, 403 without the token', async () => {
    const backend = await startBackend();
    const body = uploadForm(RELEASE);
    const anonymous = await backend.request('/upload', { method: 'POST', body });
    expect([anonymous.status, anonymous.json.code]).toEqual([401, 'LOGIN_REQUIRED']);
    const browser = await backend.request('/upload', {
      method: 'POST',
      body,
      headers: { Accept: 'text/html' },
    });
    expect(browser.status).toBe(401);
    expect(browser.headers['content-type']).toMatch(/^text\/html/);
    const viewer = await (await backend.login('vera')).upload(RELEASE);
    expect([viewer.status, viewer.json.code]).toEqual([403, 'ROLE']);
    const admin = await backend.login();
    for (const token of ['', 'x', 'abcdefgh-0123456789']) {
      const reply = await admin.upload(RELEASE, { headers: { 'X-CSRF-Token': token } });
      expect([reply.status, reply.json.code]).toEqual([403, 'CSRF']);
    }
    expect(await files(backend)).toEqual(NOTHING);
    expect((await backend.request('/latest_version')).json.releases).toEqual([]);
  });

  it('answers a refused upload at once, and does not listen to it for ever', async () => {
    const backend = await startBackend();
    const endless = connect(backend.port, '127.0.0.1');
    let answer = '';
    endless.on('data', (chunk) => {
      answer += chunk;
    });
    endless.on('error', () => {});
    const closed = new Promise<void>((resolve) => endless.once('close', () => resolve()));
    let sent = 0;
    const chunk = Buffer.alloc(256 * 1024);
    const pump = (): void => {
      while (!endless.destroyed && sent < 2 ** 28) {
        sent += chunk.length;
        if (!endless.write(chunk)) return;
      }
      endless.end();
    };
    endless.on('drain', pump);
    endless.write('POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n');
    pump();
    await closed;
    expect(answer).toMatch(/^HTTP\/1\.1 401 /);
    expect(sent).toBeLessThan(2 ** 26);
  });

  it('takes the token as a field before the file, not after it', async () => {
    const backend = await startBackend();
    const admin = await backend.login();
    const withField = (first: boolean): FormData => {
      const form = new FormData();
      if (first) form.set('_csrf', admin.csrfToken);
      for (const [name, value] of uploadForm(RELEASE)) form.set(name, value);
      if (!first) form.set('_csrf', admin.csrfToken);
      return form;
    };
    const send = (body: FormData) =>
      admin.request('/upload', { method: 'POST', body, headers: { 'X-CSRF-Token': '' } });
    expect((await send(withField(false))).status).toBe(403);
    expect(await files(backend)).toEqual(NOTHING);
    expect((await send(withField(true))).status).toBe(201);
  });

  it('lets a script of a few lines release with plain fetch', async () => {
    const backend = await startBackend();
    const login = await fetch(`${backend.url}/login`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ name: 'anna', password: PASSWORD }),
    });
    const { csrfToken } = (await login.json()) as { csrfToken: string };
    const reply = await fetch(`${backend.url}/upload`, {
      method: 'POST',
      headers: {
        Cookie: login.headers.getSetCookie()[0]!.split(';')[0]!,
        'X-CSRF-Token': csrfToken,
      },
      body: uploadForm(RELEASE),
    });
    expect(reply.status).toBe(201);
  });
});

describe('what is accepted', () => {
  it('stores the image under its SHA-256 and names it for vehicles', async () => {
    const backend = await startBackend();
    const admin = await backend.login();
    const reply = await admin.upload(RELEASE);
    expect(reply.status).toBe(201);
    expect(reply.json).toEqual({
      ecu: 'EDT',
      version: '2.0.0',
      file: `EDT-2.0.0-${SHA256.slice(0, 12)}.bin`,
      size: IMAGE.length,
      sha256: SHA256,
      notes: 'Better\nbrakes',
      created: true,
    });
    expect(await files(backend)).toEqual({ images: [SHA256], incoming: [] });
    const direct = await admin.request(reply.headers.location!);
    expect(direct.body.equals(IMAGE)).toBe(true);
    expect(direct.headers['content-disposition']).toContain(`filename="${reply.json.file}"`);
  });

  it('is idempotent for the same content and refuses other content under the same version', async () => {
    const backend = await startBackend();
    const admin = await backend.login();
    expect((await admin.upload(RELEASE)).status).toBe(201);
    const again = await admin.upload(RELEASE);
    expect([again.status, again.json.created, again.json.sha256]).toEqual([200, false, SHA256]);
    const other = await admin.upload({ ...RELEASE, image: Buffer.from('other') });
    expect([other.status, other.json.code]).toEqual([409, 'RELEASE_CONFLICT']);
    expect(await files(backend)).toEqual({ images: [SHA256], incoming: [] });
    // The same content for another ECU shares the file; a refusal must not take it away.
    expect((await admin.upload({ ...RELEASE, ecu: 'INV' })).status).toBe(201);
    expect((await admin.upload({ ...RELEASE, ecu: 'BMS', version: '1' })).status).toBe(201);
    expect((await admin.upload({ ecu: 'BMS', version: '1', image: Buffer.from('z') })).status).toBe(
      409,
    );
    expect(await files(backend)).toEqual({ images: [SHA256], incoming: [] });
  });

  it('takes another spelling of a version for the same version', async () => {
    const backend = await startBackend();
    const admin = await backend.login();
    expect((await admin.upload({ ...RELEASE, version: '1.0.0' })).status).toBe(201);
    for (const version of ['v1.0.0', 'V1', '1.0', '01.0.0']) {
      const same = await admin.upload({ ...RELEASE, version });
      expect([same.status, same.json.version, same.json.created]).toEqual([200, '1.0.0', false]);
      const other = await admin.upload({ ...RELEASE, version, image: Buffer.from(version) });
      expect([other.status, other.json.code]).toEqual([409, 'RELEASE_CONFLICT']);
      expect(other.json.detail).toContain('was released as 1.0.0, which is the same version,');
    }
    const both = ['2.0', 'v2'].map((version) =>
      admin.upload({ ...RELEASE, version, image: Buffer.from(version) }),
    );
    const statuses = (await Promise.all(both)).map(({ status }) => status);
    expect(statuses.sort()).toEqual([201, 409]);
    const build = { ...RELEASE, version: '1.0.0+build', image: Buffer.from('build') };
    expect((await admin.upload(build)).status).toBe(201);
    expect((await admin.upload({ ...RELEASE, ecu: 'INV', version: 'v1' })).status).toBe(201);
  });

  it('keeps an image that a release has when another upload of it is refused', async () => {
    const backend = await startBackend();
    const admin = await backend.login();
    await admin.upload({ ecu: 'EDT', version: '1', image: Buffer.from('first') });
    for (let round = 0; round < 5; round++) {
      const image = Buffer.from(`image ${round}`);
      const [refused, released] = await Promise.all([
        admin.upload({ ecu: 'EDT', version: '1', image }),
        admin.upload({ ecu: 'INV', version: `${round}`, image }),
      ]);
      expect([refused.status, released.status]).toEqual([409, 201]);
      expect((await files(backend)).images).toContain(released.json.sha256);
      expect((await admin.upload({ ecu: 'EDT', version: '1', image })).status).toBe(409);
      expect((await files(backend)).images).toContain(released.json.sha256);
    }
  });

  it('lets one of two simultaneous uploads of a version win', async () => {
    const backend = await startBackend();
    const admin = await backend.login();
    const replies = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        admin.upload({ ecu: 'EDT', version: '1', image: Buffer.from(`image ${index}`) }),
      ),
    );
    expect(replies.map((reply) => reply.status).sort()).toEqual([201, ...Array(7).fill(409)]);
    const stored = await files(backend);
    expect(stored.incoming).toEqual([]);
    expect(stored.images).toEqual([replies.find((reply) => reply.status === 201)!.json.sha256]);
  });

  it.each([
    ['ecu', 'edt', 'ecu'],
    ['ecu', '../x', 'ecu'],
    ['ecu', '', 'ecu'],
    ['version', '../../etc', 'version'],
    ['version', '1..2', 'version'],
    ['version', 'a/b', 'version'],
    ['version', 'x'.repeat(33), 'version'],
    ['notes', 'x'.repeat(2001), 'notes'],
    ['notes', 'bell \u0007', 'notes'],
  ])('refuses %s = %.20j', async (field, value, named) => {
    const backend = await startBackend();
    const admin = await backend.login();
    const reply = await admin.upload({ ...RELEASE, [field]: value });
    expect([reply.status, reply.json.code]).toEqual([400, 'BAD_FIELD']);
    expect(reply.json.detail.startsWith(named)).toBe(true);
    expect(await files(backend)).toEqual(NOTHING);
  });

  it('refuses missing fields, an empty file, another ending, no file, two files, no form', async () => {
    const backend = await startBackend();
    const admin = await backend.login();
    const code = async (body: FormData | string, type?: string) => {
      const reply = await admin.request('/upload', {
        method: 'POST',
        body,
        ...(type === undefined ? {} : { headers: { 'Content-Type': type } }),
      });
      return [reply.status, reply.json.code];
    };
    const { version: _, ...noVersion } = RELEASE;
    expect(await code(uploadForm(noVersion))).toEqual([400, 'BAD_FIELD']);
    expect(await code(uploadForm({ ...RELEASE, image: new Uint8Array() }))).toEqual([
      400,
      'IMAGE_EMPTY',
    ]);
    expect(await code(uploadForm({ ...RELEASE, fileName: 'x.hex' }))).toEqual([
      400,
      'IMAGE_FORMAT',
    ]);
    expect(await code(uploadForm({ ...RELEASE, fileName: '' }))).toEqual([400, 'BAD_FIELD']);
    const twice = uploadForm(RELEASE);
    twice.append('file', new Blob(['x']), 'b.bin');
    expect(await code(twice)).toEqual([400, 'BAD_FIELD']);
    const none = uploadForm(RELEASE);
    none.delete('file');
    expect(await code(none)).toEqual([400, 'BAD_FIELD']);
    const renamed = new FormData();
    renamed.set('other', new Blob(['x']), 'b.bin');
    expect(await code(renamed)).toEqual([400, 'BAD_FIELD']);
    expect(await code('{}', 'application/json')).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
    expect(await code('x', 'multipart/form-data')).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
    expect(await code('x', 'multipart/form-data; boundary=y')).toEqual([400, 'BAD_FIELD']);
    expect(await code('--y\r\nbad\r\n', 'multipart/form-data; boundary=y')).toEqual([
      400,
      'BAD_FIELD',
    ]);
    expect(await files(backend)).toEqual(NOTHING);
  });

  it('takes the limit and refuses one byte more, with and without a declared length', async () => {
    const backend = await startBackend({ maxUploadBytes: 100_000 });
    const admin = await backend.login();
    const exact = await admin.upload({ ecu: 'EDT', version: '1', image: new Uint8Array(100_000) });
    expect(exact.status).toBe(201);
    const more = await admin.upload({ ecu: 'EDT', version: '2', image: new Uint8Array(100_001) });
    expect([more.status, more.json.code]).toEqual([413, 'IMAGE_TOO_LARGE']);
    const far = await admin.upload({ ecu: 'EDT', version: '2', image: new Uint8Array(3_000_000) });
    expect(far.status).toBe(413);
    expect((await files(backend)).incoming).toEqual([]);
  });

  it('shows the form again, with its values, to a browser that was refused', async () => {
    const backend = await startBackend();
    const admin = await backend.login();
    const reply = await admin.upload(
      { ...RELEASE, notes: '<script>alert(1)</script>', image: Buffer.from('one\ntwo\n') },
      { headers: { Accept: 'text/html' } },
    );
    expect(reply.status).toBe(400);
    expect(reply.text).toContain('is text, and neither Intel HEX nor S-records nor VBF');
    expect(reply.text).toContain('value="2.0.0"');
    expect(reply.text).toContain('&lt;script&gt;');
    expect(reply.text).not.toContain('<script>alert');
    const done = await admin.upload(RELEASE, { headers: { Accept: 'text/html' } });
    expect(done.status).toBe(303);
    const page = await admin.request(done.headers.location!, { headers: { Accept: 'text/html' } });
    expect(page.text).toContain(`is released: 19 bytes`);
  });
});

describe('nothing is left', () => {
  it('of an upload that breaks off', async () => {
    const backend = await startBackend();
    const admin = await backend.login();
    const head = [
      '--b',
      'Content-Disposition: form-data; name="ecu"\r\n\r\nEDT',
      '--b',
      'Content-Disposition: form-data; name="version"\r\n\r\n1',
      '--b',
      'Content-Disposition: form-data; name="file"; filename="x.bin"\r\n\r\n',
    ].join('\r\n');
    const cut = http.request({
      port: backend.port,
      host: '127.0.0.1',
      path: '/upload',
      method: 'POST',
      agent: false,
      headers: {
        Cookie: admin.cookie,
        'X-CSRF-Token': admin.csrfToken,
        'Content-Type': 'multipart/form-data; boundary=b',
        'Content-Length': '10000000',
      },
    });
    cut.on('error', () => {});
    cut.write(head);
    cut.write(Buffer.alloc(300_000));
    await expect.poll(async () => (await files(backend)).incoming).toHaveLength(1);
    cut.destroy();
    await expect.poll(() => files(backend)).toEqual(NOTHING);
    await expect
      .poll(async () => (await admin.request('/audit?q=upload')).json.entries)
      .toMatchObject([{ action: 'upload.refused', detail: 'BODY_INCOMPLETE' }]);
  });

  it('of an upload that a crash interrupted, at the next start', async () => {
    const dataDir = await temporaryFolder();
    await fs.mkdir(path.join(dataDir, 'incoming'), { recursive: true });
    await fs.writeFile(path.join(dataDir, 'incoming', 'left.part'), 'x');
    const backend = await startBackend({ dataDir });
    expect(await files(backend)).toEqual(NOTHING);
  });

  it('of an upload that fills the disk, which gets 507', async () => {
    let full = true;
    const dataDir = await temporaryFolder();
    const storage = await DiskStorage.open(dataDir);
    const open = storage.open.bind(storage);
    storage.open = async (name) => {
      const file = await open(name);
      const write = file.write.bind(file);
      file.write = async (offset, bytes) => {
        if (full && offset + bytes.length > 200_000) {
          const cause = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
          throw new StorageError('NO_SPACE', name, 'no space left while writing', cause);
        }
        await write(offset, bytes);
      };
      return file;
    };
    const backend = await startBackend({ dataDir, storage });
    const admin = await backend.login();
    const image = new Uint8Array(600_000);
    const reply = await admin.upload({ ecu: 'EDT', version: '1', image });
    expect([reply.status, reply.json.code]).toEqual([507, 'INSUFFICIENT_STORAGE']);
    expect(await files(backend)).toEqual(NOTHING);
    expect((await backend.request('/latest_version')).json.releases).toEqual([]);
    full = false;
    expect((await admin.upload({ ecu: 'EDT', version: '1', image })).status).toBe(201);
  });

  it('keeps releases over a restart, and says so when an image has gone', async () => {
    const dataDir = await temporaryFolder();
    const first = await startBackend({ dataDir });
    const { file } = (await (await first.login()).upload(RELEASE)).json;
    await first.close();
    const second = await startBackend({ dataDir });
    const { releases } = (await second.request('/latest_version')).json;
    expect(releases).toMatchObject([{ ecu: 'EDT', version: '2.0.0', sha256: SHA256 }]);
    await fs.truncate(path.join(dataDir, 'images', SHA256), 3);
    const { nonce } = (await second.request('/get_nonce')).json;
    const damaged = await second.request(`/ota_download/${file}?nonce=${nonce}`);
    expect([damaged.status, damaged.json.code]).toEqual([500, 'IMAGE_MISSING']);
    expect(second.log.join()).toContain('missing or damaged');
    // The nonce was not used up, and uploading the image again repairs it.
    expect((await (await second.login()).upload(RELEASE)).status).toBe(200);
    expect((await second.request(`/ota_download/${file}?nonce=${nonce}`)).status).toBe(200);
  });
});

it('a refused log-in body of a wrong kind does not count as a try', async () => {
  const backend = await startBackend();
  for (let index = 0; index < 40; index++) {
    expect((await backend.request('/login', json({ name: 'anna' }))).status).toBe(400);
  }
  await backend.login();
});
