// The table of attacks, at the backend: who has heard a vehicle, or was one, in front of the real server over HTTP.

import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { setDeviceStatus } from '../../server/features/registry/tool-commands.ts';
import { toHex } from '../../src/core/bytes.ts';
import { clientProof, deviceKeyOf } from '../../src/trust/device-session.ts';
import { json } from '../server/support.ts';
import { bearer, startSigned, TestVehicle, VIN } from '../server/trust-support.ts';
import { imageOf } from '../support/attack-repositories.ts';
import { attacksOn } from '../support/attack-table.ts';

const attack = attacksOn('network');

async function bench() {
  const backend = await startSigned();
  const vehicle = await TestVehicle.provisioned(backend);
  return { backend, vehicle };
}

attack(
  {
    name: 'replayed check-in',
    has: 'a manifest that the vehicle has sent, and a session of it',
    does: 'sends it again later, so that the Director believes in the old state',
    vehicle:
      'is known by its Director, which has heard these counters before, and keeps what it knows',
    code: 'MANIFEST_REPLAYED',
  },
  async () => {
    const { vehicle } = await bench();
    const recorded = vehicle.manifest();
    expect((await vehicle.checkin(recorded)).status).toBe(200);
    expect((await vehicle.checkin()).status).toBe(200);
    const reply = await vehicle.checkin(recorded);
    expect(reply.status).toBe(409);
    expect((await vehicle.checkin()).status).toBe(200);
    return reply.json.code;
  },
);

attack(
  {
    name: 'replayed proof of a device',
    has: 'everything that the vehicle and its backend said when they opened a session',
    does: 'says the vehicle’s part again, to get a session of his own',
    vehicle: 'is asked another question by its backend each time, to which the old answer is wrong',
    code: 'HTTP_401',
  },
  async () => {
    const { backend, vehicle } = await bench();
    const { serial, hwId, secret } = vehicle.primary;
    const key = deviceKeyOf(secret);
    const clientNonce = toHex(randomBytes(16));
    const asked = json({ serial, hw_id: hwId, clientNonce });
    const heard = (await backend.request('/auth/challenge', asked)).json;
    const proof = clientProof(key, { serial, clientNonce, ...heard });
    const answer = { challenge: heard.challenge, clientProof: proof };
    expect((await backend.request('/auth/response', json(answer))).status).toBe(200);
    const again = await backend.request('/auth/response', json(answer));
    const fresh = (await backend.request('/auth/challenge', asked)).json;
    const stale = { challenge: fresh.challenge, clientProof: proof };
    const reply = await backend.request('/auth/response', json(stale));
    expect(again.status).toBe(reply.status);
    return `HTTP_${reply.status}`;
  },
);

attack(
  {
    name: 'reused nonce of a download',
    has: 'the nonce with which the vehicle has fetched an image, and a session of it',
    does: 'fetches the image with it once more',
    vehicle: 'is given one nonce for each download, and its backend knows which are used',
    code: 'HTTP_403',
  },
  async () => {
    const { backend, vehicle } = await bench();
    const name = await backend.publish(imageOf('EDT', '2.0.0'));
    const { nonce } = (await vehicle.get(`/get_nonce?vin=${VIN}`)).json;
    const path = `/ota_download/${name}?nonce=${nonce}`;
    expect((await vehicle.get(path)).status).toBe(200);
    return `HTTP_${(await vehicle.get(path)).status}`;
  },
);

attack(
  {
    name: 'stolen session of a revoked device',
    has: 'the token of a session that is still open, of a device that was reported stolen',
    does: 'asks for metadata, images and the time with it',
    vehicle: 'is refused with its next request after it was revoked',
    code: 'HTTP_401',
  },
  async () => {
    const { backend, vehicle } = await bench();
    expect((await vehicle.checkin()).status).toBe(200);
    await setDeviceStatus(backend.dataDir, vehicle.primary.serial, 'revoked');
    const replies = [
      await vehicle.checkin(),
      await vehicle.get(`/director/${VIN}/metadata/timestamp.json`),
      await vehicle.get(`/get_nonce?vin=${VIN}`),
      await vehicle.get(`/latest_version?vin=${VIN}`),
      await vehicle.send('/vehicle/time', { nonces: [] }),
    ];
    const statuses = new Set(replies.map(({ status }) => status));
    expect(statuses.size).toBe(1);
    return `HTTP_${[...statuses][0]}`;
  },
);

attack(
  {
    name: 'one vehicle in the name of another',
    has: 'a vehicle of his own, provisioned like all others',
    does: 'asks for metadata of another vehicle, and checks in for it',
    vehicle: 'is not concerned: its backend knows which device belongs to which vehicle',
    code: 'HTTP_403',
  },
  async () => {
    const { backend, vehicle } = await bench();
    await vehicle.checkin();
    const other = await TestVehicle.provisioned(backend, 'WVWZZZ1JZXW000002');
    const foreign = { headers: bearer(other.token) };
    const replies = [
      await backend.request(`/director/${VIN}/metadata/targets.json`, foreign),
      await other.send('/vehicle/checkin', { vin: VIN, manifest: vehicle.manifest() }),
    ];
    const statuses = new Set(replies.map(({ status }) => status));
    expect(statuses.size).toBe(1);
    return `HTTP_${[...statuses][0]}`;
  },
);

attack(
  {
    name: 'release without the offline key',
    has: 'the login of somebody who may upload, and every online key of the backend',
    does: 'uploads malware, and Targets that he has signed with the keys that he has',
    vehicle: 'never hears of it: the backend itself wants the signature of the offline key',
    code: 'ARBITRARY_SOFTWARE',
  },
  async () => {
    const { backend, vehicle } = await bench();
    const malware = imageOf('EDT', 'malware');
    expect((await backend.upload(malware)).status).toBe(201);
    const name = backend.ceremony.release(malware);
    const signers = [backend.ceremony.signer('images-snapshot')];
    const reply = await backend.putMetadata('targets', await backend.ceremony.signTargets(signers));
    expect(reply.status).toBeGreaterThanOrEqual(400);
    expect((await vehicle.checkin()).json.status).toBe('up-to-date');
    const targets = await vehicle.get(`/director/${VIN}/metadata/targets.json`);
    expect(targets.text).not.toContain(name);
    return /ARBITRARY_SOFTWARE/.exec(reply.text)?.[0] ?? `HTTP_${reply.status}`;
  },
);
