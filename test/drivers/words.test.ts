// What a driver says of a failure, word for word: who, what was asked, what came, what to do.

import { describe, expect, it } from 'vitest';
import { concatBytes, fromHex, toHex, uintToBytes } from '../../src/core/bytes.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { UdsEcuServices } from '../../src/drivers/ecu-services.ts';
import { Exchange, peerText } from '../../src/drivers/exchange.ts';
import { readDids } from '../../src/drivers/read-dids.ts';
import { SecuredRequester } from '../../src/drivers/secured-requester.ts';
import { challengeMac } from '../../src/trust/authority.ts';
import type { UdsReply } from '../../src/uds/reply.ts';
import { CAMPAIGN } from '../support/ecu-bench.ts';
import { order, vehicleOf } from './services-bench.ts';
import { type Answer, ecuOf, imageOf, ScriptedEcu } from './support.ts';

const PEER = 'EDT (0x7E1 -> 0x7E9)';
const image = imageOf(Uint8Array.of(1, 2, 3, 4));
const target = { campaign: CAMPAIGN, version: undefined, image };

it.each<[object, string]>([
  [{ mode: 'normal', request: 0x7e1, response: 0x7e9 }, PEER],
  [{ mode: 'normal-fixed', ecu: 0x1a, tester: 0xf1 }, 'EDT (normal fixed, ECU 0x1A, tester 0xF1)'],
  [
    { mode: 'extended', request: 0x7e1, response: 0x7e9, ecu: 0x05, tester: 0xf1 },
    'EDT (0x7E1 -> 0x7E9, ECU 0x05)',
  ],
  [
    { mode: 'mixed', request: 0x7e1, response: 0x7e9, extension: 0x99 },
    'EDT (0x7E1 -> 0x7E9, extension 0x99)',
  ],
])('an ECU is named by its identifiers: %o', (address, text) => {
  expect(peerText(ecuOf({ address }))).toBe(text);
});

