// The image repository over HTTP: uploads signed offline, Snapshot and Timestamp signed here, names, restarts, refusals.

import { describe, expect, it } from 'vitest';
import { addToken } from '../../server/features/registry/tool-commands.ts';
import { generateSigner, toPem } from '../../src/trust/signing-key.ts';
import { json } from './support.ts';
import { bearer, Ceremony, DAY_MS, logIn, startSigned, TestVehicle } from './trust-support.ts';

const IMAGE = Uint8Array.from({ length: 30_000 }, (_, index) => (index * 11) % 251);

describe('metadata', () => {
  it('is served under versioned and unversioned names, with tags', async () => {
    const backend = await startSigned();
    const missing = await backend.request('/metadata/timestamp.json');
    expect([missing.status, missing.json.code]).toEqual([404, 'NOT_FOUND']);
    const name = await backend.publish(IMAGE);
    await backend.publish(Buffer.from('second'), { version: '3.0.0', counter: 3 });
    const get = async (file: string) => (await backend.request(`/metadata/${file}`)).json.signed;
    expect((await get('targets.json')).version).toBe(2);
    expect(Object.keys((await get('1.targets.json')).targets)).toEqual([name]);
    const timestamp = await get('timestamp.json');
    expect(timestamp.version).toBe(2);
    expect((await get('2.snapshot.json')).meta['targets.json'].version).toBe(2);
    expect((await get('1.snapshot.json')).meta['targets.json'].version).toBe(1);
    expect(timestamp.meta['snapshot.json'].version).toBe(2);
    expect((await get('root.json')).version).toBe(1);
    // By the role's name alone, too.
    expect(await get('timestamp')).toEqual(timestamp);
    expect(await get('1.targets')).toEqual(await get('1.targets.json'));
    for (const file of ['9.targets.json', 'x', '../can-ota.db', 'nobody.json', '2.root.json']) {
      const reply = await backend.request(`/metadata/${encodeURIComponent(file)}`);
      expect([file, reply.status]).toEqual([file, 404]);
    }
    const first = await backend.request('/metadata/1.targets.json');
    expect(first.headers['cache-control']).toContain('immutable');
    const again = await backend.request('/metadata/1.targets.json', {
      headers: { 'If-None-Match': first.headers.etag! },
    });
    expect(again.status).toBe(304);
  });

  it('is taken from the release tool and from administrators with their token, from nobody else', async () => {
    const backend = await startSigned();
    const body = Buffer.from(await backend.ceremony.signTargets());
    const send = (headers: Record<string, string>) =>
      backend.request('/metadata/targets', {
        method: 'POST',
        body,
        headers: { 'Content-Type': 'application/json', ...headers },
      });
    expect((await send({})).status).toBe(401);
    expect((await send(bearer(backend.factory))).json.code).toBe('ROLE');
    const viewer = await backend.login('vera');
    expect((await send({ Cookie: viewer.cookie })).json.code).toBe('ROLE');
    const admin = await backend.login();
    expect((await send({ Cookie: admin.cookie })).json.code).toBe('CSRF');
    const done = await send({ Cookie: admin.cookie, 'X-CSRF-Token': admin.csrfToken });
    expect([done.status, done.json]).toEqual([
      201,
      { role: 'images targets', version: 1, created: true },
    ]);
    expect((await send(bearer(backend.releaser))).json).toMatchObject({ created: false });
    const log = (await admin.request('/audit?q=metadata.published')).json.entries;
    expect(log).toMatchObject([{ who: 'anna', detail: 'images targets version 1' }]);
  });

  it('is refused when it is not signed, not newer, expired, or no metadata at all', async () => {
    const backend = await startSigned();
    const { ceremony } = backend;
    await backend.publish(IMAGE);
    const before = (await backend.request('/metadata/timestamp.json')).text;
    const stranger = generateSigner().signer;
    const old = new Ceremony(ceremony.dir);
    Object.assign(old.keys, ceremony.keys);
    const bad: [string, Uint8Array, string][] = [
      ['targets', await ceremony.signTargets([stranger]), 'ARBITRARY_SOFTWARE'],
      ['targets', await ceremony.signTargets([]), 'ARBITRARY_SOFTWARE'],
      ['targets', await old.signTargets(), 'ROLLBACK'],
      ['targets', await ceremony.signTargets(undefined, Date.now() - 60_000), 'FREEZE'],
      ['targets', Buffer.from('{}'), 'MALFORMED'],
      ['targets', Buffer.from('no'), 'MALFORMED'],
      ['supplier', await ceremony.signTargets(), 'UNKNOWN_TARGET'],
      ['snapshot', await ceremony.signTargets(), 'UNKNOWN_TARGET'],
      ['timestamp', await ceremony.signTargets(), 'UNKNOWN_TARGET'],
      ['root', await ceremony.root('images', [stranger]), 'ARBITRARY_SOFTWARE'],
      ['root', await ceremony.root('images'), 'ROLLBACK'],
    ];
    for (const [role, bytes, code] of bad) {
      const reply = await backend.putMetadata(role, bytes);
      expect([role, reply.status, reply.json.code]).toEqual([role, 422, 'METADATA_REFUSED']);
      expect(reply.json.detail).toContain(code);
    }
    expect((await backend.putMetadata('..%2Fx', Buffer.from('{}'))).status).toBe(400);
    expect((await backend.request('/metadata/timestamp.json')).text).toBe(before);
  });

  it('takes a new Root that rotates keys, and signs with the ones that it still names', async () => {
    const backend = await startSigned();
    const { ceremony } = backend;
    await backend.publish(IMAGE);
    const oldRoot = ceremony.signer('images-root');
    const targetsBefore = ceremony.signer('images-targets');
    ceremony.keys['images-root'] = generateSigner();
    ceremony.keys['images-targets'] = generateSigner();
    const onlyNew = await ceremony.root('images');
    expect((await backend.putMetadata('root', onlyNew)).status).toBe(422);
    ceremony.rootVersions.images--;
    const root = await ceremony.root('images', [oldRoot, ceremony.signer('images-root')]);
    expect((await backend.putMetadata('root', root)).json).toMatchObject({ version: 2 });
    expect((await backend.request('/metadata/2.root.json')).status).toBe(200);
    expect((await backend.putMetadata('root', root)).json.created).toBe(false);
    const revoked = await backend.putMetadata(
      'targets',
      await ceremony.signTargets([targetsBefore]),
    );
    expect(revoked.status).toBe(422);
    expect((await backend.putMetadata('targets', await ceremony.signTargets())).status).toBe(201);

    // A Root with another online key would leave the repository without anybody who signs.
    const snapshot = ceremony.keys['images-snapshot']!;
    ceremony.keys['images-snapshot'] = generateSigner();
    const next = await ceremony.root('images');
    const reply = await backend.putMetadata('root', next);
    expect([reply.status, reply.json.code]).toEqual([409, 'METADATA_KEYS']);

    // Given with the folder, it is taken at the start, and everything is signed anew.
    const { privateKey } = ceremony.keys['images-snapshot']!;
    await backend.close();
    await ceremony.writeKey('images-snapshot', toPem(privateKey));
    await ceremony.writeRoot('images', next);
    const again = await startSigned({ dataDir: backend.dataDir, ceremony });
    expect((await again.request('/metadata/root.json')).json.signed.version).toBe(3);
    const signed = (await again.request('/metadata/snapshot.json')).json;
    expect(signed.signatures[0].keyid).not.toBe(snapshot.signer.keyId);
    const vehicle = await TestVehicle.provisioned(again);
    await vehicle.checkin();
    expect(await vehicle.verify()).toMatchObject({ ok: true });
  });

  it('signs Timestamp and Snapshot again in time, when it is asked; over a restart too', async () => {
    const backend = await startSigned();
    await backend.publish(IMAGE);
    const versions = async () => {
      const get = async (file: string) => (await backend.request(`/metadata/${file}`)).json.signed;
      return [(await get('timestamp.json')).version, (await get('snapshot.json')).version];
    };
    expect(await versions()).toEqual([1, 1]);
    backend.clock.skip(0.9 * DAY_MS);
    expect(await versions()).toEqual([1, 1]);
    backend.clock.skip(0.2 * DAY_MS);
    expect(await versions()).toEqual([2, 1]);
    backend.clock.skip(60 * DAY_MS);
    expect(await versions()).toEqual([3, 2]);
    const { expires } = (await backend.request('/metadata/timestamp.json')).json.signed;
    expect(Date.parse(expires)).toBeGreaterThan(backend.clock.wallMs());
    await backend.close();
    const { dataDir, ceremony, clock } = backend;
    const again = await startSigned({ dataDir, ceremony, clock });
    expect((await again.request('/metadata/timestamp.json')).json.signed.version).toBe(3);
  });

  it('delegated roles: taken when a delegation names them, offered when one leads to the image', async () => {
    const backend = await startSigned();
    const { ceremony } = backend;
    const supplier = generateSigner().signer;
    ceremony.delegations = [
      {
        name: 'supplier',
        paths: ['INV-*'],
        hardwareIds: ['INV-HW-1'],
        keys: [supplier.publicKey],
        threshold: 1,
      },
    ];
    await backend.putMetadata('targets', await ceremony.signTargets());
    const other = new Ceremony(ceremony.dir);
    await backend.upload(IMAGE, { ecu: 'INV', version: '2.0.0' });
    await backend.upload(Buffer.from('edt'), { ecu: 'EDT', version: '2.0.0' });
    const inv = other.release(IMAGE, { ecu: 'INV' });
    other.release(Buffer.from('edt'), { ecu: 'EDT' });
    expect((await backend.putMetadata('supplier', await other.signTargets())).status).toBe(422);
    const file = await other.signTargets([supplier]);
    expect((await backend.putMetadata('supplier', file)).status).toBe(201);
    expect((await backend.putMetadata('supplier', file)).json.created).toBe(false);
    const names = (await backend.request('/latest_version')).json.releases;
    expect(names.map((release: { file: string }) => release.file)).toEqual([inv]);
    const vehicle = await TestVehicle.provisioned(backend);
    await vehicle.checkin();
    const verified = await vehicle.verify();
    expect(verified.ok && verified.targets.map((target) => target.name)).toEqual([inv]);
  });
});

