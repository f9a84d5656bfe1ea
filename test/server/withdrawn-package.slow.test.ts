// A package for small devices is withdrawn: by tools and on the page, before, in the middle of and after downloads.

import { DatabaseSync } from 'node:sqlite';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { AuditLog } from '../../server/features/audit/store.ts';
import { addUser } from '../../server/features/people/tool-commands.ts';
import { declareRestored } from '../../server/features/registry/restored-command.ts';
import { ImageStore } from '../../server/features/releases/image-store.ts';
import { openSmallDevices } from '../../server/features/small-devices/open.ts';
import type { SmallDeviceCaller } from '../../server/features/small-devices/ota-service.ts';
import { openDatabase } from '../../server/platform/db/database.ts';
import { checkRequest } from '../../src/contract/chunked/protocol.ts';
import { manifestFor, signManifest } from '../../src/contract/chunked/sign-package.ts';
import { otaCheck } from '../../src/contract/endpoints/small-devices/check.ts';
import { otaChunk } from '../../src/contract/endpoints/small-devices/chunk.ts';
import { otaVerify } from '../../src/contract/endpoints/small-devices/verify.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { ChunkedDevice, MODEL, RELEASE_KEYS, releasePackage } from '../support/chunked-device.ts';
import { InjectedBackend } from './injected-support.ts';
import { cookieOf, FAST_BCRYPT, json, PASSWORD, type Reply } from './support.ts';
import { bearer } from './trust-support.ts';

const IMAGE = seededRandom('image of a device').bytes(5000);
const OTHER = seededRandom('another image').bytes(4000);
const PATH = '/ota/packages/withdraw';
const WISH = { model: MODEL, version: '1.1.0', reason: 'drains the battery' };

function withdraw(backend: InjectedBackend, more: Record<string, unknown> = {}): Promise<Reply> {
  const init = json({ ...WISH, ...more });
  return backend.request(PATH, {
    ...init,
    headers: { ...init.headers, ...bearer(backend.releaser) },
  });
}

async function audit(backend: InjectedBackend): Promise<{ action: string; detail: string }[]> {
  return backend.database.prepare('select action, detail from audit order by id').all() as never;
}

async function listed(backend: InjectedBackend, path: string): Promise<Record<string, unknown>[]> {
  const reply = await backend.request(path, { headers: bearer(backend.operator) });
  return reply.json[path.split('/').at(-1)!];
}

