// The chunked download between a device and a real server: packages in, chunks out, resumed after every cut.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { PROFILES, type Profile } from '../../src/contract/chunked/package.ts';
import { generateReleaseKey } from '../../src/contract/chunked/sign-package.ts';
import { otaCheck } from '../../src/contract/endpoints/small-devices/check.ts';
import { otaChunk } from '../../src/contract/endpoints/small-devices/chunk.ts';
import { otaVerify } from '../../src/contract/endpoints/small-devices/verify.ts';
import { concatBytes } from '../../src/core/bytes.ts';
import type { SealedClient } from '../../src/link/sealed-client.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { ChunkedDevice, MODEL, releasePackage } from '../support/chunked-device.ts';
import { InjectedBackend } from './injected-support.ts';
import { bearer } from './trust-support.ts';

const IMAGE = seededRandom('image of a device').bytes(5000);
const DAY_MS = 86_400_000;

async function ready(
  options: { readonly profile?: Profile } = {},
): Promise<{ readonly backend: InjectedBackend; readonly device: ChunkedDevice }> {
  const backend = await InjectedBackend.start();
  const device = await ChunkedDevice.enrolled(backend, options);
  expect((await releasePackage(backend, IMAGE, options)).status).toBe(201);
  return { backend, device };
}

async function transfers(backend: InjectedBackend): Promise<{ state: string; what: string }[]> {
  const reply = await backend.request('/ota/transfers', { headers: bearer(backend.operator) });
  expect(reply.status).toBe(200);
  return reply.json.transfers;
}

async function states(backend: InjectedBackend): Promise<string[]> {
  return (await transfers(backend)).map(({ state }) => state);
}

async function check(device: ChunkedDevice, client: SealedClient, more = {}) {
  const told = await client.json(otaCheck, device.wish(more));
  if ('kind' in told) return told.reason;
  return told.value;
}

async function begun(device: ChunkedDevice, client: SealedClient, more = {}) {
  const answer = await check(device, client, more);
  if (typeof answer === 'string' || answer.kind !== 'transfer') throw new Error('no transfer');
  return answer.transfer;
}

const askChunk = (client: SealedClient, wish: Record<string, unknown>) =>
  client.open(otaChunk.path, Buffer.from(JSON.stringify(wish)));

