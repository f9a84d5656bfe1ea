// A server whose data came back from a backup: it says so, signs nothing below what vehicles know, and goes on above it.

import { cp, rename, rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { declareRestored } from '../../server/features/registry/restored-command.ts';
import type { KnownVersions } from '../../src/trust/manifest.ts';
import { versionsOf } from '../../src/trust/repository.ts';
import { temporaryFolder } from './support.ts';
import { logIn, type SignedBackend, startSigned, TestVehicle, VIN } from './trust-support.ts';

const OLD = Buffer.from('new firmware of the display');
const NEWER = Buffer.from('newer firmware of the display');
const NEWEST = Buffer.from('newest firmware of the display');

/** The vehicle at another server, or at the same one after a restart. */
async function at(backend: SignedBackend, vehicle: TestVehicle): Promise<TestVehicle> {
  const same: TestVehicle = Object.assign(Object.create(TestVehicle.prototype), vehicle, {
    backend,
  });
  same.token = await logIn(backend, vehicle.primary);
  return same;
}

/** What it trusts after a check-in and a full verification. */
async function knownTo(vehicle: TestVehicle): Promise<KnownVersions> {
  const verified = await vehicle.verify();
  if (!('trust' in verified)) throw new Error(verified.reason);
  return {
    director: versionsOf(verified.trust.director),
    images: versionsOf(verified.trust.images),
  };
}

/** A backup after the first release; a second one since, which the vehicle has installed. */
async function lostDay(copy: 'folder' | 'in place') {
  const backend = await startSigned();
  const { dataDir, ceremony } = backend;
  const vehicle = await TestVehicle.provisioned(backend);
  await backend.publish(OLD, { version: '2.0.0', counter: 2 });
  await vehicle.checkin();
  await backend.close();
  const backup = await temporaryFolder();
  await cp(dataDir, backup, { recursive: true });
  const next = await startSigned({ dataDir, ceremony });
  const later = await at(next, vehicle);
  const name = await next.publish(NEWER, { version: '3.0.0', counter: 3 });
  await later.checkin();
  later.knows = await knownTo(later);
  await later.install('EDT', name, NEWER, '3.0.0');
  await later.checkin();
  later.knows = await knownTo(later);
  await next.close();
  if (copy === 'folder') {
    await rm(dataDir, { recursive: true });
    await cp(backup, dataDir, { recursive: true });
  } else {
    // As a volume is set back: the same files on the disk, with what they held before.
    await cp(backup, dataDir, { recursive: true, force: true });
  }
  return { dataDir, ceremony, vehicle: later };
}

describe('a restored backup', () => {
  it('in place is noticed by what a vehicle knows; one command and one push lead out', async () => {
    const { dataDir, ceremony, vehicle: before } = await lostDay('in place');
    await rm(`${dataDir}/lineage.json`, { force: true });
    const backend = await startSigned({ dataDir, ceremony });
    const vehicle = await at(backend, before);
    const refused = await vehicle.checkin();
    expect([refused.status, refused.json.code]).toEqual([503, 'BACKEND_BEHIND']);
    expect(refused.json.detail).toContain('Director Targets');
    expect(refused.json.detail).toContain('image Targets 2 (1 here)');
    expect(refused.json.detail).toContain('can-ota server restored, and can-ota release push');
    const health = (await backend.request('/healthz')).json;
    expect(health.status).toBe('ok');
    expect(health.notices).toEqual([expect.stringContaining('restored from a backup: a vehicle')]);
    expect(JSON.stringify(health)).not.toContain(VIN);
    expect(backend.log.join()).toContain('it was restored from a backup');
    const admin = await backend.login();
    const page = await admin.request('/vehicles', { headers: { accept: 'text/html' } });
    expect(page.text).toMatch(/role="alert">This server was restored from a backup/);
    const [state] = (await admin.request(`/vehicles?vin=${VIN}`)).json.states;
    expect(state).toMatchObject({ vin: VIN, state: 'needs-attention' });

    // The command works beside the running server.
    const { above } = await declareRestored(dataDir, { clock: backend.clock });
    const stillBehind = await vehicle.checkin();
    expect(stillBehind.json.detail).toContain('knows image Targets 2 (1 here)');
    expect(stillBehind.json.detail).not.toContain('server restored');
    await backend.putMetadata('targets', await currentTargets(ceremony));
    // The image of the release is lost with the backup: that is said, too, until it is there again.
    expect((await backend.request('/healthz')).json.notices).toEqual([
      expect.stringMatching(/no image on this server: EDT-3\.0\.0-.*can-ota release push/),
    ]);
    expect((await backend.upload(NEWER, { version: '3.0.0' })).status).toBe(201);
    const answer = await vehicle.checkin();
    expect(answer.status, answer.text).toBe(200);
    const now = await knownTo(vehicle);
    for (const role of ['targets', 'snapshot', 'timestamp'] as const) {
      expect([role, now.director[role]! > above]).toEqual([role, true]);
      expect([role, now.director[role]! > vehicle.knows!.director[role]!]).toEqual([role, true]);
    }
    expect(now.images.targets).toBe(2);
    expect(Math.min(now.images.snapshot!, now.images.timestamp!)).toBeGreaterThan(above);
    expect((await backend.request('/healthz')).json.notices).toEqual([]);

    // And the next release arrives.
    vehicle.knows = now;
    await backend.publish(NEWEST, { version: '4.0.0', counter: 4 });
    expect((await vehicle.checkin()).json.status).toBe('pending');
    const verified = await vehicle.verify();
    expect('targets' in verified && verified.targets.map(({ version }) => version)).toEqual([
      '4.0.0',
    ]);
  });

  it('of a whole folder is noticed at the start, before anything is signed below', async () => {
    const { dataDir, ceremony, vehicle: before } = await lostDay('folder');
    const backend = await startSigned({ dataDir, ceremony });
    expect(backend.log.join()).toContain('the data folder is a copy');
    const vehicle = await at(backend, before);
    const refused = await vehicle.checkin();
    expect(refused.json.detail).toContain('knows image Targets 2 (1 here)');
    await backend.putMetadata('targets', await currentTargets(ceremony));
    expect((await vehicle.checkin()).status).toBe(200);
    const now = await knownTo(vehicle);
    expect(now.images.timestamp).toBeGreaterThan(vehicle.knows!.images.timestamp!);
    // It is said once: the next start is an ordinary one.
    await backend.close();
    const again = await startSigned({ dataDir, ceremony });
    expect(again.log.join()).not.toContain('copy');
    expect((await (await at(again, vehicle)).checkin()).json.director.targets).toBe(
      now.director.targets,
    );
  });

  it('a second restore of the same backup does not sign the versions of the first one again', async () => {
    const { dataDir, ceremony, vehicle } = await lostDay('folder');
    const backup = await temporaryFolder();
    await cp(dataDir, backup, { recursive: true });
    const floors: number[] = [];
    for (let time = 0; time < 2; time++) {
      const backend = await startSigned({ dataDir, ceremony });
      backend.clock.skip(60_000 * time);
      floors.push((await declareRestored(dataDir, { clock: backend.clock })).above);
      await backend.close();
      await rm(dataDir, { recursive: true });
      await cp(backup, dataDir, { recursive: true });
    }
    expect(floors[1]! - floors[0]!).toBeGreaterThan(50);
    expect(vehicle.vin).toBe(VIN);
  });

  it('a database that was put back alone is older than the last start says', async () => {
    const backend = await startSigned();
    const { dataDir, ceremony } = backend;
    const vehicle = await TestVehicle.provisioned(backend);
    await vehicle.checkin();
    await backend.close();
    const backup = await temporaryFolder();
    await cp(dataDir, backup, { recursive: true });
    await (await startSigned({ dataDir, ceremony })).close();
    await rename(`${backup}/can-ota.db`, `${dataDir}/can-ota.db`);
    const again = await startSigned({ dataDir, ceremony });
    expect(again.log.join()).toContain('the database is older than the last start');
  });

  it('a folder that never served a vehicle is copied without a word', async () => {
    const backend = await startSigned();
    const { dataDir, ceremony } = backend;
    await backend.publish(OLD);
    await backend.close();
    const copy = await temporaryFolder();
    await cp(dataDir, copy, { recursive: true });
    const again = await startSigned({ dataDir: copy, ceremony });
    expect(again.log.join()).not.toContain('copy');
    expect((await again.request('/metadata/timestamp.json')).json.signed.version).toBe(1);
  });

  it('gives no serial number out a second time', async () => {
    const { dataDir, ceremony } = await lostDay('folder');
    const backend = await startSigned({ dataDir, ceremony });
    const [device] = (await TestVehicle.provisioned(backend, 'OTHER-1')).ecus;
    expect(Number(device!.serial.slice(3))).toBeGreaterThan(1_000_000);
  });

  it('is refused for a folder without a database', async () => {
    await expect(declareRestored(await temporaryFolder())).rejects.toThrow(/holds no can-ota.db/);
  });
});

/** The newest Targets of the ceremony, as `can-ota release push` brings them. */
async function currentTargets(ceremony: SignedBackend['ceremony']): Promise<Uint8Array> {
  ceremony.targetsVersion--;
  return ceremony.signTargets();
}
