// The registry: serials, idempotence, what may change when, who may ask, and the audit log of all of it.

import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import {
  addToken,
  listDevices,
  listTokens,
  removeToken,
  reopenDevice,
  setDeviceStatus,
} from '../../server/features/registry/tool-commands.ts';
import { generateX25519 } from '../../src/trust/signing-key.ts';
import {
  type Backend,
  json,
  type RequestOptions,
  startBackend,
  temporaryFolder,
} from './support.ts';
import { bearer, provision } from './trust-support.ts';

const hex = (bytes: number): string => randomBytes(bytes).toString('hex');

async function registry(): Promise<Backend & { factory: string }> {
  const dataDir = await temporaryFolder();
  const factory = await addToken(dataDir, 'line-1', 'factory');
  return { ...(await startBackend({ dataDir })), factory };
}

function part(name = 'EDT', vin = 'VIN1') {
  return {
    hw_id: hex(16),
    vin,
    name,
    hardware_id: `${name}-HW-1`,
    primary: name === 'TMU',
    signing_key: hex(32),
    encryption_key: Buffer.from(generateX25519().publicKey).toString('hex'),
    device_secret_hash: hex(32),
  };
}

describe('POST /provision', () => {
  it('gives out sequential serials, also to many at once', async () => {
    const backend = await registry();
    const replies = await Promise.all(
      Array.from({ length: 40 }, () => provision(backend, { hw_id: hex(16) })),
    );
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([201]));
    expect(replies.map(({ json: { serial } }) => serial).sort()).toEqual(
      Array.from({ length: 40 }, (_, index) => `CO-${String(index + 1).padStart(6, '0')}`),
    );
    expect(replies[0]!.json).toMatchObject({ status: 'factory_only', has_device_secret: false });
  });

  it('is idempotent by hardware id, and one device also when it is asked for ten times at once', async () => {
    const backend = await registry();
    const device = part();
    const replies = await Promise.all(Array.from({ length: 10 }, () => provision(backend, device)));
    expect(replies.map(({ status }) => status).sort()).toEqual([...Array(9).fill(200), 201]);
    expect(new Set(replies.map(({ json: { serial } }) => serial)).size).toBe(1);
    const before = replies[0]!.json.updated_at;
    backend.clock.skip(1000);
    const again = await provision(backend, device);
    expect(again.json.updated_at).toBe(before);
    expect(again.text).not.toContain(device.device_secret_hash);
    expect(await listDevices(backend.dataDir)).toHaveLength(1);
  });

  it('takes new keys while the factory works, and none afterwards', async () => {
    const backend = await registry();
    const device = part('TMU');
    const { serial } = (await provision(backend, { hw_id: device.hw_id })).json;
    expect((await provision(backend, device)).json).toMatchObject({ serial, name: 'TMU' });
    const other = { ...device, signing_key: hex(32) };
    expect((await provision(backend, other)).json.signing_key).toBe(other.signing_key);
    const active = await provision(backend, { hw_id: device.hw_id }, '/provision/activate');
    expect([active.status, active.json.status]).toEqual([200, 'active']);
    expect((await provision(backend, other)).status).toBe(200);
    const late = await provision(backend, device);
    expect([late.status, late.json.code]).toEqual([409, 'DEVICE_ACTIVE']);
    expect(late.json.detail).toContain('signing_key');
    await setDeviceStatus(backend.dataDir, serial, 'revoked');
    expect((await provision(backend, other)).json.code).toBe('DEVICE_REVOKED');
    const back = await provision(backend, { hw_id: device.hw_id }, '/provision/activate');
    expect([back.status, back.json.code]).toEqual([409, 'DEVICE_REVOKED']);
  });

  it('lets the same chip go through the factory again when its serial was reopened', async () => {
    const backend = await registry();
    const device = part('TMU');
    const { serial } = (await provision(backend, device)).json;
    await provision(backend, { hw_id: device.hw_id }, '/provision/activate');
    const fresh = { ...part('TMU'), hw_id: device.hw_id };
    const refused = await provision(backend, fresh);
    expect(refused.json.detail).toContain(`can-ota server device reopen ${serial}`);
    await setDeviceStatus(backend.dataDir, serial, 'revoked');
    const revoked = await provision(backend, fresh);
    expect(revoked.json.detail).toContain('can-ota server device reopen');
    expect(await reopenDevice(backend.dataDir, serial)).toMatchObject({
      serial,
      status: 'factory_only',
      vin: 'VIN1',
      signingKey: undefined,
      secretHash: undefined,
    });
    // A Primary without keys is not activated by mistake.
    const early = await provision(backend, { hw_id: device.hw_id }, '/provision/activate');
    expect(early.json.code).toBe('DEVICE_INCOMPLETE');
    expect((await provision(backend, fresh)).json).toMatchObject({
      serial,
      signing_key: fresh.signing_key,
    });
    const back = await provision(backend, { hw_id: device.hw_id }, '/provision/activate');
    expect(back.json).toMatchObject({ serial, status: 'active' });
    const anna = await backend.login();
    const { entries } = (await anna.request('/audit?q=device.reopened')).json;
    expect(entries).toMatchObject([{ who: 'operator', detail: expect.stringContaining(serial) }]);
  });

  it('does not reopen a serial whose place another part has, or one that is unknown', async () => {
    const backend = await registry();
    const { serial } = (await provision(backend, part('EDT'))).json;
    await setDeviceStatus(backend.dataDir, serial, 'revoked');
    const { serial: other } = (await provision(backend, part('EDT'))).json;
    await expect(reopenDevice(backend.dataDir, serial)).rejects.toThrow(other);
    await expect(reopenDevice(backend.dataDir, 'CO-009999')).rejects.toThrow(/no device CO-009999/);
  });

  it('gives a key, a place in a vehicle and the role of its Primary to one device only', async () => {
    const backend = await registry();
    const first = part('TMU');
    const { serial } = (await provision(backend, first)).json;
    for (const clash of [
      { ...part('EDT'), signing_key: first.signing_key },
      { ...part('EDT'), encryption_key: first.encryption_key },
      { ...part('TMU'), primary: false },
      { ...part('EDT'), primary: true },
    ]) {
      const reply = await provision(backend, clash);
      expect([reply.status, reply.json.code]).toEqual([409, 'DEVICE_TAKEN']);
      expect(reply.json.detail).toContain(serial);
    }
    expect((await provision(backend, part('TMU', 'VIN2'))).status).toBe(201);
    // A new part takes the place of one that was revoked; then the old one cannot come back.
    await setDeviceStatus(backend.dataDir, serial, 'revoked');
    expect((await provision(backend, part('TMU'))).status).toBe(201);
    await expect(setDeviceStatus(backend.dataDir, serial, 'active')).rejects.toThrow(/revoke/);
  });

  it('activates no Primary that could not log in, and nobody unknown', async () => {
    const backend = await registry();
    const { device_secret_hash: _, ...tmu } = part('TMU');
    await provision(backend, tmu);
    const incomplete = await provision(backend, { hw_id: tmu.hw_id }, '/provision/activate');
    expect([incomplete.status, incomplete.json.code]).toEqual([409, 'DEVICE_INCOMPLETE']);
    const unknown = await provision(backend, { hw_id: 'x' }, '/provision/activate');
    expect([unknown.status, unknown.json.code]).toEqual([404, 'DEVICE_UNKNOWN']);
  });

  it.each([
    ['hw_id', ''],
    ['hw_id', '../x'],
    ['vin', 'a b'],
    ['name', 'edt'],
    ['signing_key', '00'],
    ['encryption_key', '00'.repeat(32)],
    ['device_secret_hash', 'g'.repeat(64)],
    ['more', 1],
  ])('refuses %s %j', async (field, value) => {
    const backend = await registry();
    const reply = await provision(backend, { ...part(), [field]: value });
    expect([reply.status, reply.json.code]).toEqual([400, 'BAD_FIELD']);
  });
});