describe('a device', () => {
  it.each(PROFILES)('gets its package in chunks: %s', async (profile) => {
    const { backend, device } = await ready({ profile });
    expect(await device.update()).toBe('success');
    expect(new Set(device.events)).toEqual(new Set(['next']));
    expect(await states(backend)).toEqual(['success']);
    expect((await transfers(backend))[0]).toMatchObject({
      serial: device.serial,
      what: `${MODEL} 1.1.0`,
      version: '1.1.0',
      length: { default: 5054, rsa: 5078 }[profile],
      asked: 20,
      diagnostics: { freeBytes: 4096 },
    });
    expect(await device.update()).toBe('none: up-to-date');
  });

  it('gets nothing of its image in the clear, and another copy than others', async () => {
    const { backend, device } = await ready();
    const other = await ChunkedDevice.enrolled(backend);
    expect(await device.update()).toBe('success');
    expect(await other.update()).toBe('success');
    const bodies = [device, other].map(({ transport }) =>
      concatBytes(
        ...transport.passed
          .filter(({ request }) => request.path === otaChunk.path)
          .map(({ answer }) => answer!.body),
      ),
    );
    const part = Buffer.from(IMAGE.subarray(100, 132));
    for (const body of bodies) expect(Buffer.from(body).includes(part)).toBe(false);
    expect(bodies[0]).not.toEqual(bodies[1]);
  });

  it('is offered the highest counter of its model and profile, and no step back', async () => {
    const { backend, device } = await ready();
    const client = await device.boot();
    await releasePackage(backend, IMAGE, { version: '1.2.0', counter: 1 });
    await releasePackage(backend, IMAGE, { version: '9.0.0', counter: 9, model: 'SENSOR-2' });
    await releasePackage(backend, IMAGE, { version: '8.0.0', counter: 8, profile: 'rsa' });
    expect(await check(device, client)).toMatchObject({
      package: { manifest: { version: '1.1.0', counter: 2 } },
    });
    const none = async (more: object) => (await check(device, client, more)) as unknown;
    expect(await none({ counter: 3 })).toEqual({ kind: 'none', why: 'up-to-date' });
    expect(await none({ version: '1.1.0', counter: 0 })).toEqual({
      kind: 'none',
      why: 'up-to-date',
    });
  });

  it('is not offered again what it came back from, unless it asks for that', async () => {
    const { backend, device } = await ready();
    const client = await device.boot();
    const { id } = await begun(device, client);
    expect(await device.complete(client, id, 'rolled-back')).toBe('rolled-back');
    expect(await check(device, client)).toEqual({ kind: 'none', why: 'rolled-back' });
    expect(await check(device, client, { again: true })).toMatchObject({ kind: 'transfer' });
    await releasePackage(backend, IMAGE, { version: '1.1.1', counter: 3 });
    expect(await check(device, client)).toMatchObject({ kind: 'transfer' });
  });

  it('is refused where the registry knows it as something else', async () => {
    const { backend } = await ready();
    const other = await ChunkedDevice.enrolled(backend, { model: 'SENSOR-2' });
    expect(await other.update()).toBe('HTTP_409 MODEL_MISMATCH');
    const unknown = await ChunkedDevice.enrolled(backend, { model: null });
    expect(await unknown.update()).toBe('HTTP_409 DEVICE_INCOMPLETE');
  });

  it('is refused in the middle of a transfer when it is revoked', async () => {
    const { backend, device } = await ready();
    let answers = 0;
    device.transport.onAnswer = (answer, { path }) => {
      if (path === otaChunk.path && ++answers === 2) {
        backend.database.prepare("update devices set status = 'revoked'").run();
      }
      return answer;
    };
    expect(await device.update()).toMatch(/^HTTP_401/);
    expect(answers).toBe(3);
    expect(await states(backend)).toEqual(['downloading']);
  });

  it('goes on in a new session, with what it has', async () => {
    const { backend, device } = await ready();
    let answers = 0;
    device.onStored = async () => {
      if (++answers === 2) await backend.clock.advance(DAY_MS);
    };
    expect(await device.update()).toBe('success');
    const challenges = device.transport.passed.filter(
      ({ request }) => request.path === '/auth/challenge',
    );
    expect(challenges).toHaveLength(2);
    expect(new Set(device.events)).toEqual(new Set(['next']));
    expect(device.events).toHaveLength(Math.ceil(5054 / 256));
  });

  it('loses its transfer to another one with its key, is told so, and goes on from what it has', async () => {
    const { backend, device } = await ready();
    const client = await device.boot();
    const transfer = await begun(device, client);
    const twin = device.twin();
    const other = await twin.boot();
    const second = await begun(twin, other);
    expect(second.id).not.toBe(transfer.id);
    expect(await askChunk(client, { transfer: transfer.id, from: 0, count: 1 })).toMatchObject({
      kind: 'failed',
      code: 'HTTP_409',
      transient: false,
      reason: expect.stringMatching(/TRANSFER_ENDED: another download .* in two places/),
    });
    const opened = await askChunk(other, { transfer: second.id, from: 0, count: 1 });
    expect(opened).toMatchObject({ kind: 'open' });
    expect(await states(backend)).toEqual(['downloading', 'superseded']);
    // The same image: what the first one holds is good for its next transfer.
    const held = { image: transfer.image.sha256, bytes: 512 };
    expect(await begun(device, client, { held })).toMatchObject({ prefix: { bytes: 512 } });
    expect(await states(backend)).toEqual(['downloading', 'superseded', 'superseded']);
  });

  it('gets another copy when it has changed its key', async () => {
    const { device } = await ready();
    const client = await device.boot();
    const before = await begun(device, client);
    expect(await client.rotate()).toEqual({ kind: 'rotated' });
    const held = { image: before.image.sha256, bytes: 512 };
    const after = await begun(device, client, { transfer: before.id, held });
    expect(after.image.sha256).not.toBe(before.image.sha256);
    expect([after.id === before.id, after.prefix]).toEqual([false, null]);
    expect(await device.update(client)).toBe('success');
  });

  it('is told what is wrong with its questions', async () => {
    const { device } = await ready();
    const client = await device.boot();
    const { id } = await begun(device, client);
    const refusal = async (wish: Record<string, unknown>) => {
      const answer = await askChunk(client, wish);
      return answer.kind === 'failed' ? answer.reason : answer.kind;
    };
    expect(await refusal({ transfer: id, from: 20, count: 1 })).toContain('CHUNK_RANGE');
    expect(await refusal({ transfer: id, numbers: [0, 20] })).toContain('20 of 256 bytes');
    expect(await refusal({ transfer: 'ffffffffff', from: 0, count: 1 })).toContain(
      'TRANSFER_UNKNOWN',
    );
    expect(await refusal({ transfer: id, from: 0, count: 33 })).toContain('BAD_FIELD');
    expect(await refusal({ transfer: id, from: 19, count: 1 })).toBe('open');
  });

  it('does not get the transfer of another device', async () => {
    const { backend, device } = await ready();
    const other = await ChunkedDevice.enrolled(backend);
    const { id } = await begun(device, await device.boot());
    expect(await askChunk(await other.boot(), { transfer: id, from: 0, count: 1 })).toMatchObject({
      reason: expect.stringContaining('TRANSFER_UNKNOWN'),
    });
  });

  it('gets the same word twice, and discards what is not what was sent', async () => {
    const { backend, device } = await ready();
    const client = await device.boot();
    const verify = async (id: string, sha256: string) => {
      const told = await client.json(otaVerify, { transfer: id, sha256, result: 'ok' });
      return 'kind' in told ? told.reason : told.value.next;
    };
    const first = await begun(device, client);
    expect(await verify(first.id, '00'.repeat(32))).toBe('discard');
    expect(await verify(first.id, first.image.sha256)).toContain('TRANSFER_ENDED');
    const second = await begun(device, client);
    expect(await verify(second.id, second.image.sha256)).toBe('install');
    expect(await verify(second.id, second.image.sha256)).toBe('install');
    expect(await states(backend)).toEqual(['verified', 'refused']);
    expect(await device.complete(client, second.id, 'success')).toBe('success');
    expect(await device.complete(client, second.id, 'success')).toBe('success');
    expect(await device.status(client)).toMatchObject({ id: second.id, state: 'success' });
    const audited = backend.database
      .prepare("select detail from audit where action = 'transfer.ended' order by id")
      .all() as unknown as { detail: string }[];
    expect(audited.map(({ detail }) => detail.split(',')[0])).toEqual([
      `${MODEL} 1.1.0: refused`,
      `${MODEL} 1.1.0: verified`,
      `${MODEL} 1.1.0: success`,
    ]);
  });

  it('may ask for chunks of another size when it goes on', async () => {
    const { device } = await ready();
    const client = await device.boot();
    const small = await begun(device, client);
    const held = { image: small.image.sha256, bytes: 600 };
    const large = await begun(device, client, { transfer: small.id, chunkBytes: 1024, held });
    expect(large).toMatchObject({ id: small.id, chunkBytes: 1024, prefix: { bytes: 600 } });
    const behind = await askChunk(client, { transfer: small.id, from: 5, count: 1 });
    expect(behind).toMatchObject({ reason: expect.stringContaining('5 of 1024 bytes') });
  });
});