describe('a reply that is no positive one', () => {
  const ecu = new ScriptedEcu({});
  const exchange = new Exchange({ ecu: ecuOf(), requester: ecu, clock: ecu.clock });
  const data = new Uint8Array();
  const request = Uint8Array.of(0x22);
  const read = 'readDataByIdentifier (0x22) while reading it';
  const negative = (nrc: number): UdsReply => ({ kind: 'negative', sid: 0x22, nrc });

  it.each<[string, UdsReply | 'interrupted', string, boolean, string | RegExp]>([
    ['none', 'interrupted', 'INTERRUPTED', true, `${PEER}: stopped before ${read} was answered`],
    [
      'malformed',
      { kind: 'malformed', data, reason: 'too short' },
      'MALFORMED',
      false,
      `${PEER}: the answer to ${read} breaks its format: too short`,
    ],
    [
      'unexpected',
      { kind: 'unexpected', data, reason: '10 was answered' },
      'UNEXPECTED',
      true,
      `${PEER}: answered ${read} with something else: 10 was answered; is another tester active?`,
    ],
    [
      'bus',
      { kind: 'transport', result: 'BUS', reason: 'down' },
      'BUS',
      true,
      `${PEER}: ${read} was not carried (BUS): down; bring the bus up again`,
    ],
    [
      'closed',
      { kind: 'transport', result: 'CLOSED', reason: 'closed' },
      'BUS',
      true,
      `${PEER}: ${read} was not carried (CLOSED): closed; bring the bus up again`,
    ],
    [
      'transport',
      { kind: 'transport', result: 'N_TIMEOUT_Bs', reason: 'no flow control' },
      'TRANSPORT',
      true,
      `${PEER}: ${read} was not carried (N_TIMEOUT_Bs): no flow control`,
    ],
    [
      'silent',
      { kind: 'silent', timer: 'P2', waitedMs: 150.4 },
      'SILENT',
      true,
      /^EDT \(0x7E1 -> 0x7E9\): no answer to readDataByIdentifier \(0x22\) while reading it within 150 ms \(P2\): /,
    ],
    [
      '31',
      negative(0x31),
      'REFUSED',
      false,
      /refused readDataByIdentifier \(0x22\) while reading it: /,
    ],
    ['22', negative(0x22), 'PRECONDITION', false, /; bring the vehicle into the condition for /],
    ['33', negative(0x33), 'SECURITY', false, /^EDT .* refused /],
  ])('%s', (_what, reply, code, transient, reason) => {
    expect(exchange.interpret(request, 'reading it', reply)).toMatchObject({
      ...{ ok: false, code, transient },
      reason: typeof reason === 'string' ? reason : expect.stringMatching(reason),
    });
  });

  it.each([
    [0x21, 'REFUSED'],
    [0x34, 'SECURITY'],
    [0x35, 'SECURITY'],
    [0x36, 'SECURITY'],
    [0x37, 'SECURITY'],
    [0x38, 'SECURITY'],
    [0x39, 'REFUSED'],
    [0x3a, 'SECURITY'],
    [0x80, 'REFUSED'],
    [0x81, 'PRECONDITION'],
    [0x94, 'PRECONDITION'],
    [0x95, 'REFUSED'],
  ])('NRC %i is %s', (nrc, code) => {
    expect(exchange.interpret(request, 'reading it', negative(nrc))).toMatchObject({ code, nrc });
  });

  it('says how often it was asked, and for how long it was busy', async () => {
    const one = new ScriptedEcu({ '22F190': 'silent', '22F191': '7F2221' });
    const asked = new Exchange({
      ecu: ecuOf({ timing: { busyLimitMs: 1000 } }),
      requester: one,
      clock: one.clock,
    });
    const ask = (hex: string) => one.clock.within(60_000, asked.ask(fromHex(hex), 'reading it'));
    expect(await ask('22F190')).toMatchObject({
      reason: expect.stringMatching(/ \(asked 3 times\)$/),
      transient: true,
    });
    expect(await ask('22F191')).toMatchObject({
      reason: expect.stringMatching(/ \(repeated for 1000 ms, timing\.busyLimitMs\)$/),
      transient: true,
    });
  });
});

describe('a routine of the programming', () => {
  const WILLING: Record<string, Answer> = {
    ...{ '1001': '5001003201F4', '1002': '5002003201F4', '1003': '5003003201F4' },
    ...{ '31010203': '7101020300', '3101FF00': '7101FF0000', '31010202': '7101020200' },
    ...{ '3101FF01': '7101FF0100', '34': '7420000A', '3601': '7601', '37': '77' },
    ...{ '1101': '5101', '22F186': '62F18601', '190209': '5902FF' },
  };
  const profile = {
    ...{ identify: 'skip', controlDtcSetting: 'skip', communicationControl: 'skip' },
    ...{ fingerprint: 'skip', metadata: 'skip', activation: 'reset' },
    ...{ preconditions: 'required', erase: 'required', checkMemory: 'required' },
    dependencies: 'required',
  };
  const activate = async (answers: Record<string, Answer>, more: object = {}) => {
    const ecu = new ScriptedEcu({ ...WILLING, ...answers });
    const driver = new UdsEcuDriver({
      ecu: ecuOf({
        programming: { ...profile, ...more },
        ...{ security: { algorithm: 'none' }, memory: { bankSize: 4096, banks: 1 } },
      }),
      ...{ requester: ecu, clock: ecu.clock },
    });
    const beganMs = ecu.clock.nowMs();
    const done = await ecu.clock.within(600_000, driver.activate(target));
    return { done, tookMs: ecu.clock.nowMs() - beganMs };
  };

  it.each([
    [
      '31010203',
      'PRECONDITION',
      false,
      `${PEER}: status 2 from routine 0x0203 while checking the programming preconditions, expected 0; an image on trial must be confirmed or rolled back first`,
    ],
    [
      '3101FF00',
      'REFUSED',
      false,
      `${PEER}: status 2 from routine 0xFF00 while erasing the bank, expected 0`,
    ],
    [
      '31010202',
      'DIGEST_MISMATCH',
      true,
      `${PEER}: status 2 from routine 0x0202 while having the image checked, expected 0: the image in its memory is not the one that was sent`,
    ],
    [
      '3101FF01',
      'REFUSED',
      false,
      `${PEER}: status 2 from routine 0xFF01 while having the dependencies checked, expected 0`,
    ],
  ])('%s that ends with status 2', async (request, code, transient, reason) => {
    const { done } = await activate({ [request]: `71${request.slice(2)}02` });
    expect(done).toMatchObject({ ok: false, code, transient, reason });
  });

  it('that tells no status is done', async () => {
    const bare = ['31010203', '3101FF00', '31010202', '3101FF01'];
    const answers = Object.fromEntries(bare.map((key) => [key, `71${key.slice(2)}`]));
    expect((await activate(answers)).done).toMatchObject({ ok: true });
  });

  it('waits for an ECU that jumps into its bootloader, as its vehicle file says', async () => {
    const { tookMs } = await activate({});
    for (const sessionPauseMs of [1, 700]) {
      const paused = await activate({}, { sessionPauseMs });
      expect(paused.tookMs - tookMs).toBe(sessionPauseMs);
    }
  });
});

