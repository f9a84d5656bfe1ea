// Device sessions: both sides prove themselves, nothing works twice, and refusals tell nothing.

import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { setDeviceStatus } from '../../server/features/registry/tool-commands.ts';
import { toHex } from '../../src/core/bytes.ts';
import { clientProof, deviceKeyOf, serverProof } from '../../src/trust/device-session.ts';
import { json, type Reply, startBackend } from './support.ts';
import {
  bearer,
  logIn,
  provision,
  type SignedBackend,
  startSigned,
  TestVehicle,
  tryLogIn,
  VIN,
} from './trust-support.ts';

const nonce = () => toHex(randomBytes(16));

async function vehicleOn(backend?: SignedBackend): Promise<TestVehicle> {
  return TestVehicle.provisioned(backend ?? (await startSigned()), VIN, ['TMU']);
}

/** One exchange up to the proof of the device. */
async function exchange({ backend, primary: { serial, hwId, secret } }: TestVehicle) {
  const clientNonce = nonce();
  const reply = await backend.request(
    '/auth/challenge',
    json({ serial, hw_id: hwId, clientNonce }),
  );
  const exchanged = { serial, clientNonce, ...reply.json };
  const key = deviceKeyOf(secret);
  return { key, exchanged, reply, proof: clientProof(key, exchanged) };
}

const respond = ({ backend }: TestVehicle, challenge: string, clientProofText: string) =>
  backend.request('/auth/response', json({ challenge, clientProof: clientProofText }));

function shape(reply: Reply): unknown {
  const headers = Object.keys(reply.headers).filter((name) => name !== 'date');
  return [reply.status, headers.sort(), reply.text];
}

