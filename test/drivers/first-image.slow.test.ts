// The first image of an ECU: the factory programs it before the lock, and it is what runs behind the lock.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { asciiBytes, concatBytes, toHex } from '../../src/core/bytes.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import type { Vehicle } from '../../src/vehicle/schema.ts';
import { imageOf as bytesOf } from '../support/ecu-bench.ts';
import {
  ask,
  PROVISIONS,
  provision,
  type Setup,
  SINGLE_BANK,
  setUp,
  VEHICLE,
} from './provisioner-support.ts';
import { imageOf } from './support.ts';

const FIRST = { version: '0.9.1', image: imageOf(bytesOf(6000, 3)) };
const OTHER = { version: '0.9.2', image: imageOf(bytesOf(5000, 4)) };
const WITHOUT_KEY: Vehicle = {
  ...VEHICLE,
  ecus: VEHICLE.ecus.map((ecu) => ({ ...ecu, security: { algorithm: 'none' } })),
};
const hexOf = (text: string): string => Buffer.from(text).toString('hex');

const program = (setup: Setup, first = FIRST) => setup.within(setup.provisioner.program(first));

describe.each([
  ['two banks', undefined],
  ['one bank', SINGLE_BANK],
])('an ECU with %s', (_name, vehicle) => {
  const start = () => setUp(vehicle === undefined ? {} : { vehicle });

  it('runs its first image, and still does behind the lock and a reset', async () => {
    const setup = await start();
    expect(await program(setup)).toMatchObject({
      ok: true,
      value: { status: 'programmed', version: '0.9.1', sha256: FIRST.image.sha256, bytes: 6000 },
    });
    expect(await provision(setup)).toMatchObject({ ok: true });
    expect(await setup.within(setup.provisioner.checkImage(FIRST))).toMatchObject({ ok: true });
    expect(await ask(setup, '1101')).toMatch(/^5101/);
    await setup.link.clock.advance(5000);
    expect(await ask(setup, '22F189')).toBe(`62f189${hexOf('0.9.1')}`);
    expect(await ask(setup, '22FD01')).toBe(`62fd01${FIRST.image.sha256}`);
  });

  it('is left alone by the second run', async () => {
    const setup = await start();
    await program(setup);
    const from = setup.link.requests.length;
    expect(await program(setup)).toMatchObject({ ok: true, value: { status: 'kept', bytes: 0 } });
    expect(setup.steps).toEqual(['first image written', 'first image kept']);
    const later = setup.link.requests.slice(from);
    expect(later.filter((request) => !request.startsWith('22'))).toEqual([]);
  });

  it('gets another first image as long as it is not locked', async () => {
    const setup = await start();
    await program(setup);
    expect(await program(setup, OTHER)).toMatchObject({ ok: true, value: { version: '0.9.2' } });
    await provision(setup);
    expect(await program(setup, FIRST)).toMatchObject({ ok: false });
    expect(await setup.within(setup.provisioner.checkImage(OTHER))).toMatchObject({ ok: true });
  });

  it('that spoils what it stores is not delivered', async () => {
    const setup = await start();
    setup.link.loses = undefined;
    const bad = { ...FIRST, image: { ...FIRST.image, sha256: OTHER.image.sha256 } };
    expect(await program(setup, bad)).toMatchObject({ ok: false, code: 'DIGEST_MISMATCH' });
    expect(await ask(setup, '22FD11')).toBe('62fd1100');
  });

  it('that tells another version afterwards is not delivered', async () => {
    const setup = await start();
    setup.link.changes = (answer) =>
      toHex(answer).startsWith('62f189')
        ? concatBytes(answer.subarray(0, 3), asciiBytes('0.9.0'))
        : answer;
    expect(await program(setup)).toMatchObject({
      ok: false,
      code: 'VERSION_MISMATCH',
      reason: expect.stringContaining('0.9.0'),
    });
  });

  it('goes on where the power was cut', async () => {
    const first = await start();
    first.link.storage.cut = { at: first.link.storage.operations + 6, when: 'after' };
    await program(first).catch(() => {});
    expect(first.link.storage.powerLost).toBe(true);
    first.link.ecu?.close();
    const second = await setUp({
      storage: first.link.storage.afterPowerCut(),
      random: seededRandom(9),
      ...(vehicle === undefined ? {} : { vehicle }),
    });
    expect(await program(second)).toMatchObject({ ok: true, value: { version: '0.9.1' } });
  });
});

