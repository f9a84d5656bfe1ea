// The times that a server keeps when nobody tells it others, ISO 14229-2 table 4.

import { expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import type { Clock } from '../../src/core/clock.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { UdsServer } from '../../src/uds/server.ts';
import { DEFAULT_SERVER_TIMING, type Reply } from '../../src/uds/server-types.ts';
import { connectionPair } from '../support/connection-pair.ts';

test('the defaults', () => {
  expect(DEFAULT_SERVER_TIMING).toEqual({
    p2Ms: 50,
    p2StarMs: 5000,
    s3Ms: 5000,
    pendingLimitMs: 600_000,
  });
});

test('a handler that never ends is answered for at its limit, and counted on the way', async () => {
  const clock = new VirtualClock();
  const { a, b, sent } = connectionPair({ clock, msPerByte: 0 });
  a.listen({ onMessage: () => {} });
  const timing = { p2Ms: 50, p2StarMs: 1000, pendingLimitMs: 3000 };
  new UdsServer({
    ...{ physical: b, clock, timing },
    handlers: { 49: { minLength: 1, handle: () => new Promise<Reply>(() => {}) } },
  });
  a.send(fromHex('3101ff00'));
  await clock.advance(10_000);
  const answers = sent.filter(({ from }) => from === 'b');
  expect(answers.map(({ message }) => toHex(message)).at(-1)).toBe('7f3110');
  expect(answers.slice(0, -1).every(({ message }) => toHex(message) === '7f3178')).toBe(true);
  const times = answers.map(({ atMs }) => atMs);
  expect(times[0]).toBeLessThanOrEqual(50);
  for (const [index, atMs] of times.entries()) {
    if (index > 0) expect(atMs - times[index - 1]!).toBeLessThanOrEqual(1000);
  }
  expect(times.at(-1)).toBeGreaterThanOrEqual(3000);
  expect(times.at(-1)).toBeLessThan(4000);
});

test.each([
  [5, 5005],
  [6, 5056], // 50 ms for requests that may have arrived meanwhile
])('an S3 timer that fires %i ms late ends the session at %i ms', async (lateMs, endMs) => {
  const clock = new VirtualClock();
  let blockedMs = lateMs;
  const late: Clock = {
    nowMs: () => clock.nowMs(),
    wallMs: () => clock.wallMs(),
    after: (name, delayMs, fire) => {
      if (name !== 'S3server') return clock.after(name, delayMs, fire);
      const timer = clock.after(name, delayMs + blockedMs, fire);
      blockedMs = 0;
      return timer;
    },
  };
  const { a, b } = connectionPair({ clock, msPerByte: 0 });
  a.listen({ onMessage: () => {} });
  const sessions: string[] = [];
  new UdsServer({
    ...{ physical: b, clock: late },
    onSession: (from, to, reason) => sessions.push(`${clock.nowMs()} ${from}>${to} ${reason}`),
  });
  a.send(fromHex('1003'));
  await clock.advance(10_000);
  expect(sessions).toEqual(['0 1>3 request', `${endMs} 3>1 S3`]);
});

test('responsePending leaves before costly work begins, however long it holds the process', async () => {
  const clock = new VirtualClock();
  const { a, b, sent } = connectionPair({ clock, msPerByte: 0 });
  a.listen({ onMessage: () => {} });
  const begun: number[] = [];
  new UdsServer({
    ...{ physical: b, clock },
    handlers: {
      49: {
        minLength: 2,
        subFunctions: { 1: {} },
        isCostly: () => true,
        handle: () => {
          begun.push(sent.filter(({ from }) => from === 'b').length);
          return { positive: fromHex('7101') };
        },
      },
    },
  });
  const answersTo = async (request: string): Promise<string[]> => {
    const before = sent.length;
    a.send(fromHex(request));
    await clock.advance(100);
    const answers = sent.slice(before).filter(({ from }) => from === 'b');
    return answers.map(({ message }) => toHex(message));
  };
  expect(await answersTo('3101')).toEqual(['7f3178', '7101']);
  expect(begun).toEqual([1]);
  // A request that is refused costs nothing, and a suppressed answer is not announced.
  expect(await answersTo('3102')).toEqual(['7f3112']);
  expect(await answersTo('3181')).toEqual([]);
});

test('a process that was late sends responsePending as soon as the handler waits', async () => {
  const clock = new VirtualClock();
  // Timers of a process that is not scheduled fire 200 ms late.
  const late: Clock = {
    nowMs: () => clock.nowMs(),
    wallMs: () => clock.wallMs(),
    after: (name, delayMs, fire) => clock.after(name, delayMs + 200, fire),
  };
  const { a, b, sent } = connectionPair({ clock, msPerByte: 0 });
  a.listen({ onMessage: () => {} });
  const physical = {
    send: b.send.bind(b),
    close: () => b.close(),
    listen: (listener: Parameters<typeof b.listen>[0]) =>
      b.listen({
        ...listener,
        // The last frame was on the bus 35 ms ago.
        onMessage: (message, atMs) => listener.onMessage(message, atMs - 35),
      }),
  };
  new UdsServer({
    ...{ physical, clock: late },
    handlers: {
      49: { minLength: 1, handle: () => new Promise<Reply>(() => {}) },
    },
  });
  await clock.advance(100);
  a.send(fromHex('3101'));
  await clock.advance(1);
  const answers = sent.filter(({ from }) => from === 'b').map(({ message }) => toHex(message));
  expect(answers).toEqual(['7f3178']);
});
