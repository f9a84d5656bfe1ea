// A factory that provisions a whole vehicle and is stopped anywhere.

import { describe, expect, it } from 'vitest';
import { Factory } from './provision-support.ts';

/** identity.json without what the ECUs have made: the secrets that must never change again. */
function secretsOf(file: Uint8Array) {
  const identity = JSON.parse(Buffer.from(file).toString());
  const ecus = Object.entries<Record<string, unknown>>(identity.ecus).map(([name, ecu]) => {
    const { encryptionKey: _made, ...given } = ecu;
    return [name, given] as const;
  });
  return { ...identity, ecus: Object.fromEntries(ecus) };
}

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
        expect(secretsOf(factory.storage.contents('identity.json')!)).toEqual(secretsOf(identity));
      }
      // What the ECUs have made themselves is there in the end.
      const { ecus } = factory.identity;
      for (const name of ['CGW', 'EDT'] as const) {
        const { encryptionKey } = factory.registry.named(name);
        expect(ecus[name]?.encryptionKey, `call ${failAt}`).toBe(encryptionKey);
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
      factory.storage = factory.storage.afterPowerCut();
      if ((await factory.read('EDT', 'FD11')) !== '00') {
        // Locked: then the keys that it has are on the disk already.
        const left = factory.storage.contents('identity.json');
        expect(left, `write ${at}`).toBeDefined();
        expect(secretsOf(left!)).toMatchObject({
          agreementKey: expect.stringMatching(/^[0-9a-f]{64}$/),
          ecus: { EDT: { securityAccessKey: expect.stringMatching(/^[0-9a-f]{64}$/) } },
        });
      }
      expect((await factory.provision()).failures, `write ${at}`).toEqual([]);
      const edt = factory.registry.named('EDT');
      expect(factory.identity.ecus.EDT?.encryptionKey).toBe(edt.encryptionKey);
    }
  });
});