describe('a download that is cut', () => {
  /** Cuts before each operation on the files of the download in turn, each time of another device. */
  async function cutEverywhere(how: 'power' | 'kill'): Promise<void> {
    const { backend } = await ready();
    let cuts = 0;
    for (;;) {
      const device = await ChunkedDevice.enrolled(backend);
      device.chunkBytes = 512;
      const random = seededRandom(`${how} ${cuts}`);
      let operations = 0;
      const dead = new Promise<'cut'>((resolve) => {
        device.disk.onOperation = (_n, { name }, moment) => {
          if (moment !== 'before' || !name.startsWith('download')) return;
          if (operations++ < cuts) return;
          if (how === 'power') device.disk.cut(random);
          else device.disk.kill();
          resolve('cut');
        };
      });
      const first = await Promise.race([device.update(), dead]);
      device.disk.onOperation = undefined;
      if (first !== 'cut') {
        expect(first).toBe('success');
        break;
      }
      cuts++;
      // The last operations of all come when the version is the new one already.
      expect(['success', 'none: up-to-date']).toContain(await device.update());
      // The one that was on its way to the disk comes twice, and no other.
      if (how === 'kill') expect(device.events.length).toBeLessThanOrEqual(11);
      expect((await transfers(backend)).at(0)).toMatchObject({ state: 'success' });
    }
    // Ten chunks, a sync for every four, and what is around them.
    expect(cuts).toBeGreaterThan(14);
  }

  it('by a power failure at every write goes on, or begins anew where the disk kept something else', () =>
    cutEverywhere('power'));

  it('by kill -9 at every write goes on where it was', () => cutEverywhere('kill'));

  it('is resumed behind the last chunk that was stored', async () => {
    const { device } = await ready();
    let answers = 0;
    device.transport.onAnswer = (answer, { path }) =>
      path === otaChunk.path && ++answers > 2 ? 'drop' : answer;
    expect(await device.update()).toBe('NO_PROGRESS');
    expect(device.events).toHaveLength(8);
    device.transport.onAnswer = (answer) => answer;
    device.events.length = 0;
    expect(await device.update()).toBe('success');
    expect(device.events).toHaveLength(12);
  });

  it('goes on after the server has restarted', async () => {
    const { backend, device } = await ready();
    let answers = 0;
    device.transport.onAnswer = (answer, { path }) =>
      path === otaChunk.path && ++answers > 2 ? 'drop' : answer;
    expect(await device.update()).toBe('NO_PROGRESS');
    await backend.restart();
    device.transport.onAnswer = (answer) => answer;
    device.events.length = 0;
    expect(await device.update()).toBe('success');
    expect(device.events).toHaveLength(12);
  });

  it('begins at zero when what was stored is not what was sent', async () => {
    const { device } = await ready();
    device.transport.onAnswer = (answer, { path }) => (path === otaVerify.path ? 'drop' : answer);
    expect(await device.update()).toBe('ECONNRESET');
    const stored = device.stored()!;
    stored[17]! ^= 1;
    device.disk.put('download.bin', stored);
    device.transport.onAnswer = (answer) => answer;
    device.events.length = 0;
    // Its first transfer was verified before the answer was lost: another one begins, with the same image.
    expect(await device.update()).toBe('success');
    expect(device.events).toHaveLength(20);
  });
});