describe('who may', () => {
  it('provision: the factory only; a removed token is refused at its next request', async () => {
    const backend = await registry();
    const release = await addToken(backend.dataDir, 'ci', 'release');
    const send = (headers: Record<string, string>) => {
      const init: RequestOptions = json({ hw_id: 'x' });
      return backend.request('/provision', { ...init, headers: { ...init.headers, ...headers } });
    };
    expect((await send({})).json.code).toBe('TOKEN_REQUIRED');
    expect((await send({ Authorization: 'Basic eDp5' })).status).toBe(401);
    const wrong = await send(bearer(`${backend.factory}x`));
    expect([wrong.status, wrong.json.code]).toEqual([401, 'TOKEN_REQUIRED']);
    expect((await send(bearer(release))).json.code).toBe('ROLE');
    expect((await send(bearer(backend.factory))).status).toBe(201);
    await removeToken(backend.dataDir, 'line-1');
    expect((await send(bearer(backend.factory))).status).toBe(401);
  });

  it('upload: the release tool with its token, and no factory', async () => {
    const backend = await registry();
    const release = await addToken(backend.dataDir, 'ci', 'release');
    const form = () => {
      const data = new FormData();
      data.set('ecu', 'EDT');
      data.set('version', '1');
      data.set('file', new Blob(['image']), 'x.bin');
      return { method: 'POST', body: data };
    };
    const headers = bearer(release);
    expect((await backend.request('/upload', { ...form(), headers })).status).toBe(201);
    const factory = await backend.request('/upload', {
      ...form(),
      headers: bearer(backend.factory),
    });
    expect(factory.status).toBe(403);
    const log = await (await backend.login()).request('/audit?q=upload&category=people');
    expect(log.json.entries[0]).toMatchObject({ who: 'ci', action: 'upload' });
  });
});

