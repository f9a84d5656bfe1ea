// The Director over HTTP: what a good manifest leads to, and what becomes of every kind of bad one.

import { describe, expect, it, onTestFinished } from 'vitest';
import { AuditLog } from '../../server/features/audit/store.ts';
import { addToken, setDeviceStatus } from '../../server/features/registry/tool-commands.ts';
import { VehicleStore } from '../../server/features/vehicles/store.ts';
import { openDatabase } from '../../server/platform/db/database.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { systemRandom } from '../../src/core/random.ts';
import { ImageDecryptor } from '../../src/trust/image-encryption.ts';
import { type SignedJson, signManifest } from '../../src/trust/manifest.ts';
import { trustRoot } from '../../src/trust/repository.ts';
import { signerFromSeed } from '../../src/trust/signing-key.ts';
import { checkTime } from '../../src/trust/time-attestation.ts';
import {
  bearer,
  Ceremony,
  DAY_MS,
  logIn,
  provision,
  reportOf,
  startSigned,
  TestVehicle,
  VIN,
} from './trust-support.ts';

const IMAGE = Uint8Array.from({ length: 20_000 }, (_, index) => (index * 13) % 251);
const INV_IMAGE = Uint8Array.from({ length: 5000 }, (_, index) => (index * 7) % 253);

async function bench() {
  const backend = await startSigned();
  const vehicle = await TestVehicle.provisioned(backend);
  return { backend, vehicle };
}

async function stateOf(vehicle: TestVehicle): Promise<{ state: string; reason: string }> {
  const reply = await (await vehicle.backend.login()).request(`/vehicles?vin=${vehicle.vin}`);
  return reply.json.states[0];
}

