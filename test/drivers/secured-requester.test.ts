// Orders with authority of their own, over a bus on which somebody forges, swallows and holds back messages.

import { beforeEach, describe, expect, it } from 'vitest';
import { concatBytes, fromHex, toHex, uintToBytes } from '../../src/core/bytes.ts';
import { SecuredRequester } from '../../src/drivers/secured-requester.ts';
import { challengeMac } from '../../src/trust/authority.ts';
import type { UdsReply, UdsRequester } from '../../src/uds/reply.ts';
import { plainOf, sealAnswer, sealRequest } from '../support/secured-message.ts';

const KEY = fromHex('5a'.repeat(32));
const ORDER = fromHex('31010230');
const DONE = '71010230';
const SILENT: UdsReply = { kind: 'silent', timer: 'P2', waitedMs: 150 };

/** An ECU as it must be, and a node that may act before it, in its place, or on its answer. */
class Peer implements UdsRequester {
  challenge = fromHex('c1'.repeat(16));
  counter = 0;
  key = KEY;
  /** Inner messages that were carried out. */
  readonly done: string[] = [];
  /** What left the TMU. */
  readonly sent: string[] = [];
  /** In the place of an answer, one for each message of service 84; undefined: the ECU's own. */
  readonly forged: (string | 'silent' | undefined)[] = [];
  /** The same for the challenge. */
  readonly forgedChallenges: (string | 'silent' | undefined)[] = [];
  /** The message does not reach the ECU. */
  swallows = (_request: Uint8Array): boolean => false;
  answer = DONE;
  #last: { readonly request: string; readonly response: string } | undefined;

  restart(): void {
    this.challenge = this.challenge.map((byte) => byte + 1);
    this.counter = 0;
    this.#last = undefined;
  }

  async request(request: Uint8Array): Promise<UdsReply> {
    const hex = toHex(request).toUpperCase();
    this.sent.push(hex);
    const lost = this.swallows(request);
    const own = lost ? 'silent' : this.#react(request, hex);
    const forged = hex === '22FD24' ? this.forgedChallenges.shift() : undefined;
    const inPlace = hex.startsWith('84') ? this.forged.shift() : forged;
    return replyOf(inPlace ?? own);
  }

  async broadcast(): Promise<void> {}
  keepAlive(): void {}

  challengeAnswer(counter = this.counter, key = this.key): string {
    const mac = challengeMac(key, this.challenge, counter);
    return `62FD24${toHex(concatBytes(this.challenge, uintToBytes(counter, 2), mac))}`;
  }

  #react(request: Uint8Array, hex: string): string {
    if (hex === '22FD24') return this.challengeAnswer();
    if (!hex.startsWith('84')) return `${toHex(Uint8Array.of(request[0]! + 0x40))}00`;
    const counter = request[6]! * 256 + request[7]!;
    const inner = plainOf(hex);
    const sealing = { role: 'tester', key: this.key, challenge: this.challenge, counter } as const;
    if (toHex(sealRequest(inner, sealing)).toUpperCase() !== hex) return '7F843A';
    if (this.#last?.request === hex) return this.#last.response;
    if (counter <= this.counter) return '7F843A';
    this.counter = counter;
    this.done.push(inner);
    const response = toHex(sealAnswer(this.answer, request, sealing));
    this.#last = { request: hex, response };
    if (counter === 0xffff) this.restart();
    return response;
  }
}

function replyOf(answer: string): UdsReply {
  if (answer === 'silent') return SILENT;
  const data = fromHex(answer);
  if (data[0] === 0x7f) return { kind: 'negative', sid: data[1]!, nrc: data[2]! };
  return { kind: 'positive', data, atMs: 0 };
}

let peer: Peer;
let requester: SecuredRequester;
beforeEach(() => {
  peer = new Peer();
  requester = new SecuredRequester(peer, { role: 'tester', key: KEY });
});

const ask = (inner = ORDER) => requester.request(inner);
const once = () => new SecuredRequester(peer, { role: 'tester', key: KEY }, { once: true });
const orders = () => peer.sent.filter((hex) => hex.startsWith('84'));
const numbers = () => orders().map((hex) => Number.parseInt(hex.slice(12, 16), 16));