describe('a package that is withdrawn', () => {
  it('is offered to no device, and the next lower one only to those that may take it', async () => {
    const backend = await InjectedBackend.start();
    await releasePackage(backend, OTHER, { version: '1.0.5', counter: 2 });
    await releasePackage(backend, IMAGE, { version: '1.1.0', counter: 3 });
    const runs = await ChunkedDevice.enrolled(backend);
    expect(await runs.update()).toBe('success');
    expect(runs.version).toBe('1.1.0');
    const reply = await withdraw(backend);
    expect([reply.status, reply.json]).toEqual([
      200,
      expect.objectContaining({
        ...{ model: MODEL, version: '1.1.0', counter: 3, profile: 'default', changed: true },
        withdrawn: { by: 'release', at: expect.any(String), reason: WISH.reason },
        stopped: [],
        offered: { version: '1.0.5', counter: 2 },
      }),
    ]);
    // It has confirmed a higher counter: it keeps what it runs.
    expect(await runs.update()).toBe('none: up-to-date');
    const fresh = await ChunkedDevice.enrolled(backend);
    expect(await fresh.update()).toBe('success');
    expect(fresh.version).toBe('1.0.5');
    // Those of the same counter may go either way: whoever gave both the same one wants that.
    await releasePackage(backend, seededRandom('c').bytes(900), { version: '1.0.6', counter: 3 });
    expect(await runs.update()).toBe('success');
    expect(runs.version).toBe('1.0.6');
  });

  it('that was the only one leaves the devices with what they run', async () => {
    const backend = await InjectedBackend.start();
    await releasePackage(backend, IMAGE);
    expect((await withdraw(backend)).json.offered).toBeNull();
    const device = await ChunkedDevice.enrolled(backend);
    expect(await device.update()).toBe('none: no-package');
  });

  it('ends the downloads of it, at the chunks as at the verification, and no other', async () => {
    const backend = await InjectedBackend.start();
    await releasePackage(backend, IMAGE);
    await releasePackage(backend, OTHER, { model: 'SENSOR-9' });
    const device = await ChunkedDevice.enrolled(backend);
    const client = await device.boot();
    const told = await client.json(otaCheck, device.wish());
    if ('kind' in told || told.value.kind !== 'transfer') throw new Error('no transfer');
    const { id, image } = told.value.transfer;
    const ask = () =>
      client.open(otaChunk.path, Buffer.from(JSON.stringify({ transfer: id, from: 0, count: 1 })));
    expect((await ask()).kind).toBe('open');
    const plain = backend.disk.files().size;
    expect((await withdraw(backend)).json.stopped).toEqual([device.serial]);
    // Its copy is gone; the plain image is kept with the row.
    expect(backend.disk.files().size).toBe(plain - 1);
    expect(await ask()).toMatchObject({
      kind: 'failed',
      code: 'HTTP_409',
      sealed: true,
      transient: false,
      reason: expect.stringMatching(
        /PACKAGE_WITHDRAWN: SENSOR-1 1\.1\.0 was withdrawn \(drains the battery\): keep what runs/,
      ),
    });
    const verify = { transfer: id, sha256: image.sha256, result: 'ok' };
    expect(await client.json(otaVerify, verify)).toMatchObject({
      code: 'HTTP_409',
      reason: expect.stringContaining('PACKAGE_WITHDRAWN'),
    });
    expect(await listed(backend, '/ota/transfers')).toMatchObject([
      { state: 'withdrawn', code: 'PACKAGE_WITHDRAWN', reason: WISH.reason },
    ]);
    expect((await device.status(client))?.state).toBe('withdrawn');
    expect((await audit(backend)).at(-1)).toEqual({
      action: 'package.withdrawn',
      detail: 'SENSOR-1 1.1.0, profile default: drains the battery',
    });
  });

  it('does not begin a download where it is withdrawn while the copy for the device is made', async () => {
    const clock = new VirtualClock();
    const seeded = seededRandom('copies');
    const db = await openDatabase(new DatabaseSync(':memory:'), { clock, random: seeded });
    const audit = new AuditLog(db, silentLogger);
    const images = await ImageStore.open(new SimulatedDisk().open(), () => 'part');
    let onCopy = (): void => {};
    const random = {
      fraction: () => seeded.fraction(),
      bytes: (length: number) => {
        onCopy();
        return seeded.bytes(length);
      },
    };
    const pace = { burstBytes: 1, bytesPerSecond: 1 };
    const { ota, packages, transfers } = openSmallDevices(
      { db, audit, images, random, clock },
      pace,
    );
    for (const [version, counter] of [
      ['1.0.5', 2],
      ['1.1.0', 3],
    ] as const) {
      const image = seededRandom(version).bytes(500);
      const staged = await images.stage(Readable.from([image]), 1000);
      await staged.commit();
      const manifest = manifestFor(image, { model: MODEL, version, counter, profile: 'default' });
      await packages.add(signManifest(manifest, RELEASE_KEYS.default), 'key', 'release');
    }
    const actor = { who: 'anna', address: '' };
    const name = { model: MODEL, version: '1.1.0', profile: 'default' } as const;
    let withdrawn: Promise<unknown> | undefined;
    onCopy = () => {
      withdrawn ??= packages.withdraw(name, 'a fault', actor, (sha256) => images.remove(sha256));
    };
    const device = { serial: 'CO-1', hardwareId: MODEL, secretHash: '5a'.repeat(32) };
    const answer = await ota.checkPackage(
      { device, session: undefined, address: '' } as unknown as SmallDeviceCaller,
      checkRequest.parse({ kind: 'package', ...name, version: '1.0.0', counter: 1 }) as never,
    );
    expect(await withdrawn).toMatchObject({ kind: 'withdrawn' });
    expect(answer).toMatchObject({ package: { manifest: { version: '1.0.5' } } });
    expect(await transfers.list({ limit: 9 })).toMatchObject([
      { what: 'SENSOR-1 1.0.5', state: 'downloading' },
    ]);
  });

  it('lets a device that has verified it already install and report it', async () => {
    const backend = await InjectedBackend.start();
    await releasePackage(backend, IMAGE);
    const device = await ChunkedDevice.enrolled(backend);
    const client = await device.boot();
    const told = await client.json(otaCheck, device.wish());
    if ('kind' in told || told.value.kind !== 'transfer') throw new Error('no transfer');
    const { id, image } = told.value.transfer;
    const verify = { transfer: id, sha256: image.sha256, result: 'ok' };
    expect(await client.json(otaVerify, verify)).toEqual({
      value: { next: 'install' },
    });
    expect((await withdraw(backend)).json.stopped).toEqual([]);
    device.version = '1.1.0';
    expect(await device.complete(client, id, 'success')).toBe('success');
    expect(await listed(backend, '/ota/transfers')).toMatchObject([{ state: 'success' }]);
  });

  it('does not come back: not the same bytes, not others, not in another spelling', async () => {
    const backend = await InjectedBackend.start();
    await releasePackage(backend, IMAGE);
    await withdraw(backend);
    const files = backend.disk.files().size;
    for (const [image, version] of [
      [IMAGE, '1.1.0'],
      [OTHER, '1.1.0'],
      [OTHER, 'v1.1'],
    ] as const) {
      const reply = await releasePackage(backend, image, { version, counter: 9 });
      expect([reply.status, reply.json.code]).toEqual([409, 'PACKAGE_WITHDRAWN']);
      expect(reply.json.detail).toMatch(/withdrawn by release at .*release the image under a new/);
    }
    expect(backend.disk.files().size).toBe(files);
    await backend.restart();
    expect((await releasePackage(backend, IMAGE)).status).toBe(409);
    expect((await releasePackage(backend, IMAGE, { version: '1.1.1' })).status).toBe(201);
  });

  it('is withdrawn once: again, unknown and malformed are told in sentences', async () => {
    const backend = await InjectedBackend.start();
    await releasePackage(backend, IMAGE);
    const of = async (more: Record<string, unknown>) => {
      const { status, json: body } = await withdraw(backend, more);
      return [status, body.code, body.detail];
    };
    expect(await of({ version: '9.9.9' })).toEqual([
      404,
      'NOT_FOUND',
      'there is no package SENSOR-1 9.9.9 with profile default: GET /ota/packages lists what was released',
    ]);
    expect((await of({ profile: 'rsa' }))[0]).toBe(404);
    expect(await of({ reason: ' ' })).toEqual([400, 'BAD_FIELD', expect.stringMatching(/say why/)]);
    expect((await of({ version: '../x' }))[0]).toBe(400);
    expect((await of({ extra: 1 }))[0]).toBe(400);
    expect((await withdraw(backend, { version: 'v1.1' })).json).toMatchObject({ changed: true });
    const again = await withdraw(backend, { reason: 'another reason' });
    expect([again.status, again.json]).toEqual([
      200,
      expect.objectContaining({ changed: false, stopped: [] }),
    ]);
    expect(again.json.withdrawn.reason).toBe(WISH.reason);
    const rows = (await audit(backend)).filter(({ action }) => action === 'package.withdrawn');
    expect(rows).toHaveLength(1);
    expect((await listed(backend, '/ota/packages'))[0]!.withdrawn).toMatchObject({ by: 'release' });
  });

  it('comes back with a backup, and the operator is told so', async () => {
    const backend = await InjectedBackend.start();
    await releasePackage(backend, IMAGE);
    const { clock, random, database } = backend;
    await backend.server.close();
    expect((await declareRestored(database, { clock, random })).packages).toBe(1);
    await backend.boot();
    expect((await withdraw(backend)).status).toBe(200);
    await backend.server.close();
    expect((await declareRestored(database, { clock, random })).packages).toBe(0);
  });
});