describe('tokens', () => {
  it('are kept as hashes, and shown once', async () => {
    const dir = await temporaryFolder();
    const token = await addToken(dir, 'line-1', 'factory');
    expect(token).toMatch(/^cot-[\w-]{43}$/);
    expect(await listTokens(dir)).toMatchObject([{ name: 'line-1', role: 'factory' }]);
    for (const file of await readdir(dir)) {
      expect((await readFile(`${dir}/${file}`)).includes(token.slice(4))).toBe(false);
    }
    await expect(addToken(dir, 'line-1', 'factory')).rejects.toThrow(/already/);
    await expect(addToken(dir, 'x', 'root')).rejects.toThrow(/factory, release, director/);
    await expect(addToken(dir, 'A B', 'factory')).rejects.toThrow(/name/);
    await expect(removeToken(dir, 'nobody')).rejects.toThrow(/no token nobody/);
  });
});

describe('every change', () => {
  it('is in the audit log and on the page', async () => {
    const backend = await registry();
    const device = part('EDT');
    const { serial } = (await provision(backend, device)).json;
    await provision(backend, { ...device, hardware_id: 'EDT-HW-2' });
    await provision(backend, { hw_id: device.hw_id }, '/provision/activate');
    await provision(backend, { hw_id: device.hw_id }, '/provision/activate');
    await setDeviceStatus(backend.dataDir, serial, 'revoked');
    await setDeviceStatus(backend.dataDir, serial, 'revoked');
    await setDeviceStatus(backend.dataDir, serial, 'active');
    const admin = await backend.login('vera');
    const { entries } = (await admin.request('/audit?category=devices')).json;
    expect(
      entries.map(({ action, who }: { action: string; who: string }) => `${action} ${who}`),
    ).toEqual([
      'device.activated operator',
      'device.revoked operator',
      'device.activated line-1',
      'device.changed line-1',
      'device.created line-1',
      'token.created operator',
    ]);
    expect(entries[3].detail).toContain('hardware_id');
    const page = await admin.request('/devices', { headers: { Accept: 'text/html' } });
    for (const text of [serial, device.hw_id, 'EDT-HW-2', 'active']) {
      expect(page.text).toContain(text);
    }
    expect((await backend.request('/devices')).status).toBe(401);
  });

  it('tells of what a factory repeats, and of what it is refused', async () => {
    const backend = await registry();
    const device = part('EDT');
    const { serial } = (await provision(backend, device)).json;
    await provision(backend, device);
    await provision(backend, { hw_id: device.hw_id }, '/provision/activate');
    const refused = await provision(backend, { ...device, hardware_id: 'EDT-HW-2' });
    expect(refused.json.code).toBe('DEVICE_ACTIVE');
    const unknown = await provision(backend, { hw_id: 'nobody' }, '/provision/activate');
    expect(unknown.status).toBe(404);
    const admin = await backend.login('vera');
    const of = async (category: string): Promise<string[]> =>
      (await admin.request(`/audit?category=${category}`)).json.entries.map(
        ({ action, who, detail }: Record<string, string>) => `${action} ${who} ${detail}`,
      );
    expect(await of('devices')).toContainEqual(
      expect.stringMatching(`^device.repeated line-1 ${serial} .*${device.hw_id}`),
    );
    const refusals = (await of('refusals')).filter((row) => row.startsWith('device.refused'));
    expect(refusals).toEqual([
      expect.stringMatching(/^device.refused line-1 chip nobody: DEVICE_UNKNOWN/),
      expect.stringMatching(
        `^device.refused line-1 chip ${device.hw_id}: DEVICE_ACTIVE: ${serial}`,
      ),
    ]);
  });

  it('by an unknown serial is refused', async () => {
    await expect(setDeviceStatus(await temporaryFolder(), 'CO-9', 'revoked')).rejects.toThrow(
      /no device CO-9/,
    );
  });
});