describe('an order', () => {
  it('travels in service 84 under the next number, and its answer comes out', async () => {
    expect(await ask()).toMatchObject({ kind: 'positive', data: fromHex(DONE) });
    expect(peer.sent[0]).toBe('22FD24');
    expect(peer.sent[1]).toMatch(/^840069010010000131010230[0-9A-F]{32}$/);
    await ask();
    expect(numbers()).toEqual([1, 2]);
    expect(peer.done).toEqual(['31010230', '31010230']);
  });

  it('that the ECU refuses is refused, as the ECU has said with its MAC', async () => {
    peer.answer = '7F3122';
    expect(await ask()).toEqual({ kind: 'negative', sid: 0x31, nrc: 0x22 });
  });

  it.each(['7F3178', '71010231', '6EF190', '7F2E31', '71'])(
    'is not answered by %s, right as its MAC may be',
    async (answer) => {
      peer.answer = answer;
      const reply = await ask();
      expect(reply.kind).not.toBe('positive');
      expect(reply.kind).not.toBe('negative');
    },
  );

  it.each(['1003', '2701', '3E00', '3601AA'])('%s goes as it is', async (plain) => {
    await ask(fromHex(plain));
    expect(peer.sent).toEqual([plain]);
  });

  it('waits for the one before it, whoever shares the requester', async () => {
    const other = new SecuredRequester(peer, { role: 'tester', key: KEY });
    const replies = await Promise.all([ask(), other.request(ORDER), once().request(ORDER), ask()]);
    expect(replies.map(({ kind }) => kind)).toEqual(Array.from({ length: 4 }, () => 'positive'));
    expect(numbers()).toEqual([1, 2, 3, 4]);
  });
});

describe('a forged answer', () => {
  const right = (inner = DONE, change: { challenge?: Uint8Array; key?: Uint8Array } = {}) =>
    toHex(
      sealAnswer(inner, fromHex('84'.repeat(30)), {
        ...{ role: 'tester', key: KEY, challenge: peer.challenge, counter: 1 },
        ...change,
      }),
    );

  it.each<[string, () => string]>([
    ['in the clear', () => DONE],
    ['of zeros', () => `C40028010010000171010230${'00'.repeat(16)}`],
    ['without a MAC', () => 'C40028010000000171010230'],
    ['to another request', () => right()],
    ['of another key', () => right(DONE, { key: new Uint8Array(32) })],
    ['that is negative', () => '7F3122'],
    ['that is negative for 84', () => '7F8422'],
    ['that says the service is not there', () => '7F8411'],
    ['that says it is no secured service', () => '7F8438'],
  ])('%s in front of the right one is passed over', async (_what, forged) => {
    for (let times = 1; times < 4; times++) peer.forged.push(forged());
    expect(await ask()).toMatchObject({ kind: 'positive', data: fromHex(DONE) });
    expect(peer.done).toHaveLength(1);
    expect(new Set(orders()).size).toBe(1); // the very same message, which is done once
  });

  it.each(['71010230', `C40028010010000171010230${'00'.repeat(16)}`, '7F8422', '7F8411', '7F8431'])(
    '%s each time is believed by nobody: neither done nor refused',
    async (forged) => {
      for (let times = 0; times < 50; times++) peer.forged.push(forged);
      for (const asking of [requester, once()]) {
        const reply = await asking.request(ORDER);
        expect(['unexpected', 'malformed', 'silent'], JSON.stringify(reply)).toContain(reply.kind);
      }
      // It was done, whatever the node says.
      expect(peer.done.length).toBeGreaterThan(0);
    },
  );

  it('with bits of the right one changed is passed over, at every byte', async () => {
    await ask();
    const first = orders()[0]!;
    const { challenge } = peer;
    const sealing = { role: 'tester', key: KEY, challenge, counter: 1 } as const;
    const answer = sealAnswer(DONE, fromHex(first), sealing);
    for (const at of answer.keys()) {
      const changed = Uint8Array.from(answer);
      changed[at]! ^= 1;
      peer = new Peer();
      requester = new SecuredRequester(peer, { role: 'tester', key: KEY });
      peer.forged.push(toHex(changed), toHex(changed), toHex(changed), toHex(changed));
      const reply = await ask();
      expect(reply.kind, `byte ${at}`).not.toBe('positive');
    }
  });
});

describe('a lost answer', () => {
  it('is asked for again by the same message, and the order done once', async () => {
    peer.forged.push('silent', 'silent', 'silent');
    expect(await ask()).toMatchObject({ kind: 'positive' });
    expect(orders()).toHaveLength(4);
    expect(peer.done).toHaveLength(1);
  });

  it('stays silence when it never comes', async () => {
    peer.forged.push('silent', 'silent', 'silent', 'silent');
    expect(await ask()).toEqual(SILENT);
    expect(peer.done).toHaveLength(1);
  });

  it('of the challenge is silence, and no order has left', async () => {
    peer.forgedChallenges.push('silent');
    expect(await ask()).toEqual(SILENT);
    expect(orders()).toEqual([]);
  });

  it('is not waited for by a caller that has had enough', async () => {
    const abort = new AbortController();
    peer.swallows = (request) => {
      if (request[0] === 0x84) abort.abort();
      return request[0] === 0x84;
    };
    await requester.request(ORDER, { signal: abort.signal });
    expect(orders()).toHaveLength(1);
  });
});

