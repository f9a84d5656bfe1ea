// Provisioning ECUs of ours: secrets go in once, whatever interrupts it, and nothing comes out after the lock.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import type { EcuProvisions } from '../../src/drivers/provisioner.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { benchWorld } from '../../src/trust/bench-keys.ts';
import { ProvisioningState } from '../../src/uds/sid.ts';
import { ask, FACTORY, OTHER_TMU, PROVISIONS, provision, setUp } from './provisioner-support.ts';

describe('a new ECU', () => {
  it('tells who it is before anything is written', async () => {
    const { provisioner, within, link } = await setUp();
    const facts = await within(provisioner.inspect());
    expect(facts).toMatchObject({
      ok: true,
      value: { hardwareId: 'EDT-HW-1', state: ProvisioningState.virgin },
    });
    expect(facts.ok && facts.value.deviceId).toMatch(/^[0-9a-f]{32}$/);
    expect(link.requests.filter((request) => !request.startsWith('22'))).toEqual([]);
  });

  it('takes everything, is locked, and tells nothing any more', async () => {
    const setup = await setUp();
    expect(await provision(setup)).toMatchObject({
      ok: true,
      value: { signingKey: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
    expect(setup.steps).toEqual([
      'serial number written',
      'device secret written',
      'key of SecurityAccess written',
      'key of the TMU written',
      'own keys written',
      'director.root.json written',
      'images.root.json written',
      'lock written',
      'locked readout checked',
    ]);
    expect(await ask(setup, '22F18C')).toBe(`62f18c${Buffer.from('CO-000007').toString('hex')}`);
    expect(await ask(setup, '22FD11')).toBe('62fd1102');
    for (const did of ['FD13', 'FD14', 'FD15']) {
      expect(await ask(setup, `22${did}`)).toBe('7F2233');
    }
    expect(await ask(setup, '1003')).toMatch(/^5003/);
    expect(await ask(setup, '2344080000000000 0010'.replaceAll(' ', ''))).toBe('7F2333');
  });

  it('gives the registry what it can check, and keeps its secret', async () => {
    const setup = await setUp();
    const written = await setup.within(setup.provisioner.write(PROVISIONS));
    expect(written.ok).toBe(true);
    if (!written.ok) return;
    expect(await ask(setup, '1003')).toMatch(/^5003/);
    const secret = (await ask(setup, '22FD13')).slice(6);
    const hash = createHash('sha256').update(Buffer.from(secret, 'hex')).digest('hex');
    expect(written.value.deviceSecretHash).toBe(hash);
    const keys = (await ask(setup, '22FD12')).slice(6);
    expect(keys).toBe(written.value.signingKey + written.value.encryptionKey);
  });

  it('that asks the driver gets the key of the approval too', async () => {
    const setup = await setUp({ name: 'CGW' });
    const provisions = { ...PROVISIONS, approvalKey: 'ab'.repeat(32) };
    const written = await setup.within(setup.provisioner.write(provisions));
    expect(written.ok).toBe(true);
    expect(await ask(setup, '1003')).toMatch(/^5003/);
    expect(await ask(setup, '22FD15')).toBe(`62fd15${'ab'.repeat(32)}`);
  });

  it('without that key it is not locked, and says what is missing', async () => {
    const setup = await setUp({ name: 'CGW' });
    expect(await setup.within(setup.provisioner.write(PROVISIONS))).toMatchObject({ ok: true });
    expect(await setup.within(setup.provisioner.lock())).toMatchObject({
      ok: false,
      code: 'PRECONDITION',
      reason: expect.stringContaining('locking its readout'),
    });
    expect(await ask(setup, '22FD11')).toBe('62fd1101');
  });

  it('of other hardware than the vehicle file expects gets nothing', async () => {
    const setup = await setUp({ hardwareId: 'EDT-HW-9' });
    expect(await provision(setup)).toMatchObject({
      ok: false,
      code: 'WRONG_HARDWARE',
      reason: expect.stringContaining('EDT-HW-9'),
    });
    expect(setup.link.requests.filter((request) => !request.startsWith('22'))).toEqual([]);
  });
});

describe('an interruption', () => {
  it('keeps what is there: a second write changes no byte', async () => {
    const setup = await setUp();
    const first = await setup.within(setup.provisioner.write(PROVISIONS));
    setup.steps.length = 0;
    const second = await setup.within(setup.provisioner.write(PROVISIONS));
    expect(second).toEqual(first);
    expect(setup.steps.slice(0, 5)).toEqual([
      'serial number kept',
      'device secret kept',
      'key of SecurityAccess kept',
      'key of the TMU kept',
      'own keys kept',
    ]);
    expect(setup.link.requests.filter((request) => request.startsWith('2E'))).toHaveLength(4);
  });
});

describe('an ECU that lies or is worn out', () => {
  it.each([
    ['serial number', '62F18C', 'F18C'],
    ['device secret', '62FD13', 'FD13'],
    ['key of SecurityAccess', '62FD14', 'FD14'],
    ['key of the TMU', '62FD16', 'FD16'],
  ])('reads back another %s: refused before the lock', async (name, positive, did) => {
    const setup = await setUp();
    const wrote = (): boolean =>
      setup.link.requests.some((request) => request.startsWith(`2E${did}`));
    setup.link.changes = (answer) => {
      if (!toHex(answer).toUpperCase().startsWith(positive) || !wrote()) return answer;
      const changed = Uint8Array.from(answer);
      changed[changed.length - 1]! ^= 1;
      return changed;
    };
    expect(await provision(setup)).toMatchObject({
      ok: false,
      code: 'READ_BACK',
      reason: expect.stringContaining(name),
    });
    setup.link.changes = undefined;
    expect(await ask(setup, '22FD11')).toBe('62fd1101');
  });

  it.each([
    ['22FD13', '62FD13', 'the device secret'],
    ['22FD15', '62FD15', 'the key of the approval'],
    ['23', '63', 'its memory by 23'],
    ['35', '7520', 'its memory by 35'],
  ])('still answers %s after the lock: not delivered', async (request, positive, what) => {
    const setup = await setUp();
    let asked = '';
    setup.link.loses = (sent) => {
      asked = sent;
      return false;
    };
    setup.link.changes = (answer) =>
      asked.startsWith(request) && answer[0] === 0x7f && answer[2] === 0x33
        ? fromHex(`${positive}${'00'.repeat(32)}`)
        : answer;
    expect(await provision(setup)).toMatchObject({
      ok: false,
      code: 'NOT_LOCKED',
      reason: expect.stringContaining(what),
    });
  });

  it('refuses the read after the lock for another reason: that is no lock', async () => {
    const setup = await setUp();
    setup.link.changes = (answer) =>
      answer[0] === 0x7f && answer[1] === 0x22 && answer[2] === 0x33
        ? Uint8Array.of(0x7f, 0x22, 0x31)
        : answer;
    expect(await provision(setup)).toMatchObject({ ok: false, code: 'NOT_LOCKED' });
  });
});

describe('a locked ECU', () => {
  it('is known again, and nothing is written', async () => {
    const setup = await setUp();
    const first = await provision(setup);
    const from = setup.link.requests.length;
    setup.steps.length = 0;
    expect(await provision(setup)).toEqual(first);
    expect(setup.steps).toEqual(['locked readout checked']);
    const later = setup.link.requests.slice(from);
    expect(later.filter((request) => /^(2E|31|38|36)/.test(request))).toEqual([]);
  });

  it('with another serial is not ours', async () => {
    const setup = await setUp();
    await provision(setup);
    expect(await provision(setup, { ...PROVISIONS, serial: 'CO-000008' })).toMatchObject({
      ok: false,
      code: 'OTHER_KEYS',
      reason: expect.stringContaining('locked as CO-000007, expected CO-000008'),
    });
  });

  it('with another key of SecurityAccess is not ours', async () => {
    const setup = await setUp();
    await provision(setup);
    const other = { ...PROVISIONS, securityAccessKey: '77'.repeat(32) };
    expect(await provision(setup, other)).toMatchObject({ ok: false, code: 'OTHER_KEYS' });
  });

  it('that takes the orders of another TMU is not ours', async () => {
    const setup = await setUp();
    await provision(setup);
    const other = { ...PROVISIONS, agreementKey: toHex(OTHER_TMU.privateKey) };
    expect(await provision(setup, other)).toMatchObject({
      ok: false,
      code: 'OTHER_KEYS',
      reason: expect.stringContaining('takes orders from another TMU'),
    });
  });

  it('becomes part of another vehicle by the authority of its factory, and of no other', async () => {
    const factoryKey = toHex(FACTORY.publicKey);
    const setup = await setUp();
    expect(await provision(setup, { ...PROVISIONS, factoryKey })).toMatchObject({ ok: true });
    const next: EcuProvisions = {
      ...PROVISIONS,
      factoryKey,
      agreementKey: toHex(OTHER_TMU.privateKey),
      testerKey: toHex(OTHER_TMU.publicKey),
      securityAccessKey: '6e'.repeat(32),
    };
    const vin = '1CANXTABENCH00002';
    const { provisioner, within } = setup;
    const stranger = await within(provisioner.adopt(next, vin, OTHER_TMU.privateKey));
    expect(stranger).toMatchObject({ ok: false });
    expect(await within(provisioner.verify(PROVISIONS))).toMatchObject({ ok: true });
    setup.steps.length = 0;
    expect(await within(provisioner.adopt(next, vin, FACTORY.privateKey))).toMatchObject({
      ok: true,
    });
    expect([...setup.steps].sort()).toEqual([
      'VIN written',
      'key of SecurityAccess written',
      'key of the TMU written',
    ]);
    expect(await ask(setup, '22F190')).toBe(`62f190${Buffer.from(vin).toString('hex')}`);
    expect(await within(provisioner.verify(next))).toMatchObject({ ok: true });
    // The TMU of before gives no orders any more, at once.
    expect(await within(provisioner.verify({ ...next, ...PROVISIONS }))).toMatchObject({
      ok: false,
      code: 'OTHER_KEYS',
    });
    const written = setup.link.storage.operations;
    expect(await within(provisioner.adopt(next, vin, FACTORY.privateKey))).toMatchObject({
      ok: true,
    });
    expect(setup.link.storage.operations).toBe(written);
  });

  it('is adopted whole, wherever the first try ended', async () => {
    const factoryKey = toHex(FACTORY.publicKey);
    const next: EcuProvisions = {
      ...PROVISIONS,
      factoryKey,
      agreementKey: toHex(OTHER_TMU.privateKey),
      testerKey: toHex(OTHER_TMU.publicKey),
      securityAccessKey: '6e'.repeat(32),
    };
    const vin = '1CANXTABENCH00002';
    for (let writes = 0; writes < 3; writes++) {
      const first = await setUp();
      await provision(first, { ...PROVISIONS, factoryKey });
      const { storage } = first.link;
      storage.cut = { at: storage.operations + writes + 1, when: 'before' };
      await first.within(first.provisioner.adopt(next, vin, FACTORY.privateKey)).catch(() => {});
      expect(storage.powerLost, `cut at ${writes}`).toBe(true);
      first.link.ecu?.close();
      const second = await setUp({ storage: storage.afterPowerCut(), random: seededRandom(9) });
      const { provisioner, within } = second;
      const done = await within(provisioner.adopt(next, vin, FACTORY.privateKey));
      expect(done, `cut at ${writes}`).toMatchObject({ ok: true });
      const proven = await within(provisioner.verify(next));
      expect(proven, `cut at ${writes}`).toMatchObject({ ok: true });
    }
  });

  it('whose report another key has signed is not what it shows', async () => {
    const setup = await setUp();
    await provision(setup);
    setup.link.changes = (answer) => {
      if (!toHex(answer).startsWith('62fd12')) return answer;
      const changed = Uint8Array.from(answer);
      changed.set(fromHex(benchWorld().director.root.publicKey.keyval.public), 3);
      return changed;
    };
    expect(await provision(setup)).toMatchObject({
      ok: false,
      code: 'OTHER_KEYS',
      reason: expect.stringContaining('FD22'),
    });
  });

  it('takes neither facts nor keys', async () => {
    const setup = await setUp({ benchKeys: true });
    expect(await setup.within(setup.provisioner.write(PROVISIONS))).toMatchObject({
      ok: false,
      nrc: expect.any(Number),
    });
    expect(await ask(setup, '22F18C')).toBe(`62f18c${Buffer.from('BENCH-EDT').toString('hex')}`);
  });
});