describe('a package', () => {
  it('comes in once, and says so', async () => {
    const backend = await InjectedBackend.start();
    const first = await releasePackage(backend, IMAGE);
    expect(first.json).toMatchObject({ model: MODEL, version: '1.1.0', counter: 2, created: true });
    const again = await releasePackage(backend, IMAGE);
    expect([again.status, again.json.created]).toEqual([200, false]);
    const list = await backend.request('/ota/packages', { headers: bearer(backend.operator) });
    expect(list.json.packages).toHaveLength(1);
    expect(list.json.packages[0]).toMatchObject({ profile: 'default', released_by: 'release' });
  });

  it('is refused with the reason, and leaves nothing behind', async () => {
    const backend = await InjectedBackend.start();
    const refused = async (
      image: Uint8Array,
      options: Parameters<typeof releasePackage>[2] = {},
    ): Promise<[number, string]> => {
      const reply = await releasePackage(backend, image, options);
      return [reply.status, reply.json.code];
    };
    const files = (): string[] => [...backend.disk.files().keys()];
    expect(await refused(IMAGE, { sent: IMAGE.subarray(1) })).toEqual([422, 'PACKAGE_REFUSED']);
    expect(await refused(IMAGE, { token: backend.operator })).toEqual([403, 'ROLE']);
    expect(await refused(IMAGE, { token: 'cot-none' })).toEqual([401, 'TOKEN_REQUIRED']);
    expect(files()).toEqual([]);
    await releasePackage(backend, IMAGE);
    const other = seededRandom('another image').bytes(100);
    const forged = { version: '1.2.0', signer: generateReleaseKey('default') };
    expect(await refused(other, forged)).toEqual([422, 'PACKAGE_REFUSED']);
    expect(await refused(other)).toEqual([409, 'PACKAGE_CONFLICT']);
    // Another spelling of a version is the same version.
    expect(await refused(other, { version: 'v1.1' })).toEqual([409, 'PACKAGE_CONFLICT']);
    const key = generateReleaseKey('default');
    expect(await refused(other, { version: '1.2.0', key })).toEqual([409, 'PACKAGE_KEY']);
    expect(files()).toHaveLength(1);
    // Under a model of its own, another key is the first one.
    expect(await refused(other, { model: 'SENSOR-9', key })).toEqual([201, undefined]);
    expect(await releasePackage(backend, IMAGE)).toMatchObject({ status: 200 });
  });

  it('has one key a model, also when two first ones come at the same time', async () => {
    const backend = await InjectedBackend.start();
    const replies = await Promise.all(
      ['1.0.0', '2.0.0'].map((version) =>
        releasePackage(backend, IMAGE, { version, key: generateReleaseKey('default') }),
      ),
    );
    expect(replies.map(({ status }) => status).sort()).toEqual([201, 409]);
    // The image is that of the one that was taken.
    expect([...backend.disk.files().keys()]).toHaveLength(1);
  });

  it('is not read by strangers', async () => {
    const backend = await InjectedBackend.start();
    for (const path of ['/ota/packages', '/ota/transfers']) {
      expect((await backend.request(path)).status).toBe(401);
      const factory = await backend.request(path, { headers: bearer(backend.factory) });
      expect(factory.status).toBe(403);
    }
  });
});