describe('uploads that nobody has signed', () => {
  it('are shown as such and offered to nobody, once there is a repository', async () => {
    const backend = await startSigned();
    const admin = await backend.login();
    expect((await backend.upload(IMAGE)).status).toBe(201);
    const listed = async () => (await backend.request('/latest_version')).json.releases;
    expect(await listed()).toHaveLength(1);
    const first = await backend.request('/latest_version');
    await backend.putMetadata('targets', await backend.ceremony.signTargets());
    expect(await listed()).toEqual([]);
    const file = first.json.releases[0].file;
    const { nonce } = (await backend.request('/get_nonce')).json;
    expect((await backend.request(`/ota_download/${file}?nonce=${nonce}`)).status).toBe(404);
    expect((await backend.request(`/targets/${file}`)).status).toBe(404);
    const page = () => admin.request('/', { headers: { Accept: 'text/html' } });
    expect((await page()).text).toContain('not signed yet');

    backend.ceremony.release(IMAGE, { notes: 'why' });
    await backend.putMetadata('targets', await backend.ceremony.signTargets());
    expect(await listed()).toMatchObject([{ ecu: 'EDT', version: '2.0.0', file, notes: 'why' }]);
    expect((await page()).text).not.toContain('not signed yet');
  });

  it('are told by release: the same bytes may be signed for one ECU and version only', async () => {
    const backend = await startSigned();
    const admin = await backend.login();
    const uploads = [
      ['EDT', '2.0.0'],
      ['EDT', '2.1.0'],
      ['INV', '2.0.0'],
    ] as const;
    for (const [ecu, version] of uploads) await backend.upload(IMAGE, { ecu, version });
    backend.ceremony.release(IMAGE, { forced: true });
    await backend.putMetadata('targets', await backend.ceremony.signTargets());
    const { text } = await admin.request('/', { headers: { Accept: 'text/html' } });
    const rows = text.split('<tr').filter((row) => row.includes('data-label="Version"'));
    const told = rows.map((row) => [
      /\b(EDT|INV)-2\.[01]\.0/.exec(row)?.[0],
      row.includes('not signed yet'),
      row.includes('safety release'),
    ]);
    expect(told).toEqual([
      ['INV-2.0.0', true, false],
      ['EDT-2.1.0', true, false],
      ['EDT-2.0.0', false, true],
    ]);
  });

  it('change the tag of /latest_version whenever something is signed', async () => {
    const backend = await startSigned();
    await backend.publish(IMAGE);
    const { etag } = (await backend.request('/latest_version')).headers;
    const headers = { 'If-None-Match': etag! };
    expect((await backend.request('/latest_version', { headers })).status).toBe(304);
    await backend.putMetadata('targets', await backend.ceremony.signTargets());
    expect((await backend.request('/latest_version', { headers })).status).toBe(200);
  });
});

