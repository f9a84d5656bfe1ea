// A factory that provisions a whole vehicle, is interrupted, and goes on: real ECUs, a registry in memory.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { DeviceFacts, Registry, RegistryAnswer } from '../../src/cli/provision-registry.ts';
import {
  type ProvisionEvent,
  type ProvisionOutcome,
  provisionVehicle,
} from '../../src/cli/provision-run.ts';
import type { TrustAnchors } from '../../src/cli/provision-trust.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { Provisioner } from '../../src/drivers/provisioner.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { benchWorld } from '../../src/trust/bench-keys.ts';
import { parseIdentity } from '../../src/trust/identity-file.ts';
import { buildRoot, signRoleNow } from '../../src/trust/role-signing.ts';
import { signerFromSeed } from '../../src/trust/signing-key.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { type Vehicle, vehicleSchema } from '../../src/vehicle/schema.ts';
import { EcuLink } from '../drivers/ecu-link.ts';
import { FaultStorage } from '../support/fault-storage.ts';

const VIN = '1CANXTABENCH00001';
const ecu = (name: string, index: number, change: object = {}): object => ({
  name,
  hardwareId: `${name}-HW-1`,
  address: { mode: 'normal', request: 0x7e0 + index, response: 0x7e8 + index, functional: 0x7df },
  memory: { bankSize: 65536 },
  security: { algorithm: 'hmac-sha256' },
  ...change,
});

/** Two ECUs of ours, and one of another make. */
const VEHICLE: Vehicle = vehicleSchema.parse({
  vin: VIN,
  buses: { main: {} },
  approval: { ecu: 'CGW' },
  ecus: [ecu('CGW', 0), ecu('EDT', 1), ecu('ENGINE', 2, { programming: 'standard' })],
});

const ANCHORS: TrustAnchors = {
  director: { bytes: benchWorld().directorRoot, version: 1 },
  images: { bytes: benchWorld().imagesRoot, version: 1 },
};

const TMU_ID = '0123456789abcdef0123456789abcdef';

interface Device extends DeviceFacts {
  readonly serial: string;
  status: 'factory_only' | 'active';
}

/** The rules of the real one: idempotent, serials in order, an active device keeps its keys. */
class MemoryRegistry implements Registry {
  readonly devices = new Map<string, Device>();
  /** Fails the n-th call, counted from 1. */
  failAt = 0;
  #calls = 0;

