// A new device: one serial however often it is tried, a secret of its own, and a key that it believes for good.

import { describe, expect, it } from 'vitest';
import { type DeviceRegistry, enroll } from '../../src/device/enroll.ts';
import { parseDeviceFaults } from '../../src/device/faults.ts';
import { toPem } from '../../src/trust/signing-key.ts';
import { ready } from './enroll-support.ts';
import { MODEL, releaseKey } from './support.ts';

describe('an enrolment', () => {
  it('makes an active device that belongs to no vehicle', async () => {
    const { world, disk, options, devices } = await ready();
    expect(await enroll(options())).toMatchObject({
      ok: true,
      identity: { serial: 'CO-000001', model: MODEL },
    });
    expect(devices()).toEqual([{ serial: 'CO-000001', status: 'active', vin: null }]);
    expect(await world.status(disk)).toMatchObject({ bank: 'A', version: '1.0.0', counter: 0 });
    expect(disk.contents('enrolment.json')).toBeUndefined();
  });

  it('that is cut off is finished by the same again, under the same serial', async () => {
    const { world, disk, options, devices } = await ready();
    const registry = world.registry();
    const reason = 'nobody answers';
    const broken: DeviceRegistry = {
      provision: (facts, signal) => registry.provision(facts, signal),
      activate: async () => ({ ok: false, code: 'UNREACHABLE', reason }),
    };
    expect(await enroll(options(broken))).toEqual({ ok: false, code: 'UNREACHABLE', reason });
    await expect(world.status(disk)).rejects.toThrow('there is no device in this folder');
    disk.cut(world.random);
    expect(await enroll(options())).toMatchObject({ ok: true, identity: { serial: 'CO-000001' } });
    expect(devices()).toHaveLength(1);
  });

  it('is refused in a folder that has a device, and for a key that is none or is private', async () => {
    const { disk, options } = await ready();
    for (const releaseKeyText of ['', 'hello', toPem(releaseKey('default'))]) {
      await expect(enroll({ ...options(), releaseKey: releaseKeyText })).rejects.toThrow(
        '--release-key: expected a public key',
      );
    }
    await enroll(options());
    const identity = disk.contents('identity.json')!;
    await expect(enroll(options())).rejects.toThrow('disk: already holds device CO-000001');
    expect(disk.contents('identity.json')).toEqual(identity);
  });
});

describe('faults on the command line', () => {
  it('are put together', () => {
    expect(parseDeviceFaults([])).toEqual({});
    expect(parseDeviceFaults(['refuse-boot', 'bad-diagnostics=network', 'bad-flash'])).toEqual({
      refuseBoot: true,
      badDiagnostics: 'network',
      badFlash: true,
    });
    expect(parseDeviceFaults(['power-cut=verifying', 'bad-diagnostics'])).toEqual({
      powerCut: 'verifying',
      badDiagnostics: 'version',
    });
  });

  it.each(['', 'refuse-boot=1', 'power-cut', 'power-cut=nowhere', 'bad-diagnostics=x'])(
    'that are none (%j) are refused with those that there are',
    (text) => {
      expect(() => parseDeviceFaults([text])).toThrow(/--fault: .* is none of refuse-boot/);
    },
  );
});