describe('GET /targets', () => {
  it('sends what is signed, under its name and its hash, in ranges', async () => {
    const backend = await startSigned();
    const name = await backend.publish(IMAGE);
    const sha256 = backend.ceremony.targets[name]!.hashes.sha256!;
    for (const path of [name, `${sha256}.${name}`]) {
      const whole = await backend.request(`/targets/${path}`);
      expect([whole.status, Buffer.compare(whole.body, IMAGE)]).toEqual([200, 0]);
    }
    const part = await backend.request(`/targets/${name}`, { headers: { Range: 'bytes=10-19' } });
    expect([part.status, part.headers['content-range']]).toEqual([206, 'bytes 10-19/30000']);
    for (const path of [`${'0'.repeat(64)}.${name}`, 'x.bin', '..%2Fcan-ota.db']) {
      expect((await backend.request(`/targets/${path}`)).status).toBe(404);
    }
  });
});

describe('the trust folder', () => {
  const start = (ceremony: Ceremony) => startSigned({ ceremony });

  it('must hold every online key, readable by its owner alone, and no offline key', async () => {
    const ceremony = await Ceremony.create();
    const pem = toPem(ceremony.keys['images-targets']!.privateKey);
    await ceremony.writeKey('stray', pem);
    await expect(start(ceremony)).rejects.toThrow(/stray\.pem.*images targets.*offline/);
    await ceremony.writeKey('stray', toPem(ceremony.keys['director-time']!.privateKey), 0o640);
    await expect(start(ceremony)).rejects.toThrow(/stray\.pem.*chmod 600/);
    await ceremony.writeKey('stray', 'no key');
    await expect(start(ceremony)).rejects.toThrow(/stray\.pem/);
    const missing = await Ceremony.create();
    await missing.writeKey('director-time', toPem(generateSigner().privateKey));
    await expect(start(missing)).rejects.toThrow(/director time/);
  });

  it('must be of the ceremony that the data folder began with, and whole', async () => {
    const backend = await startSigned();
    await backend.close();
    const other = await Ceremony.create();
    await expect(startSigned({ dataDir: backend.dataDir, ceremony: other })).rejects.toThrow(
      /1\.root\.json is another file/,
    );
    const gap = await Ceremony.create();
    gap.rootVersions.images = 2;
    await gap.writeRoot('images');
    await expect(start(gap)).rejects.toThrow(/3\.root\.json does not follow version 1/);
    const forged = await Ceremony.create();
    await forged.writeRoot('images', await forged.root('images', [generateSigner().signer]));
    await expect(start(forged)).rejects.toThrow(/2\.root\.json.*ARBITRARY_SOFTWARE/);
  });
});

