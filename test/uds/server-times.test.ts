// The times that a server keeps when nobody tells it others, ISO 14229-2 table 4.

import { expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
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