  async provision(facts: DeviceFacts): Promise<RegistryAnswer> {
    if (++this.#calls === this.failAt) return unreachable;
    const known = this.devices.get(facts.hwId);
    const changed = Object.entries(facts).some(
      ([field, value]) => value !== undefined && known?.[field as keyof DeviceFacts] !== value,
    );
    if (known?.status === 'active' && changed) {
      return { ok: false, code: 'DEVICE_ACTIVE', reason: `${known.serial} is active` };
    }
    const device: Device = {
      serial: `CO-${String(this.devices.size + 1).padStart(6, '0')}`,
      status: 'factory_only',
      ...known,
      ...facts,
    };
    this.devices.set(facts.hwId, device);
    return { ok: true, value: device };
  }

  async activate(hwId: string): Promise<RegistryAnswer> {
    if (++this.#calls === this.failAt) return unreachable;
    const device = this.devices.get(hwId)!;
    device.status = 'active';
    return { ok: true, value: device };
  }

  get calls(): number {
    return this.#calls;
  }

  named(name: string): Device {
    return [...this.devices.values()].find((device) => device.name === name)!;
  }
}

const unreachable = { ok: false, code: 'UNREACHABLE', reason: 'nobody is there' } as const;

class Factory {
  readonly clock = new VirtualClock();
  readonly registry = new MemoryRegistry();
  readonly links = new Map<string, EcuLink>();
  readonly events: ProvisionEvent[] = [];
  storage = new FaultStorage();
  vehicle = VEHICLE;

  static async start(hardwareId?: string): Promise<Factory> {
    const factory = new Factory();
    for (const name of ['CGW', 'EDT'])
      await factory.fit(name, name === 'EDT' ? hardwareId : undefined);
    return factory;
  }

  /** A new part. */
  async fit(name: string, hardwareId?: string): Promise<void> {
    const seed = name.charCodeAt(0) + 100 * this.links.size;
    const link = await EcuLink.start(VEHICLE, name, this.clock, {
      random: seededRandom(seed),
      benchKeys: false,
      ...(hardwareId !== undefined && { faults: { hardwareId } }),
      ...(name === 'CGW' && { approve: 'no' as const }),
    });
    this.links.get(name)?.ecu?.close();
    this.links.set(name, link);
  }

  async provision(names = ['CGW', 'EDT', 'ENGINE'], anchors = ANCHORS): Promise<ProvisionOutcome> {
    const { clock, registry, storage, events, vehicle } = this;
    const random = seededRandom(3 + registry.calls);
    // What was on the bus when the last run was stopped belongs to nobody.
    await clock.advance(200);
    const run = provisionVehicle({
      vehicle,
      names,
      deviceId: TMU_ID,
      anchors,
      registry,
      storage,
      random,
      provisionerFor: (name, onStep) => {
        const requester = this.links.get(name)!.client;
        return new Provisioner({ ecu: findEcu(vehicle, name), requester, clock, random, onStep });
      },
      onEvent: (event) => events.push(event),
    });
    return clock.within(60_000, run);
  }

  get identity() {
    const bytes = this.storage.contents('identity.json');
    return parseIdentity(Buffer.from(bytes!).toString(), 'identity.json');
  }

  async read(name: string, did: string): Promise<string> {
    const { client } = this.links.get(name)!;
    const reply = await this.clock.within(1000, client.request(fromHex(`22${did}`)));
    return reply.kind === 'positive' ? toHex(reply.data.subarray(3)) : reply.kind;
  }
}

const sha256 = (hex: string): string =>
  createHash('sha256').update(Buffer.from(hex, 'hex')).digest('hex');

describe('a new vehicle', () => {
  it('is registered in the order of its file, provisioned, and active', async () => {
    const factory = await Factory.start();
    const { devices, failures } = await factory.provision();
    expect(failures).toEqual([]);
    expect(devices).toEqual(
      expect.arrayContaining([
        { kind: 'device', name: 'TMU', hwId: TMU_ID, serial: 'CO-000001', status: 'provisioned' },
        expect.objectContaining({ name: 'CGW', serial: 'CO-000002', status: 'provisioned' }),
        expect.objectContaining({ name: 'EDT', serial: 'CO-000003', status: 'provisioned' }),
        expect.objectContaining({ name: 'ENGINE', serial: 'CO-000004', status: 'registered' }),
      ]),
    );
    expect(devices.at(-1)?.name).toBe('TMU');
    expect([...factory.registry.devices.values()].map(({ status }) => status)).toEqual(
      Array(4).fill('active'),
    );
  });

  it('shares with its TMU what both need, and with the registry what that can check', async () => {
    const factory = await Factory.start();
    await factory.provision();
    const { identity, registry } = factory;
    expect(identity).toMatchObject({
      vin: VIN,
      serial: 'CO-000001',
      ecus: {
        CGW: { serial: 'CO-000002', hardwareId: 'CGW-HW-1' },
        EDT: { serial: 'CO-000003', hardwareId: 'EDT-HW-1' },
        ENGINE: { serial: 'CO-000004', hardwareId: 'ENGINE-HW-1' },
      },
    });
    expect(identity.ecus.ENGINE?.securityAccessKey).toBeUndefined();
    expect(identity.ecus.EDT?.securityAccessKey).not.toBe(identity.ecus.CGW?.securityAccessKey);
    const tmu = registry.named('TMU');
    expect(tmu).toMatchObject({ primary: true, vin: VIN });
    expect(tmu.deviceSecretHash).toBe(sha256(identity.deviceSecret));
    expect(tmu.signingKey).toBe(
      signerFromSeed(fromHex(identity.signingSeed)).publicKey.keyval.public,
    );
    const edt = registry.named('EDT');
    expect(edt.deviceSecretHash).toMatch(/^[0-9a-f]{64}$/);
    expect(await factory.read('EDT', 'FD12')).toBe(`${edt.signingKey}${edt.encryptionKey}`);
    expect(await factory.read('EDT', 'F18C')).toBe(Buffer.from(edt.serial).toString('hex'));
    expect(factory.storage.contents('trust/director/root.json')).toEqual(ANCHORS.director.bytes);
    expect(factory.storage.contents('trust/images/1.root.json')).toEqual(ANCHORS.images.bytes);
    expect(registry.named('ENGINE')).toMatchObject({ hwId: `${VIN}-ENGINE` });
  });

  it('with a wrong part changes nothing at all', async () => {
    const factory = await Factory.start('EDT-HW-7');
    const { failures } = await factory.provision();
    expect(failures).toMatchObject([{ name: 'EDT', code: 'WRONG_HARDWARE' }]);
    expect(factory.registry.devices.size).toBe(0);
    expect(factory.storage.contents('identity.json')).toBeUndefined();
    expect(await factory.read('CGW', 'FD11')).toBe('00');
  });

  it('takes the secrets that its vehicle file names', async () => {
    const factory = await Factory.start();
    const secret = 'ABCDEF0123456789ABCDEF0123456789';
    const key = 'F1'.repeat(32);
    factory.vehicle = {
      ...VEHICLE,
      approval: { ecu: 'CGW', key },
      ecus: VEHICLE.ecus.map((each) => ({
        ...each,
        security: { algorithm: 'hmac-sha256', level: 1, secret },
      })),
    };
    const { failures } = await factory.provision();
    expect(failures).toEqual([]);
    expect(factory.identity.approvalKey).toBe(key.toLowerCase());
    expect(factory.identity.ecus.EDT?.securityAccessKey).toBe(secret.toLowerCase());
  });

  it('done in parts is active with the last one', async () => {
    const factory = await Factory.start();
    expect((await factory.provision(['CGW'])).devices.map(({ name }) => name)).toEqual(['CGW']);
    expect(factory.registry.named('TMU').status).toBe('factory_only');
    expect(factory.events.at(-1)).toMatchObject({
      kind: 'note',
      text: expect.stringContaining('EDT, ENGINE must be provisioned first'),
    });
    const rest = await factory.provision(['EDT', 'ENGINE']);
    expect(rest.failures).toEqual([]);
    expect(factory.registry.named('TMU').status).toBe('active');
  });
});

describe('an interruption', () => {
  it('of the registry at any call is repaired by the next run, with the same keys', async () => {
    const whole = await Factory.start();
    await whole.provision();
    const { calls } = whole.registry;
    for (let failAt = 1; failAt <= calls; failAt++) {
      const factory = await Factory.start();
      factory.registry.failAt = failAt;
      const first = await factory.provision();
      expect(first.failures, `call ${failAt}`).toMatchObject([{ code: 'UNREACHABLE' }]);
      expect(factory.registry.named('TMU')?.status).not.toBe('active');
      const identity = factory.storage.contents('identity.json');
      const second = await factory.provision();
      expect(second.failures, `call ${failAt}`).toEqual([]);
      expect(factory.registry.named('TMU').status).toBe('active');
      if (identity !== undefined) {
        expect(factory.storage.contents('identity.json')).toEqual(identity);
      }
      const edt = factory.registry.named('EDT');
      expect(await factory.read('EDT', 'FD12')).toBe(`${edt.signingKey}${edt.encryptionKey}`);
      expect(edt.deviceSecretHash, `call ${failAt}`).toMatch(/^[0-9a-f]{64}$/);
    }
  });

  it('of the disk at any write leaves no ECU locked with a key that nobody knows', async () => {
    const whole = await Factory.start();
    await whole.provision();
    for (let at = 1; at <= whole.storage.operations; at++) {
      const factory = await Factory.start();
      factory.storage.cut = { at, when: 'before' };
      await expect(factory.provision(), `write ${at}`).rejects.toThrow();
      expect(await factory.read('EDT', 'FD11')).toBe('00');
      factory.storage = factory.storage.afterPowerCut();
      expect((await factory.provision()).failures, `write ${at}`).toEqual([]);
    }
  });
});

describe('a vehicle that is provisioned', () => {
  it('stays as it is', async () => {
    const factory = await Factory.start();
    await factory.provision();
    const before = factory.storage.contents('identity.json');
    const { operations } = factory.storage;
    const { devices, failures } = await factory.provision();
    expect(failures).toEqual([]);
    expect(devices.map(({ name, status }) => `${name} ${status}`).sort()).toEqual([
      'CGW already',
      'EDT already',
      'ENGINE registered',
      'TMU already',
    ]);
    expect(factory.storage.contents('identity.json')).toEqual(before);
    expect(factory.storage.operations).toBe(operations);
  });

  it('is not provisioned by a state directory that has lost its keys', async () => {
    const factory = await Factory.start();
    await factory.provision();
    factory.storage = new FaultStorage();
    const { failures } = await factory.provision();
    expect(failures).toMatchObject([{ name: 'TMU', code: 'IDENTITY_LOST' }]);
    expect(factory.storage.contents('identity.json')).toBeUndefined();
  });

  it('does not take the identity of another TMU', async () => {
    const factory = await Factory.start();
    await factory.provision();
    factory.registry.devices.delete(TMU_ID);
    const { failures } = await factory.provision();
    expect(failures).toMatchObject([{ name: 'TMU', code: 'OTHER_DEVICE' }]);
  });

  it('of another VIN is refused', async () => {
    const factory = await Factory.start();
    await factory.provision();
    factory.vehicle = { ...VEHICLE, vin: '1CANXTABENCH00002' };
    await expect(factory.provision()).rejects.toThrow(/belongs to vehicle 1CANXTABENCH00001/);
  });

  it('takes a new part in the place of an old one', async () => {
    const factory = await Factory.start();
    await factory.provision();
    const before = factory.identity;
    await factory.fit('EDT');
    const { failures } = await factory.provision(['EDT']);
    expect(failures).toEqual([]);
    expect(factory.identity.ecus.EDT).toMatchObject({ serial: 'CO-000005' });
    expect(factory.identity.ecus.EDT?.securityAccessKey).not.toBe(
      before.ecus.EDT?.securityAccessKey,
    );
    expect(factory.identity.ecus.CGW).toEqual(before.ecus.CGW);
    expect(factory.events).toContainEqual({
      kind: 'note',
      text: 'EDT is a new part: CO-000005 takes the place of CO-000003',
    });
  });

  it('does not take a part that is locked for somebody else', async () => {
    const factory = await Factory.start();
    await factory.provision(['EDT']);
    factory.storage = new FaultStorage();
    factory.registry.devices.clear();
    const provisioned = await factory.provision();
    expect(provisioned.failures).toMatchObject([{ name: 'EDT', code: 'OTHER_KEYS' }]);
  });

  it('keeps the Roots that it has gone on to, and refuses those of another ceremony', async () => {
    const factory = await Factory.start();
    await factory.provision();
    const signer = signerFromSeed(new Uint8Array(32).fill(9));
    const roles = Object.fromEntries(
      ['root', 'timestamp', 'snapshot', 'targets', 'time'].map((role) => [
        role,
        { keys: [signer.publicKey], threshold: 1 },
      ]),
    );
    const foreign = (version: number): Uint8Array =>
      signRoleNow(buildRoot({ version, expiresMs: Date.UTC(2090, 0), roles }), [signer]);
    const other = { ...ANCHORS, director: { bytes: foreign(1), version: 1 } };
    await expect(factory.provision(undefined, other)).rejects.toThrow(/another key ceremony/);
    await factory.storage.replace('trust/director/root.json', foreign(2));
    expect((await factory.provision()).failures).toEqual([]);
    expect(factory.storage.contents('trust/director/root.json')).toEqual(foreign(2));
  });
});
