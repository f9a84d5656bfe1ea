// Provisioning ECUs of ours with an interruption at each request.

import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { ask, PROVISIONS, provision, setUp } from './provisioner-support.ts';

describe('an interruption', () => {
  /** Every request of an undisturbed run: what is lost below. */
  async function requestsOf(): Promise<number> {
    const setup = await setUp();
    await provision(setup);
    return setup.link.requests.filter((request) => !request.startsWith('*')).length;
  }

  it('after any request is repaired by a second run, with the same keys', async () => {
    const total = await requestsOf();
    expect(total).toBeGreaterThan(30);
    for (let stopAt = 1; stopAt < total; stopAt++) {
      const setup = await setUp();
      const abort = new AbortController();
      let seen = 0;
      setup.link.loses = (request) => {
        if (!request.startsWith('*') && ++seen >= stopAt) abort.abort('power off');
        return false;
      };
      const { provisioner, within } = setup;
      await (async () => {
        const facts = await within(provisioner.inspect(abort.signal));
        if (!facts.ok) return;
        const written = await within(provisioner.write(PROVISIONS, abort.signal));
        if (!written.ok) return;
        const locked = await within(provisioner.lock(abort.signal));
        if (locked.ok) await within(provisioner.verify(PROVISIONS, abort.signal));
      })();
      setup.link.loses = undefined;
      // The answer that nobody waited for any more belongs to nobody.
      await setup.link.clock.advance(100);
      const before = await ask(setup, '22FD12');
      const again = await provision(setup);
      expect(again, `stopped at request ${stopAt}`).toMatchObject({ ok: true });
      if (before.startsWith('62fd12')) {
        expect(await ask(setup, '22FD12'), `stopped at request ${stopAt}`).toBe(before);
      }
      expect(await ask(setup, '22FD11')).toBe('62fd1102');
    }
  });

  it('of the supply at any write leaves an ECU that the next run finishes', async () => {
    const whole = await setUp();
    const fresh = whole.link.storage.operations;
    await provision(whole);
    const writes = whole.link.storage.operations - fresh;
    expect(writes).toBeGreaterThanOrEqual(7);
    for (let at = 1; at <= writes; at++) {
      const first = await setUp();
      const { storage } = first.link;
      storage.cut = { at: storage.operations + at, when: 'before' };
      await provision(first).catch(() => {});
      expect(storage.powerLost, `cut at ${at}`).toBe(true);
      first.link.ecu?.close();
      const second = await setUp({ storage: storage.afterPowerCut(), random: seededRandom(9) });
      expect(await provision(second), `cut at ${at}`).toMatchObject({ ok: true });
    }
  });
});