describe('check-in', () => {
  it('signs what each ECU should run, and a vehicle verifies it against both repositories', async () => {
    const { backend, vehicle } = await bench();
    const name = await backend.publish(IMAGE);
    const reply = await vehicle.checkin();
    expect(reply.status).toBe(200);
    expect(reply.json).toMatchObject({
      status: 'pending',
      director: { root: 1, timestamp: 1, snapshot: 1, targets: 1 },
    });
    const verified = await vehicle.verify();
    expect(verified).toMatchObject({ ok: true });
    if (!verified.ok) return;
    expect(verified.targets).toHaveLength(1);
    expect(verified.targets[0]).toMatchObject({
      serial: vehicle.ecu('EDT').serial,
      hardwareId: 'EDT-HW-1',
      name,
      version: '2.0.0',
      releaseCounter: 2,
      encryption: undefined,
    });
    const targets = (await vehicle.get(`/director/${VIN}/metadata/targets.json`)).json;
    expect(targets.signed.custom).toEqual({ vin: VIN });
  });

  it('says up-to-date when every ECU runs it, and still names what each should run', async () => {
    const { backend, vehicle } = await bench();
    const name = await backend.publish(IMAGE);
    await vehicle.checkin();
    expect(await stateOf(vehicle)).toMatchObject({
      state: 'pending',
      reason: 'EDT shall run 2.0.0',
    });
    const newer = Buffer.from('newer');
    const inverter = await backend.publish(newer, { ecu: 'INV', version: '1.5.0', counter: 3 });
    await vehicle.checkin();
    expect(await stateOf(vehicle)).toMatchObject({
      state: 'pending',
      reason: 'EDT shall run 2.0.0, INV shall run 1.5.0',
    });
    await vehicle.install('INV', inverter, newer, '1.5.0');
    await vehicle.install('EDT', name, IMAGE, '2.0.0');
    expect((await vehicle.checkin()).json).toMatchObject({
      status: 'up-to-date',
      director: { targets: 2, timestamp: 2 },
    });
    expect(await stateOf(vehicle)).toMatchObject({ state: 'up-to-date', reason: '' });
    const verified = await vehicle.verify();
    expect(verified.ok && verified.targets.map((target) => target.name)).toEqual([name, inverter]);
  });

  it('keeps what the TMU tells of itself, and shows it to people and programs', async () => {
    const { backend, vehicle } = await bench();
    const people = await backend.login();
    const page = () => people.request(`/vehicles?vin=${VIN}`, { headers: { Accept: 'text/html' } });
    const path = `/vehicles/${VIN}/checkin`;
    expect((await people.request(path)).json.code).toBe('VEHICLE_UNKNOWN');
    await vehicle.checkin();
    expect((await people.request(path)).json).toMatchObject({ telemetry: null, summary: [] });
    expect((await page()).text).not.toContain('What the TMU tells of itself');
    const telemetry = {
      daemonUptimeS: 273_600,
      supplyV: 12.4,
      storage: { freeBytes: 1.2e9, totalBytes: 8e9 },
      buses: [
        {
          name: '<b>can0',
          state: 'active',
          load: { permille: 123, overS: 3600, isLeast: false },
          frames: { sent: 1, received: 2, lost: 0 },
        },
      ],
    };
    expect((await vehicle.checkin(vehicle.manifest(), { telemetry })).status).toBe(200);
    // A check-in without it leaves the last one.
    await vehicle.checkin();
    const token = bearer(await addToken(backend.dataDir, 'shop', 'operator'));
    const told = await backend.request(path, { headers: token });
    expect(told.json).toMatchObject({ vin: VIN, telemetry });
    expect(Date.parse(told.json.telemetryAt)).toBeLessThanOrEqual(
      Date.parse(told.json.checkedInAt),
    );
    const { text } = await page();
    for (const said of ['3 d 4 h', '12.4 V', '1.2 GB free of 8 GB', '12.3 % over 1 h']) {
      expect(text).toContain(said);
    }
    expect(text).toContain('&lt;b&gt;can0');
    // As any page, it is JSON for those who ask for that.
    expect((await people.request(`/vehicles?vin=${VIN}`)).json.states[0].telemetry).toEqual(
      telemetry,
    );
  });

  it('takes no other telemetry, and says where it is wrong', async () => {
    const { vehicle } = await bench();
    for (const [telemetry, where] of [
      [{ odometer: 1 }, 'telemetry'],
      [{ daemonUptimeS: 1, buses: [{ name: 'can0', state: 'fine' }] }, 'telemetry.buses[0].state'],
    ] as const) {
      const reply = await vehicle.checkin(vehicle.manifest(), { telemetry });
      expect([reply.status, reply.json.code]).toEqual([400, 'BAD_FIELD']);
      expect(reply.json.detail).toContain(where);
    }
  });

  it('signs Targets that hold nothing but the VIN where nothing is released', async () => {
    const { backend, vehicle } = await bench();
    const empty = await backend.putMetadata('targets', await backend.ceremony.signTargets());
    expect(empty.status).toBe(201);
    expect((await vehicle.checkin()).json.status).toBe('up-to-date');
    const targets = (await vehicle.get(`/director/${VIN}/metadata/targets.json`)).json.signed;
    expect([targets.targets, targets.custom]).toEqual([{}, { vin: VIN }]);
    expect(await vehicle.verify()).toMatchObject({ ok: true, targets: [] });
  });

  it('never goes back: not to an older release, not after a release was taken away', async () => {
    const { backend, vehicle } = await bench();
    const old = await backend.publish(INV_IMAGE, { ecu: 'EDT', version: '1.5.0', counter: 1 });
    const name = await backend.publish(IMAGE, { version: '2.0.0', counter: 2 });
    await vehicle.install('EDT', name, IMAGE, '2.0.0');
    await vehicle.checkin();
    delete backend.ceremony.targets[name];
    expect(
      (await backend.putMetadata('targets', await backend.ceremony.signTargets())).status,
    ).toBe(201);
    expect((await vehicle.checkin()).json.status).toBe('up-to-date');
    const { targets } = (await vehicle.get(`/director/${VIN}/metadata/targets.json`)).json.signed;
    expect(Object.keys(targets)).not.toContain(old);
  });

  it('offers nothing whose image was not uploaded, or whose hardware is another one', async () => {
    const { backend, vehicle } = await bench();
    backend.ceremony.release(IMAGE);
    await backend.publish(INV_IMAGE, { ecu: 'INV', hardwareIds: ['INV-HW-2'] });
    expect((await vehicle.checkin()).json.status).toBe('up-to-date');
  });

  it('counts versions up for ever, over restarts too, and signs anew only when something changed', async () => {
    const { backend, vehicle } = await bench();
    await backend.publish(IMAGE);
    await vehicle.checkin();
    expect((await vehicle.checkin()).json.director).toMatchObject({ targets: 1, timestamp: 1 });
    await backend.publish(INV_IMAGE, { ecu: 'INV' });
    expect((await vehicle.checkin()).json.director).toMatchObject({ targets: 2, timestamp: 2 });
    await backend.close();
    const again = await startSigned({ dataDir: backend.dataDir, ceremony: backend.ceremony });
    const same = Object.assign(Object.create(TestVehicle.prototype), vehicle, { backend: again });
    same.token = await logIn(again, vehicle.primary);
    expect((await same.checkin()).json.director).toMatchObject({ targets: 2, timestamp: 2 });
    await again.publish(Buffer.from('third'), { version: '3.0.0', counter: 3 });
    expect((await same.checkin()).json.director).toMatchObject({ targets: 3, timestamp: 3 });
    expect(await same.verify()).toMatchObject({ ok: true });
  });

  it('renews Timestamp when half of its time is over, also for who only reads; two months later too', async () => {
    const { backend, vehicle } = await bench();
    await backend.publish(IMAGE);
    await vehicle.checkin();
    const timestamp = async () => {
      vehicle.token = await logIn(backend, vehicle.primary);
      return (await vehicle.get(`/director/${VIN}/metadata/timestamp.json`)).json.signed;
    };
    const first = await timestamp();
    backend.clock.skip(0.4 * DAY_MS);
    expect((await timestamp()).version).toBe(first.version);
    backend.clock.skip(1.1 * DAY_MS);
    const second = await timestamp();
    expect(second.version).toBe(2);
    expect(Date.parse(second.expires)).toBeGreaterThan(Date.parse(first.expires) + DAY_MS);
    expect(second.meta).toEqual(first.meta);
    backend.clock.skip(60 * DAY_MS);
    await timestamp();
    expect(await vehicle.verify()).toMatchObject({ ok: true });
    const names = ['timestamp.json', 'snapshot.json', 'targets.json'];
    const versions = await Promise.all(
      names.map(
        async (name) =>
          (await vehicle.get(`/director/${VIN}/metadata/${name}`)).json.signed.version,
      ),
    );
    expect(versions).toEqual([3, 2, 2]);
  });

  it('keeps vehicles apart: no other device reads, asks or checks in for one', async () => {
    const { backend, vehicle } = await bench();
    await backend.publish(IMAGE);
    const other = await TestVehicle.provisioned(backend, 'OTHER-1');
    await vehicle.checkin();
    const foreign = { headers: bearer(other.token) };
    for (const reply of [
      await backend.request(`/director/${VIN}/metadata/timestamp.json`, foreign),
      await backend.request(`/latest_version?vin=${VIN}`, foreign),
      await other.send('/vehicle/checkin', { vin: VIN, manifest: vehicle.manifest() }),
      await other.send('/report_versions', { vin: VIN, outcome: 'SUCCESS', ecus: [] }),
    ]) {
      expect([reply.status, reply.json.code]).toEqual([403, 'FOREIGN_VEHICLE']);
    }
    vehicle.token = await logIn(backend, vehicle.ecu('EDT'));
    expect((await vehicle.checkin()).json.code).toBe('FOREIGN_VEHICLE');
    expect((await stateOf(vehicle)).state).toBe('pending');
  });
});