describe('on the page', () => {
  it('an administrator withdraws with a reason and a tick; a viewer only sees', async () => {
    const backend = await InjectedBackend.start({ bcryptCost: FAST_BCRYPT });
    const { clock, random, database } = backend;
    for (const [name, role] of [
      ['anna', 'admin'],
      ['vera', 'viewer'],
    ] as const) {
      await addUser(database, name, role, PASSWORD, { clock, random, bcryptCost: FAST_BCRYPT });
    }
    await backend.restart();
    await releasePackage(backend, IMAGE);
    const enter = async (name: string) => {
      const reply = await backend.request('/login', json({ name, password: PASSWORD }));
      const headers = { Cookie: cookieOf(reply), Accept: 'text/html' };
      return { headers, csrf: String(reply.json.csrfToken) };
    };
    const anna = await enter('anna');
    const vera = await enter('vera');
    const page = async ({ headers }: typeof anna) => (await backend.request('/', { headers })).text;
    const send = (fields: Record<string, string>, { headers, csrf } = anna) =>
      backend.request(PATH, {
        method: 'POST',
        headers: { ...headers, 'Content-Type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ _csrf: csrf, ...fields }).toString(),
      });
    expect(await page(anna)).toContain('action="/ota/packages/withdraw"');
    expect(await page(vera)).toContain('Packages for small devices');
    expect(await page(vera)).not.toContain('action="/ota/packages/withdraw"');
    const wish = { model: MODEL, version: '1.1.0', profile: 'default', reason: 'a <b>fault</b>' };
    expect((await send({ ...wish, confirm: 'yes' }, vera)).status).toBe(403);
    expect((await send({ ...wish, confirm: 'yes', _csrf: 'x' })).status).toBe(403);
    const unconfirmed = await send(wish);
    expect(unconfirmed.status).toBe(400);
    expect(unconfirmed.text).toContain('tick the box: a withdrawn version does not come back');
    expect(unconfirmed.text).toContain('value="a &lt;b&gt;fault&lt;/b&gt;"');
    const unknown = await send({ ...wish, version: '7.0.0', confirm: 'yes' });
    expect([unknown.status, unknown.text]).toEqual([
      404,
      expect.stringContaining('there is no package SENSOR-1 7.0.0'),
    ]);
    const done = await send({ ...wish, confirm: 'yes' });
    expect([done.status, done.headers.location]).toEqual([303, '/#packages']);
    const after = await page(anna);
    expect(after).toMatch(/<span class="tag bad">withdrawn<\/span>/);
    expect(after).toContain('by anna</span>: a &lt;b&gt;fault&lt;/b&gt;');
    expect(after).not.toContain('action="/ota/packages/withdraw"');
  });
});
