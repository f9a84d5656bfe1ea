// The UDS server under virtual time: sessions, P2, P2*, S3, suppression, functional requests, busy.

import { beforeEach, describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import type { Logger } from '../../src/core/logger.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { Nrc } from '../../src/uds/nrc.ts';
import { UdsServer, type UdsServerOptions } from '../../src/uds/server.ts';
import type { Reply, ServiceHandler } from '../../src/uds/server-types.ts';
import { type ConnectionPair, connectionPair, type Fate } from '../support/connection-pair.ts';

let clock: VirtualClock;
let physical: ConnectionPair;
let functional: ConnectionPair;
let server: UdsServer;
let answers: { text: string; atMs: number }[];
let sessions: string[];
let errors: string[];
let fate: (message: Uint8Array, from: 'a' | 'b') => Fate;

/** Settles `ms` after it was asked, with the given answer. */
function slow(ms: number, positive: string): ServiceHandler['handle'] {
  return () =>
    new Promise<Reply>((resolve) => {
      clock.after('handler', ms, () => resolve({ positive: fromHex(positive) }));
    });
}

const logger: Logger = {
  ...silentLogger,
  error: (fields, message) => {
    errors.push(`${message} ${JSON.stringify(fields)}`);
  },
};

function start(options: Partial<UdsServerOptions> = {}): void {
  clock = new VirtualClock();
  answers = [];
  sessions = [];
  errors = [];
  fate = () => ({ kind: 'pass' });
  physical = connectionPair({ clock, fate: (message, from) => fate(message, from) });
  functional = connectionPair({ clock });
  server = new UdsServer({
    physical: physical.b,
    functional: functional.b,
    clock,
    logger,
    onSession: (from, to, reason) => sessions.push(`${from}>${to} ${reason}`),
    ...options,
  });
  physical.a.listen({
    onMessage: (message, atMs) => answers.push({ text: toHex(message), atMs }),
  });
}

beforeEach(() => start());

/** Sends a request and gives everything that comes back within `ms`. */
async function ask(request: string, ms = 100): Promise<string[]> {
  const before = answers.length;
  physical.a.send(fromHex(request));
  await clock.advance(ms);
  return answers.slice(before).map(({ text }) => text);
}

async function askAll(request: string, ms = 100): Promise<string[]> {
  const before = answers.length;
  functional.a.send(fromHex(request));
  await clock.advance(ms);
  return answers.slice(before).map(({ text }) => text);
}

describe('sessions', () => {
  test('10 tells P2 and P2* and changes the session after its answer', async () => {
    expect(await ask('1003')).toEqual(['5003003201f4']);
    expect(server.session).toBe(3);
    expect(sessions).toEqual(['1>3 request']);
  });

  test('S3: without a request the default session returns after 5 s', async () => {
    await ask('1003', 0);
    await clock.advance(4990);
    expect(server.session).toBe(3);
    await clock.advance(20);
    expect(server.session).toBe(1);
    expect(sessions.at(-1)).toBe('3>1 S3');
    expect(clock.pending()).toEqual([]);
  });

  test('any request restarts S3, refused ones and functional tester present included', async () => {
    await ask('1003');
    for (let round = 0; round < 4; round++) {
      await askAll('3e80', 4900);
      await ask('ba', 4900);
    }
    expect(server.session).toBe(3);
  });

  test('S3 stands still while a long request is on its way', async () => {
    await ask('1003');
    // 1000 bytes at 10 ms each: 10 s.
    const line = connectionPair({ clock, msPerByte: 10 });
    server.close();
    server = new UdsServer({ physical: line.b, clock });
    line.a.send(fromHex('1003'));
    await clock.advance(1000);
    line.a.send(new Uint8Array(1000).fill(0x36));
    await clock.advance(9990);
    expect(server.session).toBe(3);
  });

  test('a request that breaks off restarts S3', async () => {
    await ask('1003');
    fate = (_message, from) =>
      from === 'a' ? { kind: 'interrupt', result: 'N_TIMEOUT_Cr' } : { kind: 'pass' };
    await ask('2ef15a00112233445566', 4900);
    expect(server.session).toBe(3);
    await clock.advance(200);
    expect(server.session).toBe(1);
  });

  test('an unknown session is 0x12, one that may not be entered has its NRC', async () => {
    start({
      mayEnterSession: (session) => (session === 2 ? Nrc.conditionsNotCorrect : undefined),
    });
    expect(await ask('1004')).toEqual(['7f1012']);
    expect(await ask('1002')).toEqual(['7f1022']);
    expect(server.session).toBe(1);
  });

  test('reset forgets everything', async () => {
    await ask('1003');
    await ask('8502');
    server.reset();
    expect([server.session, server.dtcSetting]).toEqual([1, true]);
    expect(sessions.at(-1)).toBe('3>1 reset');
    expect(await ask('3e00')).toEqual(['7e00']);
  });
});

describe('built-in 28 and 85', () => {
  test('are not in the default session', async () => {
    expect(await ask('280301')).toEqual(['7f287f']);
    expect(await ask('8502')).toEqual(['7f857f']);
  });

  test('28 switches the kinds of messages that it names', async () => {
    await ask('1003');
    expect(await ask('280301')).toEqual(['6803']);
    expect(server.communication).toEqual({
      normal: { receive: false, transmit: false },
      networkManagement: { receive: true, transmit: true },
    });
    expect(await ask('280102')).toEqual(['6801']);
    expect(server.communication.networkManagement).toEqual({ receive: true, transmit: false });
    expect(await ask('280003')).toEqual(['6800']);
    expect(server.communication.normal).toEqual({ receive: true, transmit: true });
  });

  test('28 with a reserved kind is 0x31, with a node number 0x12', async () => {
    await ask('1003');
    expect(await ask('280300')).toEqual(['7f2831']);
    expect(await ask('280311')).toEqual(['7f2831']);
    expect(await ask('28040100aa')).toEqual(['7f2812']);
    expect(await ask('28030100')).toEqual(['7f2813']);
  });

  test('85 off lasts until the default session returns', async () => {
    await ask('1003');
    expect(await ask('8502')).toEqual(['c502']);
    expect(server.dtcSetting).toBe(false);
    await ask('1002');
    expect(server.dtcSetting).toBe(false);
    await clock.advance(5100);
    expect(server.dtcSetting).toBe(true);
  });
});

describe('order of the checks', () => {
  const handle = (): Reply => ({ positive: fromHex('71010000') });

  test.each([
    ['22f190', '7f2211', 'service unknown, before anything else'],
    ['31', '7f317f', 'wrong session, before the length'],
  ])('%s gives %s: %s', async (request, answer) => {
    start({ handlers: { 49: { sessions: [3], minLength: 4, subFunctions: { 1: {} }, handle } } });
    expect(await ask(request)).toEqual([answer]);
  });

  test.each([
    ['3101', '7f3113', 'length, before the sub-function'],
    ['31020000', '7f3112', 'sub-function unknown'],
    ['31030000', '7f317e', 'sub-function not in this session'],
    ['31040000', '7f3133', 'sub-function locked'],
    ['31050000', '7f3113', 'length of this sub-function'],
    ['31010000', '71010000', 'nothing in the way'],
  ])('%s gives %s: %s', async (request, answer) => {
    const subFunctions = {
      1: {},
      3: { sessions: [2] },
      4: { security: 1 },
      5: { minLength: 5 },
    };
    start({ handlers: { 49: { minLength: 4, subFunctions, handle } } });
    expect(await ask(request)).toEqual([answer]);
  });

  test('a locked service is 0x33', async () => {
    start({ handlers: { 54: { security: 1, minLength: 2, handle } } });
    expect(await ask('3601')).toEqual(['7f3633']);
  });
});

describe('what is not answered', () => {
  test('a positive response that bit 7 suppresses; a negative one is sent', async () => {
    expect(await ask('3e80')).toEqual([]);
    expect(await ask('1083')).toEqual([]);
    expect(server.session).toBe(3);
    expect(await ask('1084')).toEqual(['7f1012']);
  });

  test('functional requests: no 11, 12, 31, 7E, 7F', async () => {
    start({
      handlers: {
        34: { minLength: 3, handle: () => ({ nrc: Nrc.requestOutOfRange }) },
        46: { minLength: 4, handle: () => ({ nrc: Nrc.conditionsNotCorrect }) },
      },
    });
    expect(await askAll('ba00')).toEqual([]);
    expect(await askAll('1004')).toEqual([]);
    expect(await askAll('22f190')).toEqual([]);
    expect(await askAll('8502')).toEqual([]);
    expect(await askAll('2ef19000')).toEqual(['7f2e22']);
    expect(await askAll('22')).toEqual(['7f2213']);
    expect(await askAll('3e00')).toEqual(['7e00']);
  });

  test('functional requests to a service that has none', async () => {
    start({
      handlers: {
        54: { minLength: 1, functional: false, handle: () => ({ positive: fromHex('76') }) },
      },
    });
    expect(await askAll('36')).toEqual([]);
    expect(await ask('36')).toEqual(['76']);
  });

  test('responses of others and empty messages', async () => {
    for (const text of ['7f2211', '62f190', '50', 'c502', '']) expect(await ask(text)).toEqual([]);
  });
});

describe('response pending', () => {
  test('the first 0x78 comes within P2, the next within P2*, then the answer', async () => {
    start({ handlers: { 49: { minLength: 4, handle: slow(12_000, '7101ff00') } } });
    expect(await ask('3101ff00', 20_000)).toEqual([
      '7f3178',
      '7f3178',
      '7f3178',
      '7f3178',
      '7101ff00',
    ]);
    const times = answers.map(({ atMs }) => atMs);
    expect(times[0]).toBeLessThan(50);
    for (let index = 1; index < times.length; index++) {
      expect(times[index]! - times[index - 1]!).toBeLessThan(5000);
    }
  });

  test('a handler that settles within P2 needs none', async () => {
    start({ handlers: { 49: { minLength: 4, handle: slow(20, '7101ff00') } } });
    expect(await ask('3101ff00')).toEqual(['7101ff00']);
  });

  test('after 0x78 the answer comes even when it was suppressed', async () => {
    start({ handlers: { 49: { minLength: 4, handle: slow(100, '7101ff00') } } });
    expect(await ask('3181ff00', 200)).toEqual(['7f3178', '7101ff00']);
  });

  test('after 0x78 a functional request gets its 0x31, too', async () => {
    const handle = (): Promise<Reply> =>
      new Promise((resolve) => {
        clock.after('handler', 100, () => resolve({ nrc: Nrc.requestOutOfRange }));
      });
    start({ handlers: { 34: { minLength: 3, handle } } });
    expect(await askAll('22f190', 200)).toEqual(['7f2278', '7f2231']);
  });

  test('S3 stands still meanwhile', async () => {
    start({ handlers: { 49: { minLength: 4, handle: slow(20_000, '7101ff00') } } });
    await ask('1003');
    await ask('3101ff00', 20_000);
    expect(server.session).toBe(3);
    await clock.advance(5100);
    expect(server.session).toBe(1);
  });

  test('others are busy meanwhile, the silent tester present is welcome', async () => {
    start({ handlers: { 49: { minLength: 4, handle: slow(1000, '7101ff00') } } });
    await ask('3101ff00');
    expect(await ask('22f190')).toEqual(['7f2221']);
    expect(await askAll('3e80')).toEqual([]);
    expect(await ask('3e80')).toEqual([]);
    expect(await ask('3e00', 2000)).toEqual(['7f3e21', '7101ff00']);
  });

  test('a handler that never ends is answered for, and stays busy', async () => {
    start({
      timing: { pendingLimitMs: 10_000 },
      handlers: { 49: { minLength: 4, handle: slow(30_000, '7101ff00') } },
    });
    await ask('1003');
    const got = await ask('3101ff00', 20_000);
    expect(got.at(-1)).toBe('7f3110');
    expect(errors[0]).toContain('handler is busy for more than 10000 ms');
    expect(server.session).toBe(1);
    expect(await ask('3e00')).toEqual(['7f3e21']);
    await clock.advance(20_000);
    expect(await ask('3e00')).toEqual(['7e00']);
  });

  test('a reset drops what a handler answers later', async () => {
    start({ handlers: { 49: { minLength: 4, handle: slow(20, '7101ff00') } } });
    physical.a.send(fromHex('3101ff00'));
    await clock.advance(5);
    server.reset();
    expect(await ask('3e00')).toEqual(['7e00']);
  });
});

describe('mistakes of a handler', () => {
  const throwing: ServiceHandler = {
    minLength: 1,
    handle: () => {
      throw new Error('disk on fire');
    },
  };

  test('a throw is 0x10, in programming services 0x72, and is logged', async () => {
    start({ handlers: { 34: throwing, 54: throwing } });
    expect(await ask('22')).toEqual(['7f2210']);
    expect(await ask('36')).toEqual(['7f3672']);
    expect(errors[1]).toContain('disk on fire');
    expect(await ask('3e00')).toEqual(['7e00']);
  });

  test('so is a rejected promise', async () => {
    start({ handlers: { 54: { minLength: 1, handle: () => Promise.reject(new Error('x')) } } });
    expect(await ask('36')).toEqual(['7f3672']);
  });

  test('an answer of another service does not reach the bus', async () => {
    start({ handlers: { 34: { minLength: 1, handle: () => ({ positive: fromHex('6e00') }) } } });
    expect(await ask('22')).toEqual(['7f2210']);
    expect(errors[0]).toContain('to another service');
  });

  test('no answer at all is 0x10', async () => {
    const handle = (): Reply => undefined as unknown as Reply;
    start({ handlers: { 34: { minLength: 1, handle } } });
    expect(await ask('22')).toEqual(['7f2210']);
  });

  test('an answer that the transport cannot carry is 0x14', async () => {
    const positive = new Uint8Array(5000).fill(0x62);
    start({ handlers: { 34: { minLength: 1, handle: () => ({ positive }) } } });
    expect(await ask('22')).toEqual(['7f2214']);
  });
});

describe('after the answer', () => {
  test('afterSent runs when the answer has left, not before', async () => {
    const seen: number[] = [];
    start({
      handlers: {
        17: {
          minLength: 2,
          handle: () => ({
            positive: fromHex('5101'),
            afterSent: () => seen.push(answers.length, clock.nowMs()),
          }),
        },
      },
    });
    const line = physical;
    line.a.send(fromHex('1101'));
    await clock.advance(10);
    const [, leftMs] = line.sent.map(({ atMs }) => atMs);
    expect(seen).toEqual([0, leftMs]);
  });

  test('and when the answer is not wanted or was lost', async () => {
    let runs = 0;
    const handle = (): Reply => ({ positive: fromHex('5101'), afterSent: () => runs++ });
    start({ handlers: { 17: { minLength: 2, handle } } });
    await ask('1181');
    expect(runs).toBe(1);
    fate = (_message, from) =>
      from === 'b' ? { kind: 'fail', result: 'N_TIMEOUT_A' } : { kind: 'pass' };
    await ask('1101');
    expect(runs).toBe(2);
  });

  test('a request that overtakes the confirmation finds the new session', async () => {
    start({
      handlers: {
        34: {
          minLength: 3,
          sessions: [3],
          handle: () => ({ positive: fromHex('62f18603') }),
        },
      },
    });
    fate = (message, from) =>
      from === 'b' && message[0] === 0x50
        ? { kind: 'late-confirmation', lateMs: 5 }
        : { kind: 'pass' };
    physical.a.send(fromHex('1003'));
    await clock.advance(1);
    physical.a.send(fromHex('22f186'));
    await clock.advance(1);
    expect(answers.map(({ text }) => text)).toEqual(['5003003201f4']);
    await clock.advance(10);
    expect(answers.map(({ text }) => text)).toEqual(['5003003201f4', '62f18603']);
  });

  test('several requests that overtake the confirmation are all answered, in their order', async () => {
    fate = (message, from) =>
      from === 'b' && message[0] === 0x50
        ? { kind: 'late-confirmation', lateMs: 20 }
        : { kind: 'pass' };
    for (const request of ['1003', '3e00', '1001', '3e00']) {
      physical.a.send(fromHex(request));
      await clock.advance(2);
    }
    expect(answers.map(({ text }) => text)).toEqual(['5003003201f4']);
    await clock.advance(50);
    expect(answers.map(({ text }) => text)).toEqual([
      '5003003201f4',
      '7e00',
      '5001003201f4',
      '7e00',
    ]);
    expect(await ask('3e00')).toEqual(['7e00']);
  });

  test('a throw in afterSent is logged and harms nothing', async () => {
    const handle = (): Reply => ({
      positive: fromHex('5101'),
      afterSent: () => {
        throw new Error('oops');
      },
    });
    start({ handlers: { 17: { minLength: 2, handle } } });
    await ask('1101');
    expect(errors[0]).toContain('afterSent failed');
    expect(await ask('3e00')).toEqual(['7e00']);
  });
});

test('handlers see the request without bit 7, and their context', async () => {
  const seen: unknown[] = [];
  start({
    handlers: {
      49: {
        minLength: 4,
        handle: (request, context) => {
          seen.push(toHex(request), context);
          return { nrc: Nrc.conditionsNotCorrect };
        },
      },
    },
  });
  await ask('3181ff00');
  expect(seen).toEqual([
    '3101ff00',
    { session: 1, securityLevel: 0, functional: false, nowMs: expect.any(Number) },
  ]);
});

test('a closed server is silent and leaves no timer', async () => {
  await ask('1003');
  server.close();
  expect(await ask('3e00')).toEqual([]);
  expect(clock.pending()).toEqual([]);
});