describe('an image that does not pass its self test', () => {
  it('is not confirmed, and cannot be locked in', async () => {
    const setup = await setUp({ faults: { failSelfTest: true } });
    expect(await program(setup)).toMatchObject({ ok: false, code: 'SELF_TEST' });
    expect(await setup.within(setup.provisioner.write(PROVISIONS))).toMatchObject({ ok: true });
    expect(await setup.within(setup.provisioner.lock())).toMatchObject({
      ok: false,
      code: 'PRECONDITION',
    });
    expect(await ask(setup, '22FD11')).toBe('62fd1101');
  });
});

describe('the way in without signatures', () => {
  const json = (value: object): Uint8Array => asciiBytes(JSON.stringify(value));
  const file = (bytes: Uint8Array): string => {
    const name = 'first-image.json';
    const size = bytes.length.toString(16).padStart(4, '0');
    return `380100${name.length.toString(16)}${hexOf(name)}0002${size}${size}`;
  };
  const facts = (bytes: Uint8Array) => ({
    version: '6.6.6',
    length: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  });
  async function announce(setup: Setup, content: Uint8Array): Promise<string> {
    const opened = await ask(setup, file(content));
    if (!opened.startsWith('78')) return opened;
    await ask(setup, `3601${toHex(content)}`);
    return ask(setup, '37');
  }

  it('is closed by the lock, in the middle of a session too', async () => {
    // Without SecurityAccess nothing but the lock itself stands in the way.
    const setup = await setUp({ vehicle: WITHOUT_KEY });
    const provisions = { ...PROVISIONS, securityAccessKey: undefined };
    expect(await setup.within(setup.provisioner.write(provisions))).toMatchObject({ ok: true });
    const content = json(facts(bytesOf(100)));
    expect(await ask(setup, '1003')).toMatch(/^5003/);
    expect(await ask(setup, '1002')).toMatch(/^5002/);
    expect(await announce(setup, content)).toBe('77');
    expect(await ask(setup, '3101FF00')).toMatch(/^7101ff00/);
    expect(await ask(setup, '31010221')).toMatch(/^71010221/);
    for (const request of ['3101FF00', '31010202', '34004408000000 00000064'.replaceAll(' ', '')]) {
      expect(await ask(setup, request)).toMatch(/^7F/);
    }
    expect(await announce(setup, content)).toMatch(/^7F/);
  });

  it.each([
    ['no JSON', asciiBytes('{')],
    ['another version text', json({ ...facts(bytesOf(9)), version: '1 0' })],
    ['a length of 0', json({ ...facts(bytesOf(9)), length: 0 })],
    ['more than a bank', json({ ...facts(bytesOf(9)), length: 65537 })],
    ['a short digest', json({ ...facts(bytesOf(9)), sha256: 'ab' })],
    ['an unknown field', json({ ...facts(bytesOf(9)), counter: 7 })],
  ])('takes no facts with %s, and erases nothing then', async (_name, content) => {
    const setup = await setUp();
    expect(await ask(setup, '1003')).toMatch(/^5003/);
    expect(await ask(setup, '1002')).toMatch(/^5002/);
    expect(await announce(setup, content)).toBe('7F3772');
    expect(await ask(setup, '3101FF00')).toBe('7F3122');
  });

  it('needs the facts before the erase', async () => {
    const setup = await setUp();
    expect(await ask(setup, '1003')).toMatch(/^5003/);
    expect(await ask(setup, '1002')).toMatch(/^5002/);
    expect(await ask(setup, '3101FF00')).toBe('7F3122');
  });
});