describe('a Director and an image repository in two processes', () => {
  it('work together: releases, plain and encrypted images, one address for the vehicle', async () => {
    const ceremony = await Ceremony.create();
    const images = await startSigned({
      ceremony,
      uptane: { role: 'images', trustDir: ceremony.dir },
    });
    const imagesToken = await addToken(images.dataDir, 'dir', 'director');
    const uptane = { role: 'director', trustDir: ceremony.dir, imagesUrl: images.url } as const;
    const director = await startSigned({ ceremony, uptane: { ...uptane, imagesToken } });
    expect((await images.request('/vehicle/checkin', json({}))).status).toBe(404);
    expect((await director.upload(IMAGE)).status).toBe(404);
    expect((await director.putMetadata('targets', Buffer.from('{}'))).json.code).toBe(
      'NO_REPOSITORY',
    );
    const vehicle = await TestVehicle.provisioned(director);
    const plain = await images.publish(Buffer.from('inverter'), { ecu: 'INV' });
    await images.publish(IMAGE, { encrypt: true });
    expect((await vehicle.checkin()).json.status).toBe('pending');
    const verified = await vehicle.verify();
    if (!verified.ok) throw new Error(verified.reason);
    expect(verified.targets.map(({ name }) => name)).toContain(plain);
    const copy = verified.targets.find(({ encrypt }) => encrypt)!.encryption!;
    for (const [file, sha256] of [
      [plain, ceremony.targets[plain]!.hashes.sha256],
      [copy.file, copy.sha256],
    ]) {
      const { nonce } = (await vehicle.get('/get_nonce')).json;
      const reply = await vehicle.get(`/ota_download/${file}?nonce=${nonce}`);
      expect([reply.status, reply.headers['x-checksum-sha256']]).toEqual([200, sha256]);
    }
    const offered = (await vehicle.get('/latest_version')).json.releases;
    expect(offered.map(({ ecu }: { ecu: string }) => ecu)).toEqual(['EDT', 'INV']);

    // Without the image repository the Director goes on with what it has verified.
    await images.close();
    director.clock.skip(60_000);
    expect((await vehicle.checkin()).json.status).toBe('pending');
    await director.close();
    const again = await startSigned({ dataDir: director.dataDir, ceremony, uptane });
    Object.assign(vehicle, { backend: again, token: await logIn(again, vehicle.primary) });
    expect((await vehicle.checkin()).json).toMatchObject({
      status: 'pending',
      director: { targets: 1 },
    });
  });
});
