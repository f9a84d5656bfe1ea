// The daemon with the real Director and image repository over loopback: from the check-in to the final state.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { setDeviceStatus } from '../../../server/features/registry/tool-commands.ts';
import type {
  DriverResult,
  EcuDriver,
  EcuReport,
  Target,
  TransferReport,
} from '../../../src/campaign/ports.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { silentLogger } from '../../../src/core/logger.ts';
import { systemRandom } from '../../../src/core/random.ts';
import { HttpBackend } from '../../../src/tmu/http-backend.ts';
import { Tmu } from '../../../src/tmu/tmu.ts';
import type { TmuEvent } from '../../../src/tmu/tmu-event.ts';
import { UptaneSource } from '../../../src/tmu/uptane/uptane-source.ts';
import { decodeBundle } from '../../../src/trust/bundle.ts';
import { ImageDecryptor } from '../../../src/trust/image-encryption.ts';
import { verifyBundle } from '../../../src/trust/partial-verification.ts';
import { trustRoot } from '../../../src/trust/repository.ts';
import { checkTime } from '../../../src/trust/time-attestation.ts';
import { vehicleSchema } from '../../../src/vehicle/schema.ts';
import {
  type Ceremony,
  describeImage,
  reportOf,
  type SignedBackend,
  startSigned,
  type TestEcu,
  TestVehicle,
  VIN,
} from '../../server/trust-support.ts';
import { FaultStorage } from '../../support/fault-storage.ts';
import { bytesOf, sha256 } from '../support.ts';

const vehicle = vehicleSchema.parse({
  vin: VIN,
  buses: { main: {} },
  ecus: [
    { name: 'EDT', hardwareId: 'EDT-HW-1', address: { mode: 'normal', request: 1, response: 2 } },
  ],
});

/** Verifies like an ECU, decrypts images for it, and signs reports of what it then runs. */
class VerifyingEcu implements EcuDriver {
  readonly #ecu: TestEcu;
  readonly #root: Uint8Array;
  #staged: { image: Uint8Array; target: { name: string; version: string } } | undefined;
  readonly received: Uint8Array[] = [];

  constructor(ecu: TestEcu, root: Uint8Array) {
    this.#ecu = ecu;
    this.#root = root;
  }

  async identify() {
    const { version, sha256: digest } = this.#ecu.installed;
    const value = { hardwareId: 'EDT-HW-1', version, serialNumber: undefined, sha256: digest };
    return { ok: true, value, warnings: [] } as const;
  }

