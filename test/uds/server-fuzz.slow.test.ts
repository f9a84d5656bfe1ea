// A fixed budget of random and mutated requests against a server with all built-in handlers.

import { expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import type { Random } from '../../src/core/random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { matchResponse } from '../../src/uds/match.ts';
import { Nrc } from '../../src/uds/nrc.ts';
import { SecurityAccess } from '../../src/uds/security.ts';
import { UdsServer } from '../../src/uds/server.ts';
import type { Reply } from '../../src/uds/server-types.ts';
import { connectionPair } from '../support/connection-pair.ts';

const REQUESTS = 20_000;
/** Virtual time between two requests, longer than any handler and all its responsePending. */
const GAP_MS = 80;

const SEEDS = [
  '1001',
  '1002',
  '1003',
  '1083',
  '1101',
  '14ffffff',
  '1902ff',
  '22f190',
  '22f190f195',
  '2701',
  '270211111111',
  '2703',
  '280301',
  '288001',
  '2900',
  '2ef15a0102',
  '3101ff00',
  '3103ff00',
  '34004408000000000010000',
  '3500440800000000001000',
  '3601aabb',
  '37',
  '380100016100011010',
  '3e00',
  '3e80',
  '8501',
  '8582',
  '7f2278',
  '62f190',
].map((text) => fromHex(text.length % 2 === 0 ? text : `${text}0`));

/** xorshift32: the same run every time. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function mutated(next: (below: number) => number): Uint8Array {
  if (next(5) === 0) return Uint8Array.from({ length: next(12) }, () => next(256));
  const bytes = Array.from(SEEDS[next(SEEDS.length)]!);
  for (let count = next(3); count > 0; count--) {
    const at = next(bytes.length + 1);
    const kind = next(3);
    if (kind === 0) bytes[Math.min(at, bytes.length - 1)] = next(256);
    else if (kind === 1) bytes.splice(at, 0, next(256));
    else bytes.splice(at, 1);
  }
  return Uint8Array.from(bytes);
}

test(`${REQUESTS} requests: at most one final answer each, of the right service, timers bounded`, async () => {
  const next = generator(0x14229);
  const clock = new VirtualClock();
  const physical = connectionPair({ clock });
  const functional = connectionPair({ clock });
  const random: Random = {
    bytes: (length) => Uint8Array.from({ length }, () => next(256)),
    fraction: () => next(1000) / 1000,
  };
  const security = new SecurityAccess(
    { random, levels: [1], seedLength: 4, checkKey: () => next(2) === 0, delayMs: 500 },
    clock.nowMs(),
  );
  const failures: string[] = [];
  /** Answers at once, late, not at all well: whatever a handler may do. */
  const anyHandler = (request: Uint8Array): Reply | Promise<Reply> => {
    const positive = Uint8Array.of(request[0]! + 0x40, ...request.subarray(1, 4));
    switch (next(4)) {
      case 0:
        throw new Error('a mistake of the handler');
      case 1:
        return new Promise((resolve) => {
          clock.after('handler', next(60), () => resolve({ positive }));
        });
      case 2:
        return { nrc: Nrc.conditionsNotCorrect };
      default:
        return { positive };
    }
  };
  const server = new UdsServer({
    physical: physical.b,
    functional: functional.b,
    clock,
    security,
    handlers: {
      34: { minLength: 3, handle: anyHandler },
      49: { minLength: 4, subFunctions: { 1: {}, 3: {} }, sessions: [2, 3], handle: anyHandler },
      54: { minLength: 2, security: 1, handle: anyHandler },
    },
  });
  let answers: Uint8Array[] = [];
  physical.a.listen({ onMessage: (message) => answers.push(message) });

  let answered = 0;
  let mostTimers = 0;
  for (let count = 0; count < REQUESTS; count++) {
    const request = mutated(next);
    answers = [];
    (next(4) === 0 ? functional : physical).a.send(request);
    await clock.advance(GAP_MS);
    const finals = answers.filter((bytes) => !(bytes[0] === 0x7f && bytes[2] === 0x78));
    if (finals.length > 1) failures.push(`${toHex(request)}: ${finals.map(toHex).join(' ')}`);
    for (const bytes of answers) {
      const sid = request.length === 0 ? 0 : request[0]!;
      const own = matchResponse(Uint8Array.of(sid), bytes).kind;
      if (own === 'foreign' || own === 'malformed') {
        failures.push(`${toHex(request)} answered by ${toHex(bytes)}`);
      }
    }
    answered += finals.length;
    mostTimers = Math.max(mostTimers, clock.pending().length);
  }
  expect(failures).toEqual([]);
  expect(server.busy).toBe(false);
  // S3 or P2, and the leftovers of one exchange: nothing that grows with the number of requests.
  expect(mostTimers).toBeLessThan(5);
  expect(answered).toBeGreaterThan(REQUESTS / 3);
  await clock.advance(5100);
  expect(server.session).toBe(1);
  expect(clock.pending()).toEqual([]);
});

test('2,000 requests that do not wait for each other leave a server that works', async () => {
  const next = generator(0x5eed);
  const clock = new VirtualClock();
  const physical = connectionPair({ clock });
  const server = new UdsServer({ physical: physical.b, clock });
  let answers = 0;
  physical.a.listen({ onMessage: () => answers++ });
  for (let count = 0; count < 2000; count++) {
    physical.a.send(mutated(next));
    if (next(10) === 0) await clock.advance(next(3));
  }
  await clock.advance(10_000);
  expect(answers).toBeLessThanOrEqual(2000);
  expect(server.busy).toBe(false);
  answers = 0;
  physical.a.send(fromHex('3e00'));
  await clock.advance(10);
  expect(answers).toBe(1);
});
