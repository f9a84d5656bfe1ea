// Service 84 of an ECU in front of somebody who hears, changes, replays and reorders messages, and has every key but one.

import { createHmac } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { concatBytes, fromHex, toHex, uintToBytes } from '../../src/core/bytes.ts';
import { speakerKey } from '../../src/trust/authority.ts';
import { benchEcuIdentity } from '../../src/trust/bench-keys.ts';
import { CAMPAIGN, EcuBench, imageOf } from '../support/ecu-bench.ts';
import {
  benchTesterKey,
  openAnswer,
  type Sealing,
  sealRequest,
} from '../support/secured-message.ts';

const VERIFICATION_FAILED = '7F843A';
const OUT_OF_RANGE = '7F8431';
const LENGTH = '7F8413';

/** On the bench's EDT this DID is the brightness of the display. */
const DIM = '2EFD3128';
const BRIGHT = '2EFD3146';

let bench: EcuBench;
beforeEach(async () => {
  bench = await EcuBench.start();
});

const brightness = () => bench.ask('22FD31');
const disk = () =>
  ['boot-record', 'nv', 'counters', 'identity', 'trust'].map((file) => {
    const bytes = bench.storage.contents(file);
    return bytes === undefined ? undefined : toHex(bytes);
  });

describe('a message with the right MAC', () => {
  it('is done in any session, without SecurityAccess, and leaves both as they were', async () => {
    expect(await bench.secured(DIM)).toBe('6EFD31');
    expect(await brightness()).toBe('62FD3128');
    expect(await bench.ask('22F186')).toBe('62F18601');
    await bench.expect('1002');
    expect(await bench.secured(BRIGHT)).toBe('6EFD31');
    expect(await bench.ask('3101FF00')).toBe('7F3133');
  });

  it('is answered with a MAC over the answer and over the question, also when it is refused', async () => {
    const { challenge, counter } = await bench.challenge();
    const sealing: Sealing = {
      role: 'tester',
      key: bench.testerKey,
      challenge,
      counter: counter + 1,
    };
    const request = sealRequest('2EFD3104', sealing);
    const answer = await bench.ask(request);
    expect(openAnswer(answer, request, sealing)).toBe('7F2E31');
    for (let at = 0; at < answer.length / 2; at++) {
      const forged = fromHex(answer);
      forged[at]! ^= 0x01;
      expect(() => openAnswer(forged, request, sealing), `byte ${at}`).toThrow(/wrong MAC/);
    }
    const other = sealRequest('2EFD3105', sealing);
    expect(() => openAnswer(answer, other, sealing)).toThrow(/wrong MAC/);
  });

  it('is answered again when the answer was lost, and done once', async () => {
    const request = await bench.seal(DIM);
    const answer = await bench.ask(request);
    const { operations } = bench.storage;
    for (let again = 0; again < 5; again++) expect(await bench.ask(request)).toBe(answer);
    expect(bench.storage.operations).toBe(operations);
    expect((await bench.challenge()).counter).toBe(1);
  });

  it('may leave numbers out, and none may come back', async () => {
    const { challenge } = await bench.challenge();
    expect(await bench.secured(DIM, { counter: 7 })).toBe('6EFD31');
    for (const counter of [0, 1, 6, 7]) {
      expect(await bench.secured(BRIGHT, { counter, challenge })).toBe(VERIFICATION_FAILED);
    }
    expect(await brightness()).toBe('62FD3128');
    expect(await bench.secured(BRIGHT, { counter: 8 })).toBe('6EFD31');
  });
});