describe('challenge and response', () => {
  it('the server proves itself too; the token opens vehicle paths for a quarter of an hour', async () => {
    const vehicle = await vehicleOn();
    const { key, exchanged, reply } = await exchange(vehicle);
    expect(reply.json.serverProof).toBe(serverProof(key, exchanged));
    expect(reply.headers['cache-control']).toBe('no-store');
    const path = '/latest_version';
    expect((await vehicle.get(path)).status).toBe(200);
    expect((await vehicle.get(`${path}?vin=${VIN}`)).json.vin).toBe(VIN);
    expect((await vehicle.get(path)).json.vin).toBe(VIN);
    vehicle.backend.clock.skip(15 * 60_000 - 5000);
    expect((await vehicle.get(path)).status).toBe(200);
    vehicle.backend.clock.skip(5001);
    const late = await vehicle.get(path);
    expect([late.status, late.json.code]).toEqual([401, 'DEVICE_REFUSED']);
    expect(late.headers['www-authenticate']).toMatch(/^Bearer/);
  });

  it('a challenge works once, for a minute, as it was given out', async () => {
    const vehicle = await vehicleOn();
    const { exchanged, proof } = await exchange(vehicle);
    const { challenge } = exchanged;
    expect((await respond(vehicle, challenge, `${proof.slice(0, -1)}x`)).status).toBe(401);
    const both = await Promise.all([
      respond(vehicle, challenge, proof),
      respond(vehicle, challenge, proof),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 401]);
    expect((await respond(vehicle, challenge, proof)).status).toBe(401);

    const old = await exchange(vehicle);
    vehicle.backend.clock.skip(60_001);
    expect((await respond(vehicle, old.exchanged.challenge, old.proof)).status).toBe(401);

    const fresh = await exchange(vehicle);
    const [body, mac] = fresh.exchanged.challenge.split('.');
    const text = Buffer.from(body, 'base64url').toString();
    const later = Buffer.from(text.replace(/\d$/, (digit) => (digit === '9' ? '8' : '9'))).toString(
      'base64url',
    );
    for (const forged of [`${later}.${mac}`, `${body}=.${mac}`, `${body}.`, body, '', 'x.y']) {
      const key = fresh.key;
      const forgedProof = clientProof(key, { ...fresh.exchanged, challenge: forged });
      expect([forged, (await respond(vehicle, forged, forgedProof)).status]).toEqual([forged, 401]);
    }
    expect((await respond(vehicle, fresh.exchanged.challenge, fresh.proof)).status).toBe(200);
  });

  it("the server's proof, and the proof of another exchange or device, open nothing", async () => {
    const backend = await startSigned();
    const vehicle = await vehicleOn(backend);
    const other = await TestVehicle.provisioned(backend, 'OTHER', ['TMU']);
    const one = await exchange(vehicle);
    const two = await exchange(vehicle);
    const foreign = await exchange(other);
    for (const proof of [one.reply.json.serverProof, two.proof, foreign.proof]) {
      expect((await respond(vehicle, one.exchanged.challenge, proof)).status).toBe(401);
    }
  });

  it('unknown, factory-only and revoked devices look the same, and like a wrong proof', async () => {
    const backend = await startSigned();
    const vehicle = await vehicleOn(backend);
    const secret = Uint8Array.from(randomBytes(32));
    const waiting = await provision(backend, {
      hw_id: 'waiting',
      device_secret_hash: toHex(deviceKeyOf(secret)),
    });
    const revoked = await TestVehicle.provisioned(backend, 'OTHER', ['TMU']);
    await setDeviceStatus(backend.dataDir, revoked.primary.serial, 'revoked');
    const replies = await Promise.all([
      tryLogIn(backend, { serial: 'CO-999999', hwId: 'nobody', secret }),
      tryLogIn(backend, { serial: waiting.json.serial, hwId: 'waiting', secret }),
      tryLogIn(backend, revoked.primary),
      tryLogIn(backend, { ...vehicle.primary, secret }),
    ]);
    expect(replies[0]!.status).toBe(401);
    expect(new Set(replies.map((reply) => JSON.stringify(shape(reply)))).size).toBe(1);
    // The challenge itself tells nothing either.
    const challenges = await Promise.all(
      ['CO-999999', vehicle.primary.serial].map((serial) =>
        backend.request('/auth/challenge', json({ serial, hw_id: 'chip', clientNonce: nonce() })),
      ),
    );
    const forms = challenges.map(({ status, json: body }) => [
      status,
      Object.entries(body).map(([name, value]) => [name, String(value).length]),
    ]);
    expect(forms[0]).toEqual(forms[1]);
  });

  it('revoking takes effect at the next request', async () => {
    const vehicle = await vehicleOn();
    expect((await vehicle.get('/latest_version')).status).toBe(200);
    const { dataDir } = vehicle.backend;
    const { serial } = vehicle.primary;
    await setDeviceStatus(dataDir, serial, 'revoked');
    for (const path of [
      '/latest_version',
      '/get_nonce',
      '/ota_download/EDT-1-000000000000.bin?nonce=00',
      `/director/${VIN}/metadata/timestamp.json`,
    ]) {
      expect([path, (await vehicle.get(path)).status]).toEqual([path, 401]);
    }
    for (const path of ['/report_versions', '/vehicle/checkin', '/vehicle/time']) {
      expect([path, (await vehicle.send(path, {})).status]).toEqual([path, 401]);
    }
    await setDeviceStatus(dataDir, serial, 'active');
    expect((await vehicle.get('/latest_version')).status).toBe(401); // that session is over
    await logIn(vehicle.backend, vehicle.primary);
  });

  it('a nonce belongs to the device, whatever address it comes from', async () => {
    const backend = await startSigned();
    const vehicle = await vehicleOn(backend);
    const other = await TestVehicle.provisioned(backend, 'OTHER', ['TMU']);
    const name = await backend.publish(Buffer.from('an image'));
    const { nonce: text } = (await vehicle.get('/get_nonce')).json;
    const path = `/ota_download/${name}?nonce=${text}`;
    const foreign = await other.get(path);
    expect([foreign.status, foreign.json.code]).toEqual([403, 'NONCE_FOREIGN']);
    const headers = bearer(vehicle.token);
    expect((await backend.request(path, { headers, from: '127.0.0.9' })).status).toBe(200);
  });

  it('keeps two sessions of a device, the older ones end', async () => {
    const vehicle = await vehicleOn();
    const { backend, primary } = vehicle;
    const tokens = [vehicle.token];
    for (let index = 0; index < 3; index++) tokens.push(await logIn(backend, primary));
    const status = async (token: string) =>
      (await backend.request('/latest_version', { headers: bearer(token) })).status;
    expect(await Promise.all(tokens.map(status))).toEqual([401, 401, 200, 200]);
  });

  it.each([
    ['/auth/challenge', {}],
    ['/auth/challenge', { serial: 'a|b', hw_id: 'chip', clientNonce: '00'.repeat(16) }],
    ['/auth/challenge', { serial: 'CO-000001', hw_id: 'chip', clientNonce: '00' }],
    ['/auth/response', { challenge: 'x' }],
    ['/auth/response', { challenge: 'x'.repeat(5000), clientProof: 'y' }],
  ])('%s refuses %.60j', async (path, body) => {
    const backend = await startBackend();
    const reply = await backend.request(path, json(body));
    expect([reply.status, reply.json.code]).toEqual([400, 'BAD_FIELD']);
  });
});

