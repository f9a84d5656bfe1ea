// A factory that provisions a whole vehicle, is interrupted, and goes on: real ECUs, a registry in memory.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fromHex } from '../../src/core/bytes.ts';
import { buildRoot, signRoleNow } from '../../src/trust/role-signing.ts';
import { signerFromSeed } from '../../src/trust/signing-key.ts';
import { imageOf } from '../drivers/support.ts';
import { imageOf as bytesOf } from '../support/ecu-bench.ts';
import { FaultStorage } from '../support/fault-storage.ts';
import { ANCHORS, Factory, TMU_ID, VEHICLE, VIN } from './provision-support.ts';

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

  it.each([
    ['its device secret', '2EFD13'],
    ['the making of its keys', '31010220'],
    ['the lock', '31010221'],
  ])('goes on where a frame is lost: %s', async (_what, request) => {
    const factory = await Factory.start();
    factory.lost.push(request, request);
    expect((await factory.provision()).failures).toEqual([]);
    expect(factory.lost).toEqual([]);
    expect(factory.events).toContainEqual({
      kind: 'note',
      text: expect.stringMatching(/N_TIMEOUT_Bs.*is asked again$/),
    });
  });

  it('gives an ECU up that is not heard for good', async () => {
    const factory = await Factory.start();
    factory.lost.push(...Array<string>(99).fill('2EFD13'));
    const { failures } = await factory.provision();
    expect(failures).toMatchObject([
      { name: 'CGW', code: 'TRANSPORT' },
      { name: 'EDT', code: 'TRANSPORT' },
    ]);
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

describe('first images', () => {
  const first = { version: '0.9.1', image: imageOf(bytesOf(3000, 3)) };
  const other = { version: '0.9.2', image: imageOf(bytesOf(3000, 4)) };

  it('are programmed before anything is registered, and run behind the lock', async () => {
    const factory = await Factory.start();
    factory.images = new Map([['EDT', first]]);
    const { images, failures } = await factory.provision();
    expect(failures).toEqual([]);
    expect(images).toMatchObject([
      { name: 'EDT', status: 'programmed', version: '0.9.1', sha256: first.image.sha256 },
    ]);
    expect(await factory.read('EDT', 'FD01')).toBe(first.image.sha256);
    expect(await factory.read('EDT', 'FD11')).toBe('02');
    const steps = factory.events.flatMap((event) =>
      event.kind === 'step' && event.name === 'EDT' ? [`${event.step} ${event.status}`] : [],
    );
    expect(steps[0]).toBe('first image written');
    expect(steps.at(-1)).toBe('first image checked');
    const again = await factory.provision();
    expect(again).toMatchObject({ failures: [], images: [{ name: 'EDT', status: 'kept' }] });
  });

  it('that an ECU does not take register nothing', async () => {
    const factory = await Factory.start();
    const wrong = { ...first, image: { ...first.image, sha256: other.image.sha256 } };
    factory.images = new Map([['EDT', wrong]]);
    const { failures, devices } = await factory.provision();
    expect(failures).toMatchObject([{ name: 'EDT', code: 'DIGEST_MISMATCH' }]);
    expect(devices).toEqual([]);
    expect(factory.registry.devices.size).toBe(0);
    expect(await factory.read('CGW', 'FD11')).toBe('00');
  });

  it('come too late for an ECU that is locked with another one', async () => {
    const factory = await Factory.start();
    await factory.provision();
    factory.images = new Map([['EDT', other]]);
    const { failures } = await factory.provision();
    expect(failures).toMatchObject([
      { name: 'EDT', code: 'LOCKED', reason: expect.stringContaining('signed releases only') },
    ]);
  });
});