describe('a message of somebody else', () => {
  it('changed at any byte does nothing', async () => {
    const right = await bench.seal(DIM);
    const before = await brightness();
    for (const at of right.keys()) {
      for (const bit of [0x01, 0x80]) {
        const changed = Uint8Array.from(right);
        changed[at]! ^= bit;
        const answer = await bench.ask(changed, { limitMs: 30 });
        expect(answer, `byte ${at}`).toMatch(/^(7F|silent)/);
        expect(await brightness(), `byte ${at}`).toBe(before);
      }
    }
    // Nothing of it has used the number up.
    expect((await bench.challenge()).counter).toBe(0);
    expect(await bench.ask(right)).toMatch(/^C4/);
    expect(await brightness()).toBe('62FD3128');
  });

  it('cut or prolonged at any length does nothing', async () => {
    const right = await bench.seal(DIM);
    const before = await brightness();
    for (let length = 1; length < right.length; length++) {
      const answer = await bench.ask(right.subarray(0, length));
      expect([LENGTH, VERIFICATION_FAILED], `${length} bytes`).toContain(answer);
    }
    for (const more of ['00', MAC_OF_ZEROS]) {
      expect(await bench.ask(concatBytes(right, fromHex(more)))).toBe(VERIFICATION_FAILED);
    }
    expect(await brightness()).toBe(before);
  });

  it.each<[string, (right: Sealing) => Partial<Sealing>]>([
    ['another challenge', () => ({ challenge: new Uint8Array(16) })],
    ['the key to another ECU', () => ({ key: benchTesterKey('INV') })],
    ['no key', () => ({ key: new Uint8Array(32) })],
    ['the key of the TMU in the role of the factory', () => ({ role: 'factory' })],
    [
      'a key of the TMU that was made for the factory',
      () => ({
        key: speakerKey(
          'factory',
          benchEcuIdentity('TMU').encryption.privateKey,
          benchEcuIdentity('EDT').encryption.publicKey,
        )!,
      }),
    ],
    [
      'a key of another tester',
      () => ({
        key: speakerKey(
          'tester',
          fromHex('77'.repeat(32)),
          benchEcuIdentity('EDT').encryption.publicKey,
        )!,
      }),
    ],
  ])('made with %s does nothing', async (_what, change) => {
    const { challenge, counter } = await bench.challenge();
    const right = {
      role: 'tester',
      key: bench.testerKey,
      challenge,
      counter: counter + 1,
    } as const;
    const before = disk();
    const answer = await bench.ask(sealRequest(DIM, { ...right, ...change(right) }));
    // The bench has no factory, and therefore no key to compare with.
    expect([VERIFICATION_FAILED, '7F8422']).toContain(answer);
    expect(disk()).toEqual(before);
    expect((await bench.challenge()).counter).toBe(0);
  });

  it.each([
    ['another calculation', { at: 3, value: 0x03 }, OUT_OF_RANGE],
    ['a MAC of 15 bytes', { at: 5, value: 0x0f }, OUT_OF_RANGE],
    ['the parameter without a signature', { at: 2, value: 0x49 }, OUT_OF_RANGE],
  ])('with %s is out of range', async (_what, { at, value }, nrc) => {
    const changed = await bench.seal(DIM);
    changed[at] = value;
    expect(await bench.ask(changed)).toBe(nrc);
  });

  it('does nothing by a functional address', async () => {
    const order = await bench.seal(DIM);
    expect(await bench.ask(order, { functional: true, limitMs: 50 })).toBe('silent');
    expect(await brightness()).toBe('62FD3146');
    expect(await bench.ask(order)).toMatch(/^C4/);
  });
});

const MAC_OF_ZEROS = '00'.repeat(16);

describe('a recorded message', () => {
  it('does nothing a second time, once another one was done', async () => {
    const first = await bench.seal(DIM);
    await bench.ask(first);
    await bench.expectSecured(BRIGHT);
    const { operations } = bench.storage;
    expect(await bench.ask(first)).toBe(VERIFICATION_FAILED);
    expect(await brightness()).toBe('62FD3146');
    expect(bench.storage.operations).toBe(operations);
  });

  it('that was held back does nothing after a later one', async () => {
    const [first, second] = [await bench.seal(DIM), await bench.seal(BRIGHT, { counter: 2 })];
    expect(await bench.ask(second)).toMatch(/^C4/);
    expect(await bench.ask(first)).toBe(VERIFICATION_FAILED);
    expect(await brightness()).toBe('62FD3146');
  });

  it('of the life before does nothing: each reset makes another challenge', async () => {
    const lives = new Set<string>();
    const recorded = [await bench.seal(DIM), await bench.seal(DIM, { counter: 0xffff })];
    for (let life = 0; life < 5; life++) {
      lives.add(toHex((await bench.challenge()).challenge));
      if (life % 2 === 0) await bench.reset();
      else await bench.crash();
      for (const message of recorded) expect(await bench.ask(message)).toBe(VERIFICATION_FAILED);
    }
    const again = await EcuBench.start({ storage: bench.storage.afterPowerCut() });
    lives.add(toHex((await again.challenge()).challenge));
    expect(lives.size).toBeGreaterThanOrEqual(5);
    expect(await brightness()).toBe('62FD3146');
  });

  it('of another ECU does nothing', async () => {
    const other = await EcuBench.start({ name: 'CGW' });
    const { challenge } = await other.challenge();
    const order = await other.seal('14FFFFFF');
    expect(await other.ask(order)).toMatch(/^C4/);
    expect(await bench.ask(order)).toBe(VERIFICATION_FAILED);
    // Nor with the very challenge of this one, which is what a man in the middle would tell the TMU.
    const mine = await bench.challenge();
    expect(toHex(mine.challenge)).not.toBe('');
    const forwarded = await other.seal('14FFFFFF', { challenge: mine.challenge, counter: 1 });
    expect(await bench.ask(forwarded)).toBe(VERIFICATION_FAILED);
    expect(challenge).toHaveLength(16);
    expect(await bench.ask('1901FF')).toBe('590109010001');
  });
});

