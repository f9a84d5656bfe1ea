// How long the UDS client waits when messages begin, break off or answer somebody else, under virtual time.

import { beforeEach, describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { UdsClient } from '../../src/uds/client.ts';
import type { UdsReply } from '../../src/uds/reply.ts';
import { type ConnectionPair, connectionPair, type Fate } from '../support/connection-pair.ts';

const timing = { p2Ms: 150, p2StarMs: 5000, pendingLimitMs: 20_000 };
const MS_PER_BYTE = 0.03;

let clock: VirtualClock;
let pair: ConnectionPair;
let client: UdsClient;
let answers: readonly (readonly [delayMs: number, bytes: string])[];
let fate: (message: Uint8Array, from: 'a' | 'b') => Fate;

beforeEach(() => {
  clock = new VirtualClock();
  answers = [];
  fate = () => ({ kind: 'pass' });
  pair = connectionPair({ clock, msPerByte: MS_PER_BYTE, fate: (...given) => fate(...given) });
  pair.b.listen({
    onMessage: () => {
      for (const [delayMs, bytes] of answers) {
        clock.after('ecu', delayMs, () => pair.b.send(fromHex(bytes)));
      }
    },
  });
  client = new UdsClient({ connection: pair.a, clock, timing });
});

async function ask(request: string): Promise<UdsReply> {
  return clock.within(60_000, client.request(fromHex(request)));
}

/** When the last byte of a request was on the wire. */
const sentMs = (request: string): number => (request.length / 2) * MS_PER_BYTE;

test('a refusal says whether the request was pending before', async () => {
  answers = [
    [10, '7f2278'],
    [500, '7f2293'],
  ];
  expect(await ask('22f190')).toEqual({ kind: 'negative', sid: 0x22, nrc: 0x93, pended: true });
  answers = [[10, '7f2293']];
  expect(await ask('22f190')).toEqual({ kind: 'negative', sid: 0x22, nrc: 0x93 });
});

test('silence behind the last responsePending is told from one that is pending to the end', async () => {
  answers = [[10, '7f2278']];
  expect(await ask('22f190')).not.toHaveProperty('pending');
  answers = Array.from({ length: 20 }, (_, index) => [10 + index * 1100, '7f2278'] as const);
  expect(await ask('22f190')).toEqual({
    ...{ kind: 'silent', timer: 'P2*', pending: true },
    waitedMs: timing.pendingLimitMs,
  });
});

test('an answer to somebody else tells whether it came before the request was complete', async () => {
  const long = `3601${'00'.repeat(2000)}`;
  clock.after('ecu', 5, () => pair.b.send(fromHex('62f18601')));
  expect(await ask(long)).toMatchObject({ kind: 'unexpected', spoiled: true });
  await clock.advance(10_000);
  answers = [[5, '62f18601']];
  const behind = await ask(long);
  expect(behind.kind).toBe('unexpected');
  expect(behind).not.toHaveProperty('spoiled');
});

describe('an answer to somebody else that has begun', () => {
  const foreign = `62f18c${'55'.repeat(2000)}`;

  test('gives the own one its whole P2 again from its end, and no more', async () => {
    answers = [[100, foreign]];
    expect((await ask('22f190')).kind).toBe('unexpected');
    const endMs = sentMs('22f190') + 100 + 2003 * MS_PER_BYTE;
    expect(clock.nowMs()).toBeCloseTo(endMs + timing.p2Ms, 6);
  });

  test('is followed by the own one', async () => {
    answers = [
      [100, foreign],
      [300, '62f19001'],
    ];
    const reply = await ask('22f190');
    expect(reply.kind === 'positive' && toHex(reply.data)).toBe('62f19001');
  });

  test('that is over buys no more time by a short one behind it', async () => {
    answers = [
      [100, foreign],
      [200, '62f18c'],
    ];
    expect((await ask('22f190')).kind).toBe('unexpected');
    const endMs = sentMs('22f190') + 100 + 2003 * MS_PER_BYTE;
    expect(clock.nowMs()).toBeCloseTo(endMs + timing.p2Ms, 6);
  });

  test('short ones buy no time', async () => {
    answers = [[100, '62f18c']];
    expect((await ask('22f190')).kind).toBe('unexpected');
    expect(clock.nowMs()).toBeCloseTo(sentMs('22f190') + timing.p2Ms, 6);
  });
});

describe('an answer that has begun', () => {
  test('is not taken for suppressed when nothing of it comes any more', async () => {
    answers = [[10, `7e${'00'.repeat(100)}`]];
    // The first frame arrives and then nothing, not even the end of the reception.
    fate = (_message, from) =>
      from === 'b' ? { kind: 'interrupt', result: 'N_TIMEOUT_Cr' } : { kind: 'pass' };
    expect(await ask('3e80')).toMatchObject({ kind: 'transport', result: 'N_TIMEOUT_Cr' });
  });

  test('is waited for up to the limit of pending answers', async () => {
    answers = [[10, `62f190${'00'.repeat(100)}`]];
    pair.b.listen({
      onMessage: () => clock.after('ecu', 10, () => announce()),
    });
    const announce = (): void => {
      fate = (_message, from) =>
        from === 'b' ? { kind: 'interrupt', result: 'N_TIMEOUT_Cr' } : { kind: 'pass' };
      pair.b.send(new Uint8Array(4000));
    };
    expect(await ask('22f190')).toMatchObject({ kind: 'transport' });
    expect(clock.nowMs()).toBeCloseTo(sentMs('22f190') + 10 + 4000 * MS_PER_BYTE, 6);
  });
});

test('a client that is closed keeps no session and runs no timer', async () => {
  client.keepAlive('all-ecus');
  await clock.advance(1);
  expect(clock.pending()).toEqual([expect.stringContaining('S3')]);
  client.close();
  expect(clock.pending()).toEqual([]);
  const before = pair.sent.length;
  await clock.advance(60_000);
  expect(pair.sent).toHaveLength(before);
});

describe('pending', () => {
  test('starts P2* at each answer of that kind', async () => {
    answers = [
      [100, '7f2278'],
      [4000, '7f2278'],
      [8900, '62f19001'],
    ];
    expect((await ask('22f190')).kind).toBe('positive');
  });

  test('ends P2* after the last one', async () => {
    answers = [[100, '7f2278']];
    expect(await ask('22f190')).toMatchObject({ kind: 'silent', timer: 'P2*' });
    const pendingMs = sentMs('22f190') + 100 + 3 * MS_PER_BYTE;
    expect(clock.nowMs()).toBeCloseTo(pendingMs + timing.p2StarMs, 6);
  });
});