it('a DID that is not known, and one that is lost, are named by their numbers', async () => {
  const ecu = new ScriptedEcu({ '22F189': '7F2231', '22000A': 'silent' });
  const read = readDids({ ecu: ecuOf(), requester: ecu, clock: ecu.clock }, [0xf189, 0x0a]);
  expect(await ecu.clock.within(60_000, read)).toMatchObject([
    { ok: false, code: 'REFUSED', reason: `${PEER} does not know DID F189` },
    { ok: false, code: 'SILENT', reason: expect.stringContaining('while reading DID 000A') },
  ]);
});

describe('a driver that has no journal', () => {
  it('remembers what it has changed until it was taken back', async () => {
    const ecu = new ScriptedEcu({
      ...{ '1001': '5001003201F4', '1002': '5002003201F4', '1003': '5003003201F4' },
      ...{ '34': '7420000A', '3601': '7F3672', '22F186': '62F18601', '1101': '5101' },
    });
    const driver = new UdsEcuDriver({
      ecu: ecuOf({
        programming: 'standard',
        ...{ security: { algorithm: 'none' }, memory: { bankSize: 4096, banks: 1 } },
      }),
      ...{ requester: ecu, clock: ecu.clock },
    });
    const back = () =>
      ecu.clock.within(600_000, driver.rollback({ target, previous: { version: undefined } }));
    expect(await ecu.clock.within(600_000, driver.activate(target))).toMatchObject({ ok: false });
    for (let tries = 0; tries < 2; tries++) {
      ecu.log.length = 0;
      expect(await back()).toMatchObject({ ok: false, code: 'NO_PREVIOUS_IMAGE' });
      expect(ecu.log).toContain('1101');
    }
  });
});

