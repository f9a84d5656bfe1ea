// The rules that all HTTP clients share: what is repeated and when, how much of an answer is read, and what a refusal says.

import { describe, expect, it } from 'vitest';
import type { BackendFailure } from '../../src/core/backend-failure.ts';
import { problemText, readProblem } from '../../src/link/foreign-answer.ts';
import { LimitedBytes, readUpTo } from '../../src/link/limited-answer.ts';
import { readRetryAfter, retrying } from '../../src/link/retry.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

const HOUR_MS = 3_600_000;

describe('Retry-After', () => {
  const nowMs = Date.parse('2026-01-01T00:00:00Z');

  it.each<[string | readonly string[] | null | undefined, number | undefined]>([
    ['0', 0],
    ['7', 7000],
    [['7', '9'], 7000],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    // Ten years.
    ['315360000', HOUR_MS],
    ['Thu, 01 Jan 2036 00:00:00 GMT', HOUR_MS],
    ['soon', undefined],
    ['-1x', undefined],
    [null, undefined],
    [undefined, undefined],
  ])('%j is %s ms', (value, expected) => {
    expect(readRetryAfter(value, nowMs)).toBe(expected);
  });
});

describe('a client without random', () => {
  const busy = (retryAfterMs: number): BackendFailure => ({
    ...{ kind: 'failed', code: 'RATE_LIMITED', reason: 'busy', transient: true, atOnce: true },
    retryAfterMs,
  });

  it('waits as long as the server asks and no longer, three times at most', async () => {
    const clock = new VirtualClock();
    const atMs: number[] = [];
    const asked = retrying(
      async () => {
        atMs.push(clock.nowMs());
        return busy(2000);
      },
      { clock, signal: new AbortController().signal },
    );
    expect(await clock.within(60_000, asked)).toMatchObject({ code: 'RATE_LIMITED' });
    expect(atMs.map((each) => each - atMs[0]!)).toEqual([0, 2000, 4000, 6000]);
  });

  it('does not wait for more than a minute', async () => {
    const clock = new VirtualClock();
    let asked = 0;
    const outcome = retrying(async () => busy(60_001 + 0 * ++asked), {
      ...{ clock, signal: new AbortController().signal },
    });
    expect(await clock.within(1000, outcome)).toMatchObject({ kind: 'failed' });
    expect(asked).toBe(1);
  });
});

describe('an answer', () => {
  const pieces = (...sizes: number[]) => {
    let read = 0;
    return {
      next: async () => {
        const size = sizes[read++];
        return size === undefined ? undefined : new Uint8Array(size);
      },
      count: () => read,
    };
  };

  it.each([
    ['whole', [4, 6]],
    ['whole', []],
    ['long', [4, 7]],
    ['long', [11, 1, 1, 1]],
  ] as const)('of at most 10 bytes is %s: %j', async (kind, sizes) => {
    const source = pieces(...sizes);
    const { kind: found, bytes } = await readUpTo(10, source.next);
    expect(found).toBe(kind);
    expect(bytes.length).toBe(
      Math.min(
        10,
        sizes.reduce<number>((sum, size) => sum + size, 0),
      ),
    );
    if (kind === 'long') expect(source.count()).toBe(sizes[0] === 11 ? 1 : 2);
  });

  it('that breaks leaves what came of it', async () => {
    const into = new LimitedBytes(10);
    let read = 0;
    const broken = readUpTo(
      10,
      async () => {
        if (read++ > 0) throw new Error('cut');
        return Uint8Array.of(1, 2);
      },
      into,
    );
    await expect(broken).rejects.toThrow('cut');
    expect([...into.bytes]).toEqual([1, 2]);
  });
});

describe('a refusal', () => {
  const ours = {
    type: 'about:blank',
    title: 'Conflict',
    status: 409,
    detail: 'no\u0007pe',
    code: 'CSRF',
  };
  const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

  it('of ours is read whole, without control characters', () => {
    const read = readProblem(409, bytes(ours));
    expect(read).toEqual({ code: 'CSRF', detail: 'no pe', foreign: undefined });
    expect(problemText(read)).toBe('CSRF: no pe');
  });

  it.each([
    ['for another status', bytes({ ...ours, status: 404 }), 'CSRF', /another status/],
    ['inside of a sealed message', bytes({ code: 'ROLE', detail: 'x' }), 'ROLE', /another form/],
    ['of another server', bytes({ title: 'Gone' }), '', /another form/],
    ['that is no JSON', Uint8Array.of(0xff), '', /another form/],
  ] as const)('%s', (_name, body, code, foreign) => {
    const read = readProblem(409, body);
    expect(read.code).toBe(code);
    expect(read.foreign).toMatch(foreign);
  });
});