describe('a broken manifest', () => {
  const cases: Record<string, [string, (vehicle: TestVehicle) => unknown]> = {
    'is missing': ['MANIFEST_MISSING', () => null],
    'is no manifest': ['MANIFEST_MALFORMED', () => ({ hello: 1 })],
    'is signed by another key': [
      'MANIFEST_UNSIGNED',
      (vehicle) => {
        const { signed } = vehicle.manifest();
        const reports = (signed as { reports: Record<string, SignedJson> }).reports;
        const thief = signerFromSeed(new Uint8Array(32).fill(9));
        return signManifest({ vin: VIN, primary: vehicle.primary.serial, reports }, thief);
      },
    ],
    'is of another vehicle': [
      'MANIFEST_VEHICLE',
      (vehicle) => {
        const { signed } = vehicle.manifest();
        const reports = (signed as { reports: Record<string, SignedJson> }).reports;
        const { signer, serial } = vehicle.primary;
        return signManifest({ vin: 'OTHER', primary: serial, reports }, signer);
      },
    ],
    'leaves an ECU out': [
      'MANIFEST_INCOMPLETE',
      (vehicle) =>
        vehicle.manifest((reports) => {
          delete reports[vehicle.ecu('INV').serial];
        }),
    ],
    'holds an ECU that nobody knows': [
      'MANIFEST_UNKNOWN_ECU',
      (vehicle) =>
        vehicle.manifest((reports) => {
          reports['CO-999999'] = reportOf({ ...vehicle.ecu('INV'), serial: 'CO-999999' });
        }),
    ],
    'has a report that another key signed': [
      'MANIFEST_UNSIGNED',
      (vehicle) =>
        vehicle.manifest((reports) => {
          const edt = vehicle.ecu('EDT');
          reports[edt.serial] = reportOf(edt, vehicle.ecu('INV').signer);
        }),
    ],
    'has the report of one ECU under the name of another': [
      'MANIFEST_UNSIGNED',
      (vehicle) =>
        vehicle.manifest((reports) => {
          reports[vehicle.ecu('EDT').serial] = reportOf({
            ...vehicle.ecu('INV'),
            signer: vehicle.ecu('EDT').signer,
          });
        }),
    ],
    'knows the future': [
      'MANIFEST_TIME',
      (vehicle) => {
        vehicle.ecu('EDT').time = new Date(Date.now() + DAY_MS).toISOString();
        return vehicle.manifest();
      },
    ],
    'repeats an old report': [
      'MANIFEST_REPLAYED',
      (vehicle) =>
        vehicle.manifest((reports) => {
          const edt = vehicle.ecu('EDT');
          reports[edt.serial] = reportOf({ ...edt, counter: 0 });
        }),
    ],
  };

  it('leads to attention and to nothing new; a good one leads back', async () => {
    const { backend, vehicle } = await bench();
    await backend.publish(IMAGE);
    expect((await vehicle.checkin()).status).toBe(200);
    const before = await vehicle.get(`/director/${VIN}/metadata/targets.json`);
    await backend.publish(INV_IMAGE, { ecu: 'INV' });
    const admin = await backend.login();
    const stateNow = async () =>
      (await admin.request(`/vehicles?vin=${VIN}`)).json.states[0].state as string;
    for (const [what, [code, make]] of Object.entries(cases)) {
      const refused = await vehicle.checkin(make(vehicle));
      const status = code === 'MANIFEST_REPLAYED' ? 409 : 422;
      expect([what, refused.status, refused.json.code]).toEqual([what, status, code]);
      expect([what, await stateNow()]).toEqual([what, 'needs-attention']);
      const log = await admin.request('/audit?category=attacks');
      expect(log.json.entries[0]).toMatchObject({ action: 'manifest.refused', who: VIN });
      expect(log.json.entries[0].detail).toContain(code);
      // Nothing new was decided on what nobody has vouched for.
      const after = await vehicle.get(`/director/${VIN}/metadata/targets.json`);
      expect(Buffer.compare(after.body, before.body)).toBe(0);
      vehicle.ecu('EDT').time = null;
    }
    expect((await vehicle.checkin()).json.director.targets).toBe(2);
    expect(await stateNow()).toBe('pending');
  });

  it('that was accepted already is refused, but says nothing bad about the vehicle', async () => {
    const { vehicle } = await bench();
    const manifest = vehicle.manifest();
    expect((await vehicle.checkin(manifest)).status).toBe(200);
    const again = await vehicle.checkin(manifest);
    expect([again.status, again.json.code]).toEqual([409, 'MANIFEST_REPLAYED']);
    expect(await stateOf(vehicle)).toMatchObject({ state: 'up-to-date' });
    await vehicle.checkin();
    expect((await vehicle.checkin(manifest)).status).toBe(409);
    expect(await stateOf(vehicle)).toMatchObject({ state: 'needs-attention' });
  });

  it('counts once also for two servers on one database', async () => {
    const { backend, vehicle } = await bench();
    await vehicle.checkin();
    const db = await openDatabase(backend.dataDir, { clock: systemClock, random: systemRandom });
    onTestFinished(() => db.close());
    const store = new VehicleStore(db, new AuditLog(db, silentLogger));
    const { serial } = vehicle.ecu('EDT');
    const report = { serial, file: 'x', length: 1, sha256: 'x', releaseCounter: 0, attack: '' };
    const accept = (counters: Record<string, number>) =>
      store.acceptManifest({
        ...{ vin: VIN, sha256: 'x', telemetry: undefined, attacks: [] },
        reports: Object.entries(counters).map(([name, counter]) => ({
          ...report,
          ...{ serial: vehicle.ecu(name).serial, counter, time: undefined },
        })),
      });
    expect(await accept({ INV: 50, EDT: 1 })).toBe(false);
    const kept = await store.reports([vehicle.ecu('INV').serial]);
    expect(kept.get(vehicle.ecu('INV').serial)?.counter).toBe(1); // all of it or nothing
    expect(await accept({ INV: 50, EDT: 2 })).toBe(true);
  });

  it('counts once when it is sent many times at once', async () => {
    const { vehicle } = await bench();
    const manifest = vehicle.manifest();
    const replies = await Promise.all(Array.from({ length: 12 }, () => vehicle.checkin(manifest)));
    expect(replies.map(({ status }) => status).sort()).toEqual([200, ...Array(11).fill(409)]);
  });
});