describe('orders with authority', () => {
  const KEY = fromHex('5a'.repeat(32));
  const challengeOf = (key: Uint8Array): string => {
    const challenge = new Uint8Array(16).fill(0xc1);
    const mac = challengeMac(key, challenge, 0);
    return `62FD24${toHex(concatBytes(challenge, uintToBytes(0, 2), mac)).toUpperCase()}`;
  };
  const [right, wrong] = [challengeOf(KEY), challengeOf(new Uint8Array(32))];
  const countOf = (ecu: ScriptedEcu, key: string) =>
    ecu.log.filter((sent) => sent.startsWith(key)).length;

  it.each([
    [[right], 1, 4],
    [[wrong, right], 2, 4],
    [[wrong, wrong, right], 3, 4],
    [[wrong, wrong, wrong, right], 3, 0],
  ])('ask for a challenge three times at most', async (challenges, asked, sent) => {
    const ecu = new ScriptedEcu({ '22FD24': [...challenges], '84': 'silent' });
    const requester = new SecuredRequester(ecu, { role: 'tester', key: KEY });
    const reply = requester.request(fromHex('31010230'));
    await ecu.clock.within(60_000, reply);
    expect([countOf(ecu, '22FD24'), countOf(ecu, '84')]).toEqual([asked, sent]);
  });

  it.each([
    ['7F843A', true, 1, 4],
    ['7F843A', false, 3, 3],
    ['7F8422', true, 1, 4],
    ['7F8422', false, 1, 4],
    ['bus', false, 1, 1],
  ] as const)('answered by %s, once: %s', async (answer, once, asked, sent) => {
    const ecu = new ScriptedEcu({ '22FD24': right, '84': answer });
    const requester = new SecuredRequester(ecu, { role: 'tester', key: KEY }, { once });
    await ecu.clock.within(60_000, requester.request(fromHex('31010230')));
    expect([countOf(ecu, '22FD24'), countOf(ecu, '84')]).toEqual([asked, sent]);
  });

  it('keep the session and speak to all as without', async () => {
    const ecu = new ScriptedEcu({});
    const requester = new SecuredRequester(ecu, { role: 'tester', key: KEY });
    requester.keepAlive('all-ecus');
    expect(ecu.keptAlive).toBe(true);
    requester.keepAlive('off');
    expect(ecu.keptAlive).toBe(false);
    await requester.broadcast(fromHex('1083'));
    expect(ecu.log).toEqual(['*1083']);
  });

  it('of a person are made once: no second challenge for what may have been done', async () => {
    const ecu = new ScriptedEcu({
      ...{ '1001': '5001003201F4', '1003': '5003003201F4' },
      ...{ '22FD24': right, '84': '7F843A' },
    });
    const services = new UdsEcuServices({
      ...{ vehicle: vehicleOf(), requesterFor: () => ecu, clock: ecu.clock },
      authorityFor: () => ({ role: 'tester', key: KEY }),
    });
    const run = services.run(order('calibrate'), new AbortController().signal);
    expect(await ecu.clock.within(60_000, run)).toMatchObject({ kind: 'in-doubt' });
    // Once whether it takes such orders, once for the order itself.
    expect([countOf(ecu, '22FD24'), countOf(ecu, '84')]).toEqual([2, 4]);
  });
});

describe('a version that is missing', () => {
  const verify = async (version: string | undefined, from: object) => {
    const ecu = new ScriptedEcu({ '22': '7F2231' });
    const driver = new UdsEcuDriver({
      ecu: ecuOf({ programming: 'standard', security: { algorithm: 'none' } }),
      ...{ requester: ecu, clock: ecu.clock },
    });
    const told = { ...target, version, from: { version: undefined, sha256: undefined, ...from } };
    const checks = { knownDtcs: undefined, heartbeatMs: 0 };
    return ecu.clock.within(60_000, driver.verify(told, checks));
  };

  it.each([
    ['2.0.0', `${PEER} reports version null, expected "2.0.0": it told "1.0.0" before the update`],
    [undefined, `${PEER} reports version null, expected one: it told "1.0.0" before the update`],
  ])('where %s was wanted', async (version, reason) => {
    expect(await verify(version, { version: '1.0.0' })).toMatchObject({
      ...{ ok: false, code: 'VERSION_MISMATCH', reason },
    });
  });

  it('is only mentioned where it never was, and not at all where none was wanted', async () => {
    const text = 'EDT: it does not tell its version';
    const warned = await verify('2.0.0', {});
    expect(warned.ok && warned.warnings).toContain(text);
    const quiet = await verify(undefined, {});
    expect(quiet.ok && quiet.warnings).not.toContain(text);
  });
});