describe('vehicle paths', () => {
  it('are open until a device is registered, and closed from then on', async () => {
    const backend = await startSigned();
    expect((await backend.request('/latest_version')).status).toBe(200);
    await provision(backend, { hw_id: 'first' });
    const closed = await backend.request('/latest_version');
    expect([closed.status, closed.json.code]).toEqual([401, 'DEVICE_REFUSED']);
  });

  it('--devices required closes them from the start; a bad token is refused always', async () => {
    const strict = await startBackend({ devices: 'required' });
    expect((await strict.request('/get_nonce')).status).toBe(401);
    const open = await startBackend();
    expect((await open.request('/get_nonce')).status).toBe(200);
    for (const headers of [bearer('x'), bearer('x'.repeat(43)), { Authorization: 'Bearer' }]) {
      expect((await open.request('/get_nonce', { headers })).status).toBe(401);
    }
    // Another scheme is what a proxy in front asked for.
    const headers = { Authorization: 'Basic eDp5' };
    expect((await open.request('/get_nonce', { headers })).status).toBe(200);
  });

  it('a token for programs opens none of them', async () => {
    const backend = await startSigned();
    const headers = bearer(backend.factory);
    expect((await backend.request('/latest_version', { headers })).status).toBe(401);
  });
});

describe('floods', () => {
  it('of unknown callers get 429 with Retry-After, and cost no vehicle anything', async () => {
    const backend = await startSigned({
      rateLimits: {
        address: { burst: 60, perSecond: 1 },
        anonymous: { burst: 90, perSecond: 1 },
      },
    });
    const vehicle = await vehicleOn(backend);
    const flood = async (from: string) => {
      const replies: Reply[] = [];
      for (let index = 0; index < 80; index++) {
        const { serial, hwId } = vehicle.primary;
        const body = json({ serial, hw_id: hwId, clientNonce: nonce() });
        replies.push(await backend.request('/auth/challenge', { ...body, from }));
      }
      return replies;
    };
    const first = await flood('127.0.0.2');
    const refused = first.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThanOrEqual(20);
    expect(refused[0]!.json.code).toBe('RATE_LIMITED');
    expect(Number(refused[0]!.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    // Another address has its own bucket; then all strangers together have used theirs up.
    const second = await flood('127.0.0.3');
    expect(second[0]!.status).toBe(200);
    expect(second.at(-1)!.status).toBe(429);
    const stranger = await backend.request('/metadata/root.json', { from: '127.0.0.4' });
    expect(stranger.status).toBe(429);
    for (let index = 0; index < 20; index++) {
      expect((await vehicle.get('/latest_version')).status).toBe(200);
    }
    const log = await (await backend.login()).request('/audit?q=refused.rate');
    expect(log.json.entries.length).toBeLessThan(5);
  });

  it('of one vehicle cost that vehicle alone, longer and longer', async () => {
    const backend = await startSigned({ rateLimits: { identity: { burst: 20, perSecond: 1 } } });
    const vehicle = await vehicleOn(backend);
    const other = await TestVehicle.provisioned(backend, 'OTHER', ['TMU']);
    const waits: number[] = [];
    for (let round = 0; round < 4; round++) {
      let reply = await vehicle.get('/latest_version');
      while (reply.status === 200) reply = await vehicle.get('/latest_version');
      expect(reply.status).toBe(429);
      waits.push(Number(reply.headers['retry-after']));
      backend.clock.skip(waits.at(-1)! * 1000);
    }
    expect(waits).toEqual([1, 2, 4, 8]);
    expect((await other.get('/latest_version')).status).toBe(200);
  });
});

describe('the chip of a device', () => {
  it('is compared with the registry: a copied identity gets no session, and the operator sees it', async () => {
    const vehicle = await vehicleOn();
    const { backend, primary } = vehicle;
    const copied = await tryLogIn(backend, { ...primary, hwId: 'another-chip' });
    expect([copied.status, copied.json.code]).toEqual([403, 'OTHER_CHIP']);
    expect(copied.json.detail).toContain(primary.serial);
    expect(copied.json.detail).not.toContain(primary.hwId);
    const admin = await backend.login();
    const { entries } = (await admin.request('/audit?category=attacks')).json;
    expect(entries).toContainEqual(
      expect.objectContaining({
        action: 'device.chip',
        who: primary.serial,
        detail: expect.stringContaining(`another-chip, registered is chip ${primary.hwId}`),
      }),
    );
    expect((await tryLogIn(backend, primary)).status).toBe(200);
  });

  it('tells a stranger nothing: without the key another chip looks like any wrong proof', async () => {
    const vehicle = await vehicleOn();
    const secret = Uint8Array.from(randomBytes(32));
    const stranger = await tryLogIn(vehicle.backend, { ...vehicle.primary, hwId: 'x', secret });
    expect([stranger.status, stranger.json.code]).toEqual([401, 'DEVICE_REFUSED']);
  });

  it.each([undefined, '', '../x', 'a'.repeat(65), 7])(
    'must be told: %j is refused',
    async (hwId) => {
      const { backend, primary } = await vehicleOn();
      const { serial } = primary;
      const body = { serial, clientNonce: nonce(), ...(hwId === undefined ? {} : { hw_id: hwId }) };
      const reply = await backend.request('/auth/challenge', json(body));
      expect([reply.status, reply.json.code]).toEqual([400, 'BAD_FIELD']);
      expect(reply.json.detail).toContain('hw_id');
    },
  );
});