describe('the challenge', () => {
  it('is read by anybody, as often as he likes, and stays', async () => {
    const first = await bench.expect('22FD24');
    expect(first).toMatch(/^62FD24[0-9A-F]{68}$/);
    for (let read = 0; read < 20; read++) expect(await bench.ask('22FD24')).toBe(first);
    expect(await bench.ask('22FD24', { functional: true })).toBe(first);
  });

  it('comes with the number of the last message, and a MAC that only the TMU can check', async () => {
    await bench.expectSecured(DIM);
    const data = fromHex((await bench.expect('22FD24')).slice(6));
    expect(toHex(data.subarray(16, 18))).toBe('0001');
    const mac = createHmac('sha256', bench.testerKey);
    for (const field of [Buffer.from('challenge'), data.subarray(0, 16), data.subarray(16, 18)]) {
      mac.update(uintToBytes(field.length, 2)).update(field);
    }
    expect(toHex(data.subarray(18))).toBe(mac.digest('hex').slice(0, 32));
  });

  it('is another one behind the last number, under which nothing of before counts', async () => {
    const before = await bench.challenge();
    const held = await bench.seal(BRIGHT, { counter: 0xfffe });
    const last = await bench.seal(DIM, { counter: 0xffff });
    expect(await bench.ask(last)).toMatch(/^C4/);
    const after = await bench.challenge();
    expect(toHex(after.challenge)).not.toBe(toHex(before.challenge));
    expect(after.counter).toBe(0);
    for (const old of [held, last]) expect(await bench.ask(old)).toBe(VERIFICATION_FAILED);
    expect(await brightness()).toBe('62FD3128');
    expect(await bench.secured(BRIGHT)).toBe('6EFD31');
  });
});

describe('what may stand inside', () => {
  it.each([
    '1003',
    '1002',
    '2701',
    `2702${'00'.repeat(16)}`,
    '280301',
    '3E00',
    '8502',
    '23440800000000000010',
    '34004408000000000003E8',
    '3601AA',
    '37',
    '38010001410002000100FF',
    'BA01',
    '7F3131',
    '6EFD31',
  ])('%s may not: 39', async (inner) => {
    const sid = inner.slice(0, 2);
    expect(await bench.secured(inner)).toBe(`7F${sid}39`);
    expect(await bench.ask('22F186')).toBe('62F18601');
  });

  it('not another secured message, right as it may be', async () => {
    const inner = await bench.seal(DIM, { counter: 2 });
    expect(await bench.secured(inner)).toBe('7F8439');
    expect(await brightness()).toBe('62FD3146');
  });

  it.each([
    ['22F195', /^62F195/],
    ['1901FF', /^5901/],
    ['14FFFFFF', /^54$/],
    ['31030211', /^7103021100$/],
    ['22FD24', /^62FD24/],
    ['1101', /^5101$/],
  ])('%s may', async (inner, answer) => {
    expect(await bench.secured(inner)).toMatch(answer);
  });

  it('a request that wants no answer is answered: who asks wants to know', async () => {
    expect(await bench.secured('1181')).toBe('5101');
  });
});

describe('an ECU without its keys', () => {
  it('that nobody has provisioned takes no message, and needs none', async () => {
    const virgin = await EcuBench.start({ options: { benchKeys: false } });
    expect(await virgin.ask('22FD24')).toMatch(/^62FD24[0-9A-F]{32}0000(00){16}$/);
    expect(await virgin.secured('1101')).toBe('7F8422');
    expect(await virgin.secured(`31010213${CAMPAIGN}${MAC_OF_ZEROS}`)).toBe('7F8422');
  });

  it('with a damaged identity takes none either', async () => {
    bench.storage.corrupt('identity', 30);
    const broken = await EcuBench.start({ storage: bench.storage.afterPowerCut() });
    expect(await broken.secured('1101')).toBe('7F8422');
  });
});

it('no message costs a flash cell by itself', async () => {
  await bench.program(imageOf(1000), '2.0.0');
  const { operations } = bench.storage;
  for (let count = 0; count < 200; count++) await bench.expectSecured('22F195');
  for (let count = 0; count < 200; count++) {
    await bench.ask(await bench.seal(DIM, { key: new Uint8Array(32) }));
  }
  expect(bench.storage.operations).toBe(operations);
});