describe('a file of a vehicle', () => {
  it('travels in chunks too, to its Primary', async () => {
    const backend = await InjectedBackend.start();
    const name = await backend.publish(IMAGE);
    const { primary } = await backend.vehicle();
    const device = await ChunkedDevice.enrolled(backend);
    const { serial, hwId, secret } = primary;
    const file = Object.assign(device.twin(), { serial, hwId, secret });
    const client = await file.boot();
    const digest = createHash('sha256').update(IMAGE).digest('hex');
    const ask = async (more: object = {}) => {
      const wish = { kind: 'file', file: name, sha256: digest, chunkBytes: 1024, ...more };
      const told = await client.json(otaCheck, wish);
      return 'kind' in told ? told.reason : told.value;
    };
    const answer = await ask();
    expect(answer).toMatchObject({
      kind: 'transfer',
      package: null,
      transfer: { image: { length: IMAGE.length, sha256: digest }, chunkBytes: 1024 },
    });
    expect(await ask({ sha256: '00'.repeat(32) })).toContain('NOT_FOUND');
    expect(await ask({ file: 'EDT-9.9.9-000000000000.bin' })).toContain('NOT_FOUND');
    expect(await ask({ file: '../x' })).toContain('BAD_NAME');
    const stranger = await device.boot();
    const wish = { kind: 'file', file: name, sha256: digest };
    expect(await stranger.json(otaCheck, wish)).toMatchObject({
      reason: expect.stringContaining('FOREIGN_VEHICLE'),
    });
  });
});
