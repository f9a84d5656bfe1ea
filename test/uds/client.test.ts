// The UDS client under virtual time: P2, P2*, late and foreign answers, queue, broadcast, tester present.

import { beforeEach, describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { UdsClient, type UdsClientOptions } from '../../src/uds/client.ts';
import type { RequestOptions, UdsReply } from '../../src/uds/reply.ts';
import { UdsServer } from '../../src/uds/server.ts';
import { type ConnectionPair, connectionPair, type Fate } from '../support/connection-pair.ts';

const timing = { p2Ms: 150, p2StarMs: 5000, pendingLimitMs: 20_000 };

let clock: VirtualClock;
let physical: ConnectionPair;
let functional: ConnectionPair;
let client: UdsClient;
/** What the ECU got. */
let heard: string[];
let heardByAll: { text: string; atMs: number }[];
/** Messages that the ECU sends for a request: [delay after it, bytes]. */
let script: (request: string) => readonly (readonly [number, string])[];
let fate: (message: Uint8Array, from: 'a' | 'b') => Fate;

function start(options: Partial<UdsClientOptions> = {}): void {
  clock = new VirtualClock();
  heard = [];
  heardByAll = [];
  script = () => [];
  fate = () => ({ kind: 'pass' });
  physical = connectionPair({ clock, fate: (message, from) => fate(message, from) });
  functional = connectionPair({ clock });
  physical.b.listen({
    onMessage: (message) => {
      const text = toHex(message);
      heard.push(text);
      for (const [delayMs, answer] of script(text)) {
        clock.after('ecu', delayMs, () => physical.b.send(fromHex(answer)));
      }
    },
  });
  functional.b.listen({
    onMessage: (message, atMs) => heardByAll.push({ text: toHex(message), atMs }),
  });
  client = new UdsClient({
    connection: physical.a,
    functional: functional.a,
    clock,
    timing,
    ...options,
  });
}

beforeEach(() => start());

function ask(request: string, options: RequestOptions = {}, withinMs = 60_000): Promise<UdsReply> {
  return clock.within(withinMs, client.request(fromHex(request), options));
}

/** The reply as one line that a test can name. */
function line(reply: UdsReply): string {
  switch (reply.kind) {
    case 'positive':
      return toHex(reply.data);
    case 'negative':
      return `refused ${reply.sid.toString(16)} ${reply.nrc.toString(16)}`;
    case 'silent':
      return `silent ${reply.timer}`;
    case 'transport':
      return `transport ${reply.result}`;
    default:
      return reply.kind;
  }
}

describe('one request', () => {
  test('positive', async () => {
    script = () => [[10, '62f19001']];
    expect(line(await ask('22f190', {}, 20))).toBe('62f19001');
    expect(clock.pending()).toEqual([]);
  });

  test('refused', async () => {
    script = () => [[10, '7f2231']];
    expect(line(await ask('22f190'))).toBe('refused 22 31');
  });

  test('silent: P2 runs from the end of the request on the wire', async () => {
    const long = `36${'00'.repeat(2000)}`;
    const reply = await ask(long);
    expect(reply).toMatchObject({ kind: 'silent', timer: 'P2' });
    const sentMs = 2001 * 0.03;
    expect(clock.nowMs()).toBeCloseTo(sentMs + timing.p2Ms, 6);
  });

  test('an answer just before P2 is in time, just after it is too late', async () => {
    script = () => [[149, '62f190aa']];
    expect(line(await ask('22f190'))).toBe('62f190aa');
    script = () => [[151, '62f190aa']];
    expect(line(await ask('22f190'))).toBe('silent P2');
  });

  test('a long answer need only have begun within P2', async () => {
    const long = `62f190${'55'.repeat(4000)}`;
    script = () => [[140, long]];
    expect(line(await ask('22f190'))).toBe(long);
    expect(clock.nowMs()).toBeGreaterThan(250);
  });

  test('an answer that breaks off is a failure of the transport', async () => {
    script = () => [[10, `62f190${'55'.repeat(100)}`]];
    fate = (_message, from) =>
      from === 'b' ? { kind: 'interrupt', result: 'N_TIMEOUT_Cr' } : { kind: 'pass' };
    expect(line(await ask('22f190'))).toBe('transport N_TIMEOUT_Cr');
  });

  test('a request that cannot be sent, or is too long for the transport', async () => {
    fate = () => ({ kind: 'fail', result: 'N_TIMEOUT_Bs' });
    expect(line(await ask('22f190'))).toBe('transport N_TIMEOUT_Bs');
    expect(line(await ask(`36${'00'.repeat(5000)}`))).toBe('transport N_ERROR');
    expect(() => client.request(new Uint8Array())).toThrow(RangeError);
  });

  test.each([
    ['7f22', 'malformed'],
    ['7f223100', 'malformed'],
    ['7f2200', 'malformed'],
    ['62f1', 'malformed'],
    ['62f18a01', 'unexpected'],
    ['50010032', 'unexpected'],
    ['7f3131', 'unexpected'],
  ])('%s is %s', async (answer, kind) => {
    script = () => [[10, answer]];
    const reply = await ask('22f190');
    expect(reply.kind).toBe(kind);
    expect(reply).toMatchObject({ data: fromHex(answer), reason: expect.stringMatching(/.{10}/) });
  });

  test('a foreign answer does not spoil the right one that follows', async () => {
    script = () => [
      [10, '7f3131'],
      [20, '62f19001'],
    ];
    expect(line(await ask('22f190'))).toBe('62f19001');
  });
});

describe('response pending', () => {
  test('each starts P2* anew', async () => {
    script = () => [
      [100, '7f3178'],
      [4900, '7f3178'],
      [9700, '7101ff00'],
    ];
    expect(line(await ask('3101ff00'))).toBe('7101ff00');
  });

  test('P2* runs out', async () => {
    script = () => [[100, '7f3178']];
    expect(line(await ask('3101ff00'))).toBe('silent P2*');
    expect(clock.nowMs()).toBeGreaterThan(5100);
    expect(clock.nowMs()).toBeLessThan(5110);
  });

  test('the total wait is bounded, however often the ECU asks for patience', async () => {
    script = () =>
      Array.from({ length: 30 }, (_, index) => [100 + index * 1000, '7f3178'] as const);
    expect(line(await ask('3101ff00'))).toBe('silent P2*');
    expect(clock.nowMs()).toBeCloseTo(timing.pendingLimitMs, 0);
  });

  test('the bound can be set for one request', async () => {
    script = () =>
      Array.from({ length: 30 }, (_, index) => [100 + index * 1000, '7f3178'] as const);
    expect(line(await ask('3101ff00', { pendingLimitMs: 3000 }))).toBe('silent P2*');
    expect(clock.nowMs()).toBeCloseTo(3000, 0);
  });

  test('a long answer that began after 0x78 has time to end', async () => {
    const long = `7101ff00${'11'.repeat(4000)}`;
    script = () => [
      [100, '7f3178'],
      [5090, long],
    ];
    expect(line(await ask('3101ff00'))).toBe(long);
  });
});

describe('late answers', () => {
  test('of a request that went silent are not taken for the next one', async () => {
    script = (request) => (request === '22f190' ? [[200, '62f190aa']] : [[100, '62f18abb']]);
    expect(line(await ask('22f190'))).toBe('silent P2');
    expect(line(await ask('22f18a'))).toBe('62f18abb');
  });

  test('alone, they leave the next request silent, not unexpected', async () => {
    script = (request) => (request === '22f190' ? [[200, '62f190aa']] : []);
    await ask('22f190');
    expect(line(await ask('22f18a'))).toBe('silent P2');
  });

  test('of a block that was given up do not confirm the next block', async () => {
    script = (request) => (request === '3601aa' ? [[200, '7601']] : [[100, '7602']]);
    await ask('3601aa');
    expect(line(await ask('3602aa'))).toBe('7602');
  });

  test('while nothing is asked are dropped', async () => {
    script = () => [[200, '62f190aa']];
    await ask('22f190');
    await clock.advance(1000);
    script = () => [[5, '7e00']];
    expect(line(await ask('3e00'))).toBe('7e00');
  });

  test('that end before the request was complete are not for it', async () => {
    // The ECU repeats an old answer while the long request is still on the wire.
    clock.after('ecu', 5, () => physical.b.send(fromHex('7601')));
    script = () => [[5, '7f3673']];
    expect(line(await ask(`3601${'00'.repeat(2000)}`))).toBe('refused 36 73');
  });
});

test('an answer may overtake the confirmation of its request', async () => {
  fate = (_message, from) =>
    from === 'a' ? { kind: 'late-confirmation', lateMs: 50 } : { kind: 'pass' };
  script = () => [[1, '62f19001']];
  expect(line(await ask('22f190'))).toBe('62f19001');
  const long = `62f190${'55'.repeat(4000)}`;
  script = () => [[1, long]];
  fate = (_message, from) =>
    from === 'a' ? { kind: 'late-confirmation', lateMs: 5 } : { kind: 'pass' };
  expect(line(await ask('22f190'))).toBe(long);
});

test('so may its first frame, which stops P2 all the same', async () => {
  start({ timing: { ...timing, p2Ms: 50 } });
  const long = `62f190${'55'.repeat(4000)}`;
  script = () => [[1, long]];
  fate = (_message, from) =>
    from === 'a' ? { kind: 'late-confirmation', lateMs: 5 } : { kind: 'pass' };
  expect(line(await ask('22f190'))).toBe(long);
});

describe('suppressed positive response', () => {
  test('silence within P2 is success', async () => {
    expect(line(await ask('3e80'))).toBe('suppressed');
    expect(clock.nowMs()).toBeGreaterThanOrEqual(150);
  });

  test('a refusal is told', async () => {
    script = () => [[10, '7f1022']];
    expect(line(await ask('1083'))).toBe('refused 10 22');
  });

  test('after 0x78 silence is no success', async () => {
    script = () => [[10, '7f3178']];
    expect(line(await ask('3181ff00'))).toBe('silent P2*');
    script = () => [
      [10, '7f3178'],
      [100, '7101ff00'],
    ];
    expect(line(await ask('3181ff00'))).toBe('7101ff00');
  });

  test('services without sub-function have no such bit', async () => {
    expect(line(await ask('3680'))).toBe('silent P2');
  });
});

describe('busyRepeatRequest', () => {
  test('is handed on', async () => {
    script = () => [[1, '7f2221']];
    expect(line(await ask('22f190'))).toBe('refused 22 21');
    expect(heard).toEqual(['22f190']);
  });
});

describe('queue', () => {
  test('requests go one after the other, in order', async () => {
    script = (request) => [[20, `62${request.slice(2)}01`]];
    const replies = ['22f190', '22f18a', '22f195'].map((text) => client.request(fromHex(text)));
    await clock.advance(10);
    expect(heard).toEqual(['22f190']);
    const all = await clock.within(100, Promise.all(replies));
    expect(all.map(line)).toEqual(['62f19001', '62f18a01', '62f19501']);
  });

  test('an aborted request ends at once; one in the queue is never sent', async () => {
    script = (request) => [[20, `62${request.slice(2)}01`]];
    const first = new AbortController();
    const second = new AbortController();
    const replies = [
      client.request(fromHex('22f190'), { signal: first.signal }),
      client.request(fromHex('22f18a'), { signal: second.signal }),
      client.request(fromHex('22f195')),
    ];
    await clock.advance(5);
    second.abort();
    first.abort();
    const all = await clock.within(100, Promise.all(replies));
    expect(all.map(line)).toEqual(['transport CLOSED', 'transport CLOSED', '62f19501']);
    expect(heard).toEqual(['22f190', '22f195']);
    const already = await client.request(fromHex('22f190'), { signal: first.signal });
    expect(line(already)).toBe('transport CLOSED');
  });

  test('close ends all of them and leaves no timer', async () => {
    client.keepAlive('all-ecus');
    const replies = [client.request(fromHex('22f190')), client.request(fromHex('22f18a'))];
    const broadcast = client.broadcast(fromHex('8502'));
    const failed = expect(broadcast).rejects.toMatchObject({ code: 'TRANSPORT' });
    await clock.advance(5);
    client.close();
    expect((await Promise.all(replies)).map(line)).toEqual([
      'transport CLOSED',
      'transport CLOSED',
    ]);
    await failed;
    expect(clock.pending()).toEqual([]);
    expect(line(await client.request(fromHex('22f190')))).toBe('transport CLOSED');
    await expect(client.broadcast(fromHex('8502'))).rejects.toMatchObject({ code: 'TRANSPORT' });
  });
});

test('close ends a broadcast that is on its way', async () => {
  const broadcast = client.broadcast(fromHex('8502'));
  client.close();
  await expect(broadcast).rejects.toMatchObject({ code: 'TRANSPORT', result: 'CLOSED' });
});

describe('broadcast', () => {
  test('goes to all with suppressed answer, and the next request waits for P3', async () => {
    script = () => [[1, '7e00']];
    await clock.within(10, client.broadcast(fromHex('8502')));
    const sentMs = clock.nowMs();
    expect(sentMs).toBeLessThan(1);
    await clock.advance(0);
    expect(heardByAll.map(({ text }) => text)).toEqual(['8582']);
    await ask('3e00');
    expect(clock.nowMs() - sentMs).toBeGreaterThanOrEqual(100);
    expect(clock.nowMs() - sentMs).toBeLessThan(110);
  });

  test('without a functional connection the one ECU gets it', async () => {
    start();
    client = new UdsClient({ connection: physical.a, clock, timing });
    await clock.within(200, client.broadcast(fromHex('280301')));
    expect(heard).toEqual(['288301']);
  });

  test('a bus that is down rejects', async () => {
    const broken = connectionPair({ clock, fate: () => ({ kind: 'fail', result: 'BUS' }) });
    client = new UdsClient({ connection: physical.a, functional: broken.a, clock, timing });
    const failed = expect(client.broadcast(fromHex('8502'))).rejects.toMatchObject({
      code: 'TRANSPORT',
      result: 'BUS',
    });
    await clock.advance(10);
    await failed;
  });
});

describe('tester present', () => {
  test('goes to all every 2 s, also while a request is under way', async () => {
    client.keepAlive('all-ecus');
    client.keepAlive('all-ecus');
    script = () => [
      [100, '7f3178'],
      [4900, '7101ff00'],
    ];
    await ask('3101ff00');
    await clock.advance(1500);
    expect(heardByAll.map(({ text }) => text)).toEqual(['3e80', '3e80', '3e80']);
    expect(heardByAll.map(({ atMs }) => Math.round(atMs / 100) * 100)).toEqual([2000, 4000, 6000]);
    client.keepAlive('off');
    await clock.advance(10_000);
    expect(heardByAll.length).toBe(3);
    expect(clock.pending()).toEqual([]);
  });

  test('to the one ECU only when no request does the same', async () => {
    start();
    client = new UdsClient({ connection: physical.a, clock, timing });
    client.keepAlive('all-ecus');
    script = (request) => (request === '3e80' ? [] : [[3000, '62f19001']]);
    await ask('22f190', {});
    expect(heard).toEqual(['22f190']);
    script = (request) => (request === '3e80' ? [] : [[1, '62f19001']]);
    for (let round = 0; round < 5; round++) {
      await clock.advance(1500);
      await ask('22f190');
    }
    expect(heard.filter((text) => text === '3e80')).toEqual([]);
    await clock.advance(4100);
    expect(heard.filter((text) => text === '3e80').length).toBe(2);
  });

  test('to this ECU goes to it alone, where nothing else was asked for 2 s', async () => {
    client.keepAlive('this-ecu');
    script = (request) => (request === '3e80' ? [] : [[3000, '62f19001']]);
    await ask('22f190', {});
    expect([heard, heardByAll]).toEqual([['22f190'], []]);
    await clock.advance(1999);
    expect(heard).toEqual(['22f190']);
    await clock.advance(2);
    expect([heard, heardByAll]).toEqual([['22f190', '3e80'], []]);
    client.keepAlive('all-ecus');
    await clock.advance(2001);
    expect([heard.length, heardByAll.length]).toEqual([2, 1]);
    client.keepAlive('off');
    await clock.advance(10_000);
    expect([heard.length, heardByAll.length]).toEqual([2, 1]);
  });

  test('a refusal of it is not taken for the answer to the next request', async () => {
    start();
    client = new UdsClient({ connection: physical.a, clock, timing });
    client.keepAlive('all-ecus');
    script = (request) => (request === '3e80' ? [[20, '7f3e7f']] : []);
    await clock.advance(2005);
    expect(line(await ask('22f190'))).toBe('silent P2');
  });
});

test('client and server keep a session together for a minute', async () => {
  const server = new UdsServer({ physical: physical.b, functional: functional.b, clock });
  expect(line(await ask('1003', {}, 100))).toBe('5003003201f4');
  client.keepAlive('all-ecus');
  await clock.advance(60_000);
  expect(server.session).toBe(3);
  client.keepAlive('off');
  await clock.advance(7100);
  expect(server.session).toBe(1);
});