  async stage({ image, metadata }: Target): Promise<DriverResult<TransferReport>> {
    const { serial, encryption } = this.#ecu;
    const nonce = '77'.repeat(16);
    const director = trustRoot(this.#root);
    if (!director.ok || typeof metadata !== 'function') throw new Error('no metadata');
    const state = {
      verification: 'partial',
      director: { root: 1 },
      counter: 0,
      time: null,
    } as const;
    const made = await metadata({ ...state, nonce });
    if (!made.ok) return { ...made, changed: 'no' };
    const bundle = decodeBundle(made.value);
    if (!bundle.ok) throw new Error(bundle.reason);
    const time = checkTime(bundle.value.time, director.value.root, nonce, 0);
    if (!time.ok) throw new Error(time.reason);
    const verified = verifyBundle({
      trust: { director: director.value },
      verification: 'partial',
      bundle: bundle.value,
      nowMs: time.value.timeMs,
      vin: VIN,
      ecu: { serial, hardwareId: 'EDT-HW-1', name: 'EDT' },
    });
    if (!verified.ok) throw new Error(verified.reason);
    const target = verified.value.target!;
    const carried = Uint8Array.from(await image.read(0, image.length));
    this.received.push(carried);
    let plain = carried;
    if (target.encryption !== undefined) {
      const { name, length, sha256: digest } = target;
      const { privateKey } = encryption;
      const decryptor = new ImageDecryptor({ privateKey, serial, name, sha256: digest, length });
      const parts = [decryptor.update(carried), decryptor.finish()];
      plain = Buffer.concat(
        parts.map((part) => {
          if (!part.ok) throw new Error(part.reason);
          return part.value;
        }),
      );
    }
    if (sha256(plain) !== target.sha256) throw new Error('not what was signed');
    this.#staged = { image: plain, target };
    return {
      ok: true,
      value: { bytes: carried.length, transferMs: 1, changed: 'yes', held: false },
      warnings: [],
    };
  }

  async activate(): Promise<DriverResult<TransferReport>> {
    const { image, target } = this.#staged!;
    this.#ecu.installed = describeImage(target.name, target.version, image);
    return {
      ok: true,
      value: { bytes: 0, transferMs: 0, changed: 'yes', held: false },
      warnings: [],
    };
  }

  async verify(): Promise<DriverResult<EcuReport>> {
    return { ok: true, value: this.#ecu.installed, warnings: [] };
  }

  async commit() {
    return { ok: true, value: undefined, warnings: [] } as const;
  }

  async confirm(): Promise<DriverResult<string | undefined>> {
    return { ok: true, value: undefined, warnings: [] };
  }

  async rollback(): Promise<DriverResult<never>> {
    throw new Error('nothing goes wrong here');
  }

  async versionReport(): Promise<DriverResult<Uint8Array | undefined>> {
    const value = new TextEncoder().encode(JSON.stringify(reportOf(this.#ecu)));
    return { ok: true, value, warnings: [] };
  }

  /** Counters of version reports that were acknowledged as received by the Director. */
  readonly reportsReceived: number[] = [];

  async reportReceived(counter: number): Promise<DriverResult<void>> {
    this.reportsReceived.push(counter);
    return { ok: true, value: undefined, warnings: [] };
  }
}

async function start() {
  const backend = await startSigned();
  const provisioned = await TestVehicle.provisioned(backend, VIN, ['TMU', 'EDT']);
  const anchors = {
    director: rootOf(backend.ceremony, 'director'),
    images: rootOf(backend.ceremony, 'images'),
  };
  const ecu = new VerifyingEcu(provisioned.ecu('EDT'), anchors.director);
  const events: TmuEvent[] = [];
  const { primary } = provisioned;
  const storage = new FaultStorage();
  const once = async () => {
    const tmu = new Tmu({
      backend: new HttpBackend({
        server: backend.url,
        vin: VIN,
        clock: systemClock,
        identity: {
          device: {
            serial: primary.serial,
            hwId: primary.hwId,
            deviceSecret: primary.secret,
          },
          random: systemRandom,
        },
      }),
      trusted: (tools) =>
        UptaneSource.open(tools, {
          identity: {
            serial: primary.serial,
            ecus: { EDT: { serial: provisioned.ecu('EDT').serial, hardwareId: 'EDT-HW-1' } },
          },
          signer: primary.signer,
          software: {
            name: 'can-ota',
            version: '1',
            length: 1,
            hashes: { sha256: 'a'.repeat(64) },
          },
          anchors,
        }),
      driverFor: () => ecu,
      storage,
      vehicle,
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      events: (event) => events.push(event),
      lock: async () => ({ release: async () => {} }),
    });
    const result = await tmu.runOnce(new AbortController().signal);
    await tmu.close();
    return result;
  };
  return { backend, provisioned, ecu, events, once, storage };
}

function rootOf({ dir }: Ceremony, repository: string): Uint8Array {
  return Uint8Array.from(readFileSync(path.join(dir, repository, '1.root.json')));
}

/** The state as the page and `can-ota server` show it. */
async function stateOf(backend: SignedBackend): Promise<string> {
  const admin = await backend.login();
  const reply = await admin.request('/vehicles');
  const states = ['up-to-date', 'pending', 'needs-attention'];
  return states.filter((state) => reply.text.includes(state)).join(' ');
}

describe('with the backend of this project', () => {
  it('a release reaches the ECU, and the Director hears that it did', async () => {
    const { backend, ecu, events, once } = await start();
    const image = bytesOf(20_000, 3);
    const name = await backend.publish(image);
    const result = await once();
    expect(result).toMatchObject({
      outcome: 'SUCCESS',
      ecus: [{ name: 'EDT', reported: '2.0.0' }],
    });
    expect(ecu.received).toEqual([image]);
    expect(events.find(({ kind }) => kind === 'verified')).toMatchObject({
      director: { root: 1 },
      images: { root: 1 },
    });
    expect(events.filter(({ kind }) => kind === 'attack' || kind === 'warning')).toEqual([]);
    expect(name).toContain('EDT-2.0.0');
    expect((await once()).outcome).toBe('UP_TO_DATE');
    // The campaign's own check-in has reported it, so no further check was needed.
    expect(await stateOf(backend)).toBe('up-to-date');
    expect(events.filter(({ kind }) => kind === 'verified')).toHaveLength(1);
  });

  it('an upload that nobody signed is not installed', async () => {
    const { backend, ecu, once } = await start();
    expect((await backend.upload(bytesOf(5000, 4))).status).toBe(201);
    expect((await once()).outcome).toBe('UP_TO_DATE');
    expect(ecu.received).toEqual([]);
  });

  it('an encrypted release travels as a blob for this ECU alone', async () => {
    const { backend, ecu, once, storage } = await start();
    const image = bytesOf(20_000, 5);
    await backend.publish(image, { encrypt: true });
    expect(await once()).toMatchObject({ outcome: 'SUCCESS', ecus: [{ sha256: sha256(image) }] });
    const [blob] = ecu.received;
    expect(blob!.length).toBeGreaterThan(image.length);
    expect(Buffer.from(blob!).includes(Buffer.from(image.subarray(100, 200)))).toBe(false);
    expect(await storage.list('images')).toEqual([`${sha256(blob!)}.bin`]);
    expect((await once()).outcome).toBe('UP_TO_DATE');
  });

  it('a TMU that was revoked gets nothing from its next request on', async () => {
    const { backend, provisioned, ecu, once } = await start();
    await backend.publish(bytesOf(5000, 6));
    await setDeviceStatus(backend.dataDir, provisioned.primary.serial, 'revoked');
    const result = await once();
    expect(result).toMatchObject({ outcome: 'BACKEND_UNAVAILABLE' });
    expect(result.code).toMatch(/^HTTP_40[13]$/);
    expect(ecu.received).toEqual([]);
  });
});