describe('what ECUs say', () => {
  it('an attack is kept, shown and logged once', async () => {
    const { backend, vehicle } = await bench();
    await vehicle.checkin();
    vehicle.ecu('EDT').attack = 'ROLLBACK';
    expect((await vehicle.checkin()).json.status).toBe('needs-attention');
    await vehicle.checkin();
    expect((await stateOf(vehicle)).reason).toBe(
      `EDT (${vehicle.ecu('EDT').serial}) reports ROLLBACK`,
    );
    const log = await (await backend.login()).request('/audit?category=attacks');
    expect(log.json.entries).toHaveLength(1);
    expect(log.json.entries[0]).toMatchObject({ action: 'vehicle.attack', who: VIN });
    vehicle.ecu('EDT').attack = '';
    expect((await vehicle.checkin()).json.status).toBe('up-to-date');
  });

  it('a revoked ECU is neither asked for nor told anything; its vehicle goes on', async () => {
    const { backend, vehicle } = await bench();
    const name = await backend.publish(IMAGE);
    await setDeviceStatus(backend.dataDir, vehicle.ecu('EDT').serial, 'revoked');
    expect((await vehicle.checkin()).json.status).toBe('up-to-date');
    const targets = await vehicle.get(`/director/${VIN}/metadata/targets.json`);
    expect(targets.text).not.toContain(name);
  });

  it('a pending vehicle that falls silent needs attention', async () => {
    const { backend, vehicle } = await bench();
    await backend.publish(IMAGE);
    await vehicle.checkin();
    backend.clock.skip(23 * 3_600_000);
    // Sessions of people end meanwhile; each look logs in again.
    expect((await stateOf(vehicle)).state).toBe('pending');
    backend.clock.skip(2 * 3_600_000);
    expect(await stateOf(vehicle)).toMatchObject({
      state: 'needs-attention',
      reason: 'no check-in for a day; EDT shall run 2.0.0',
    });
  });
});