describe('a challenge', () => {
  it.each<[string, () => string]>([
    ['of another life', () => `62FD24${'c0'.repeat(16)}0000${'00'.repeat(16)}`],
    ['with a number far ahead', () => peer.challengeAnswer(100, new Uint8Array(32))],
    ['of another key', () => peer.challengeAnswer(0, fromHex('77'.repeat(32)))],
  ])('%s is nobody`s: the ECU is asked again', async (_what, forged) => {
    peer.forgedChallenges.push(forged());
    expect(await ask()).toMatchObject({ kind: 'positive' });
    expect(numbers()).toEqual([1]);
    for (let times = 0; times < 9; times++) peer.forgedChallenges.push(forged());
    expect((await ask()).kind).toBe('unexpected');
    expect(numbers()).toEqual([1]);
  });

  it.each(['62FD24', `62FD24${'c1'.repeat(16)}0000`, `62FD24${'c1'.repeat(35)}`])(
    '%s has the wrong length',
    async (answer) => {
      peer.forgedChallenges.push(answer, answer, answer);
      expect((await ask()).kind).toBe('malformed');
      expect(orders()).toEqual([]);
    },
  );

  it('that an ECU does not know is a refusal of the question', async () => {
    peer.forgedChallenges.push('7F2231');
    expect(await ask()).toEqual({ kind: 'negative', sid: 0x22, nrc: 0x31 });
    expect(orders()).toEqual([]);
  });

  it('of before a restart of the ECU is followed by the one of after', async () => {
    peer.swallows = (request) => {
      if (request[0] === 0x84 && orders().length === 1) peer.restart();
      return false;
    };
    expect(await ask()).toMatchObject({ kind: 'positive' });
    expect(peer.done).toHaveLength(1);
    expect(new Set(orders()).size).toBe(2);
  });

  it('of after a restart makes no second order of one that must not be done twice', async () => {
    // It was done, its answer was lost, and the ECU restarts.
    peer.forged.push('silent');
    peer.swallows = (request) => {
      if (request[0] === 0x84 && orders().length === 2) peer.restart();
      return false;
    };
    const reply = await once().request(ORDER);
    expect(reply.kind).toBe('unexpected');
    expect(peer.done).toHaveLength(1);
    expect(new Set(orders()).size).toBe(1);
  });

  it('is used up behind the last number, and followed by another one', async () => {
    peer.counter = 0xfffe;
    expect(await ask()).toMatchObject({ kind: 'positive' });
    expect(await ask()).toMatchObject({ kind: 'positive' });
    expect(numbers()).toEqual([0xffff, 1]);
  });
});

describe('an order that was held back', () => {
  it('does not come behind a later one: no number is given twice, nor a lower one afterwards', async () => {
    // The ECU tells its own number each time, and has seen none of the first three.
    peer.swallows = (request) => request[0] === 0x84;
    for (let order = 0; order < 3; order++) await ask(fromHex(`2EFD310${order}`));
    const held = orders();
    peer.swallows = () => false;
    const later = new SecuredRequester(peer, { role: 'tester', key: KEY });
    peer.answer = '6EFD31';
    expect(await later.request(fromHex('2EFD3109'))).toMatchObject({ kind: 'positive' });
    for (const message of new Set(held)) {
      expect(await peer.request(fromHex(message))).toEqual({
        kind: 'negative',
        sid: 0x84,
        nrc: 0x3a,
      });
    }
    expect(peer.done).toEqual(['2EFD3109']);
  });

  it('under the last number leaves none for the next one: nothing is sent that could be overtaken', async () => {
    peer.counter = 0xfffe;
    peer.swallows = (request) => request[0] === 0x84;
    await ask(fromHex('2EFD3101'));
    const before = orders().length;
    expect(await ask(fromHex('2EFD3102'))).toMatchObject({ kind: 'unexpected' });
    expect(orders()).toHaveLength(before);
    // A restart of the ECU ends it.
    peer.restart();
    peer.swallows = () => false;
    peer.answer = '6EFD31';
    expect(await ask(fromHex('2EFD3103'))).toMatchObject({ kind: 'positive' });
  });
});
