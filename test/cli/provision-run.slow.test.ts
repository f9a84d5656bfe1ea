// A factory that provisions a whole vehicle and is stopped anywhere.

import { describe, expect, it } from 'vitest';
import { Factory } from './provision-run-support.ts';

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