describe('time', () => {
  it('is attested for the nonces that were asked', async () => {
    const { backend, vehicle } = await bench();
    const nonces = ['00'.repeat(16), 'ab'.repeat(16)];
    const { body } = await vehicle.get(`/director/${VIN}/metadata/root.json`);
    const anchor = trustRoot(Uint8Array.from(body));
    if (!anchor.ok) throw new Error(anchor.reason);
    for (const reply of [
      await vehicle.send('/vehicle/time', { nonces }),
      await vehicle.checkin(vehicle.manifest(), { nonces }),
    ]) {
      const checked = checkTime(reply.json.time, anchor.value.root, nonces[1]!, 0);
      expect(checked.ok && Math.abs(checked.value.timeMs - backend.clock.wallMs())).toBeLessThan(
        5000,
      );
      expect(checkTime(reply.json.time, anchor.value.root, '11'.repeat(16), 0)).toMatchObject({
        ok: false,
        code: 'FREEZE',
      });
    }
  });

  it.each([[{ nonces: ['00'] }], [{ nonces: Array(65).fill('00'.repeat(16)) }], [{ nonces: 'x' }]])(
    'refuses %.40j',
    async (body) => {
      const { vehicle } = await bench();
      expect((await vehicle.send('/vehicle/time', body)).status).toBe(400);
    },
  );
});

