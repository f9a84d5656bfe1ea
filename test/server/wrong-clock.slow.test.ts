// A server whose clock was wrong: what leads out, and what it needs nothing for.

import { describe, expect, it } from 'vitest';
import { trustRoot } from '../../src/trust/repository.ts';
import { generateSigner, toPem } from '../../src/trust/signing-key.ts';
import { checkTime } from '../../src/trust/time-attestation.ts';
import { DAY_MS, logIn, startSigned, TestVehicle, VIN } from './trust-support.ts';

const IMAGE = Buffer.from('new firmware of the display');
const NONCE = '00'.repeat(16);

describe('a wrong clock of the server', () => {
  it('ahead: a Root with a new key of the role time is taken while the server runs, and ends it', async () => {
    const backend = await startSigned();
    const { ceremony } = backend;
    const vehicle = await TestVehicle.provisioned(backend);
    await backend.publish(IMAGE);
    vehicle.ecu('EDT').time = new Date(Date.now() + 30 * DAY_MS).toISOString();
    const stuck = await vehicle.checkin();
    expect([stuck.status, stuck.json.code]).toEqual([422, 'MANIFEST_TIME']);
    expect(stuck.json.detail).toContain('can-ota keys reset-time');

    const next = generateSigner();
    ceremony.keys['director-time'] = next;
    const root = await ceremony.root('director');
    const push = () => backend.putMetadata('root', root, '/director/metadata/root');
    const early = await push();
    expect([early.status, early.json.code]).toEqual([409, 'METADATA_KEYS']);
    await ceremony.writeKey('director-time', toPem(next.privateKey));
    expect((await push()).status).toBe(201);

    const answer = await vehicle.checkin(vehicle.manifest(), { nonces: [NONCE] });
    expect(answer.status, answer.text).toBe(200);
    const trusted = trustRoot(root);
    if (!trusted.ok) throw new Error(trusted.reason);
    expect(checkTime(answer.json.time, trusted.value.root, NONCE, 0)).toMatchObject({ ok: true });
    expect(await vehicle.verify()).toMatchObject({ ok: true });
    // Only the time is forgiven: a report that comes a second time is still a replay.
    vehicle.ecu('EDT').counter -= 1;
    expect((await vehicle.checkin()).json.code).toBe('MANIFEST_REPLAYED');
  });

  it('a Root with other keys and the same key of the role time forgives nothing', async () => {
    const backend = await startSigned();
    const { ceremony } = backend;
    const vehicle = await TestVehicle.provisioned(backend);
    const next = generateSigner();
    ceremony.keys['director-timestamp'] = next;
    await ceremony.writeKey('director-timestamp', toPem(next.privateKey));
    const root = await ceremony.root('director');
    expect((await backend.putMetadata('root', root, '/director/metadata/root')).status).toBe(201);
    vehicle.ecu('EDT').time = new Date(Date.now() + DAY_MS).toISOString();
    expect((await vehicle.checkin()).json.code).toBe('MANIFEST_TIME');
  });

  it('behind: what was signed then is signed again by the right clock, without a command', async () => {
    const backend = await startSigned();
    backend.clock.setWrong(-10 * DAY_MS);
    const vehicle = await TestVehicle.provisioned(backend);
    await backend.publish(IMAGE);
    await vehicle.checkin();
    expect(await vehicle.verify()).toMatchObject({ ok: true });
    backend.clock.setWrong(0);
    vehicle.token = await logIn(backend, vehicle.primary);
    expect((await vehicle.checkin()).status).toBe(200);
    expect(await vehicle.verify()).toMatchObject({ ok: true });
  });

  it('a year ahead: what was signed then does not outlive what may be', async () => {
    const backend = await startSigned();
    const vehicle = await TestVehicle.provisioned(backend);
    await backend.publish(IMAGE);
    backend.clock.setWrong(300 * DAY_MS);
    vehicle.token = await logIn(backend, vehicle.primary);
    await vehicle.checkin();
    const expiries = async (): Promise<number[]> => {
      vehicle.token = await logIn(backend, vehicle.primary);
      const files = [
        `/director/${VIN}/metadata/timestamp.json`,
        `/director/${VIN}/metadata/targets.json`,
        '/metadata/timestamp.json',
        '/metadata/snapshot.json',
      ];
      const replies = await Promise.all(files.map((file) => vehicle.get(file)));
      return replies.map(({ json }) => Date.parse(json.signed.expires));
    };
    for (const ms of await expiries()) expect(ms).toBeGreaterThan(Date.now() + 300 * DAY_MS);
    backend.clock.setWrong(0);
    for (const ms of await expiries()) expect(ms).toBeLessThan(Date.now() + 15 * DAY_MS);
    expect(await vehicle.verify()).toMatchObject({ ok: true });
  });
});