describe('encrypted releases', () => {
  it('each ECU gets its own copy, made once; nobody gets the plain image', async () => {
    const { backend, vehicle } = await bench();
    const name = await backend.publish(IMAGE, { encrypt: true });
    await vehicle.checkin();
    const verified = await vehicle.verify();
    if (!verified.ok) throw new Error(verified.reason);
    const target = verified.targets[0]!;
    const edt = vehicle.ecu('EDT');
    expect(target).toMatchObject({ name, length: IMAGE.length, encrypt: true });
    const { file, length, sha256 } = target.encryption!;

    const { nonce } = (await vehicle.get(`/get_nonce?vin=${VIN}`)).json;
    const blob = await vehicle.get(`/ota_download/${file}?nonce=${nonce}`);
    expect([blob.status, blob.body.length, blob.headers['x-checksum-sha256']]).toEqual([
      200,
      length,
      sha256,
    ]);
    expect(blob.body.includes(Buffer.from(IMAGE.subarray(0, 64)))).toBe(false);
    const decryptor = new ImageDecryptor({
      privateKey: edt.encryption.privateKey,
      serial: edt.serial,
      name,
      sha256: target.sha256,
      length: IMAGE.length,
    });
    const plain = [decryptor.update(Uint8Array.from(blob.body)), decryptor.finish()];
    const bytes = Buffer.concat(plain.map((part) => (part.ok ? part.value : Buffer.from('no'))));
    expect(Buffer.compare(bytes, IMAGE)).toBe(0);

    const other = (await vehicle.get(`/get_nonce?vin=${VIN}`)).json.nonce;
    for (const path of [`/ota_download/${name}?nonce=${other}`, `/targets/${name}`]) {
      const reply = await vehicle.get(path);
      expect([reply.status, reply.json.code]).toEqual([403, 'ENCRYPTED_ONLY']);
    }
    expect((await vehicle.get(`/targets/${file}`)).status).toBe(200);
    await vehicle.checkin();
    const again = await vehicle.verify();
    expect(again.ok && again.targets[0]!.encryption).toEqual(target.encryption);
  });

  it('two vehicles get two copies; an ECU without a key gets the newest that it can read', async () => {
    const { backend, vehicle } = await bench();
    const second = await TestVehicle.provisioned(backend, 'OTHER-1');
    const third = await TestVehicle.provisioned(backend, 'THIRD-1', ['TMU']);
    const keyless = { hw_id: 'foreign-1', vin: third.vin, name: 'EDT', hardware_id: 'EDT-HW-1' };
    const { serial } = (await provision(backend, keyless)).json;
    await provision(backend, { hw_id: keyless.hw_id }, '/provision/activate');
    // An ECU of another make: its Primary speaks for it.
    const { signer, encryption, secret } = third.primary;
    const installed = { name: 'EDT.bin', version: 'unknown', length: 1, sha256: '00'.repeat(32) };
    third.ecus.push({
      ...{ name: 'EDT', serial, hwId: keyless.hw_id, signer, encryption, secret, installed },
      ...{ counter: 0, attack: '', time: null },
    });
    const plain = await backend.publish(INV_IMAGE, { version: '1.5.0', counter: 1 });
    await backend.publish(IMAGE, { encrypt: true });
    const all = [vehicle, second, third];
    const replies = await Promise.all(all.map((each) => each.checkin()));
    expect(replies.map(({ json }) => json.status)).toEqual(['pending', 'pending', 'pending']);
    const [one, two, three] = await Promise.all(all.map((each) => each.verify()));
    if (!one!.ok || !two!.ok || !three!.ok) throw new Error('not verified');
    expect(one!.targets[0]!.encryption!.sha256).not.toBe(two!.targets[0]!.encryption!.sha256);
    expect(one!.targets[0]!.sha256).toBe(two!.targets[0]!.sha256);
    expect(three!.targets[0]).toMatchObject({ name: plain, encrypt: false });
  });
});

describe('the trust folder', () => {
  it('opens keys with a passphrase', async () => {
    const ceremony = await Ceremony.create();
    await ceremony.writeKeys('correct horse');
    const options = { role: 'all', trustDir: ceremony.dir } as const;
    await expect(startSigned({ ceremony, uptane: options })).rejects.toThrow(/online/);
    await startSigned({ ceremony, uptane: { ...options, passphrase: 'correct horse' } });
  });
});
