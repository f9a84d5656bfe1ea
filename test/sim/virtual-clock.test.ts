// Virtual time for a whole world: order, promises between timers, holds, and what a strict run forbids.

import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { sleep } from '../../src/core/clock.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

const real = { setTimeout, setInterval, setImmediate, clearImmediate, abort: AbortSignal.timeout };
afterEach(() => {
  // Every run has restored the globals.
  expect(globalThis.setTimeout).toBe(real.setTimeout);
  expect(globalThis.setInterval).toBe(real.setInterval);
  expect(globalThis.setImmediate).toBe(real.setImmediate);
  expect(globalThis.clearImmediate).toBe(real.clearImmediate);
  expect(AbortSignal.timeout).toBe(real.abort);
});

/** Enough timers for a run to serve many of them in one turn of the event loop. */
function warmUp(clock: VirtualClock): void {
  for (let index = 0; index < 2000; index++) clock.after('warm-up', 0, () => {});
}

const forever = (): Promise<never> => new Promise(() => {});

describe('the order of timers', () => {
  it('is that of their due times, then of their creation, whatever is cancelled in between', async () => {
    const steps = fc.array(
      fc.record({
        delayMs: fc.constantFrom(0, 0, 1, 1, 2.5, 3, 7, 100, -1),
        cancel: fc.option(fc.nat(400), { nil: undefined }),
      }),
      { minLength: 1, maxLength: 400 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        const clock = new VirtualClock();
        const fired: number[] = [];
        const timers = list.map(({ delayMs }, index) =>
          clock.after(`t${index}`, delayMs, () => {
            expect(clock.nowMs()).toBe(Math.max(0, delayMs));
            fired.push(index);
          }),
        );
        const gone = new Set<number>();
        for (const { cancel } of list) {
          if (cancel === undefined || cancel >= timers.length) continue;
          timers[cancel]!.cancel();
          timers[cancel]!.cancel();
          gone.add(cancel);
        }
        const expected = list
          .map(({ delayMs }, index) => ({ dueMs: Math.max(0, delayMs), index }))
          .filter(({ index }) => !gone.has(index))
          .sort((a, b) => a.dueMs - b.dueMs || a.index - b.index)
          .map(({ index }) => index);
        expect(clock.pending()).toEqual(expected.map((index) => `t${index}`));
        expect(clock.pendingCount).toBe(expected.length);
        expect(clock.nextDueMs).toBe(
          expected[0] === undefined ? undefined : Math.max(0, list[expected[0]]!.delayMs),
        );
        await clock.run(sleep(clock, 'end', 1000), 1000);
        expect(fired).toEqual(expected);
        expect(clock.pendingCount).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('is not disturbed by masses of cancelled timers, which neither fire nor count', async () => {
    const clock = new VirtualClock();
    let gone = 0;
    const fired: number[] = [];
    for (let index = 0; index < 100_000; index++) {
      clock.after('time-out', 1e6 + index, () => gone++).cancel();
      if (index % 1000 === 0) clock.after('kept', 1e6 - index, () => fired.push(index));
    }
    expect(clock.pendingCount).toBe(100);
    expect(clock.nextDueMs).toBe(1e6 - 99_000);
    await clock.run(sleep(clock, 'end', 1e7), 1e7);
    expect(gone).toBe(0);
    expect(fired).toEqual(Array.from({ length: 100 }, (_, index) => 99_000 - 1000 * index));
  });

  it('refuses a delay that is not a number', () => {
    expect(() => new VirtualClock().after('P2', Number.NaN, () => {})).toThrow(
      /P2 is not a number/,
    );
  });
});

describe('run', () => {
  it('settles all promises between two timers, also of the same instant', async () => {
    const clock = new VirtualClock();
    const log: string[] = [];
    for (let index = 0; index < 1000; index++) {
      clock.after('t', index >> 1, async () => {
        log.push(`${index} fires`);
        await null;
        await new Promise<void>((resolve) => process.nextTick(resolve));
        log.push(`${index} settles`);
      });
    }
    await clock.run(sleep(clock, 'end', 2000), 2000);
    expect(log).toEqual(
      Array.from({ length: 1000 }, (_, index) => [`${index} fires`, `${index} settles`]).flat(),
    );
  });

  it('stops time at the very timer that settles the promise', async () => {
    const clock = new VirtualClock();
    let later = 0;
    const promise = sleep(clock, 'a', 10).then(() => sleep(clock, 'b', 10));
    for (let ms = 0; ms < 100; ms++) clock.after('tick', ms + 0.5, () => later++);
    expect(await clock.run(promise, 1000)).toBe('elapsed');
    expect(clock.nowMs()).toBe(20);
    expect(later).toBe(20);
  });

  it('hands on what the promise rejects with, and what a timer throws', async () => {
    const clock = new VirtualClock();
    const failing = sleep(clock, 'a', 1).then(() => Promise.reject(new Error('of the promise')));
    await expect(clock.run(failing, 10)).rejects.toThrow('of the promise');
    clock.after('bad', 1, () => {
      throw new Error('of the timer');
    });
    await expect(clock.run(forever(), 10)).rejects.toThrow('of the timer');
    expect(await clock.run(sleep(clock, 'again', 1), 10)).toBe('elapsed');
  });

  it('says what it waited for when the limit has come, or when nothing is left', async () => {
    const clock = new VirtualClock();
    clock.after('S3server', 5000, () => {});
    await expect(clock.run(forever(), 100, { strict: true })).rejects.toThrow(
      /nothing settled by 100 ms of virtual time: S3server is next, after the limit/,
    );
    await expect(clock.run(forever(), 10_000, { strict: true })).rejects.toThrow(
      /no timer is left that could change that/,
    );
    expect(clock.nowMs()).toBe(5000);
  });

  it('waits for real I/O when it is not strict', async () => {
    const clock = new VirtualClock();
    const text = readFile(import.meta.filename, 'utf8');
    expect(await clock.run(text, 10)).toMatch(/^\/\/ Virtual time/);
  });

  it('is one at a time', async () => {
    const clock = new VirtualClock();
    const first = clock.run(sleep(clock, 'a', 10), 100);
    await expect(clock.run(forever(), 1)).rejects.toThrow(/running already/);
    await first;
  });
});

describe('a hold', () => {
  for (const [how, wait] of [
    ['run', (clock: VirtualClock, promise: Promise<unknown>) => clock.run(promise, 1000)],
    ['within', (clock: VirtualClock, promise: Promise<unknown>) => clock.within(1000, promise)],
    ['advance', (clock: VirtualClock) => clock.advance(100)],
  ] as const) {
    it(`lets no time pass until the last one is released: ${how}`, async () => {
      const clock = new VirtualClock();
      const log: string[] = [];
      warmUp(clock);
      clock.after('request', 10, () => {
        const releases = [clock.hold('one'), clock.hold('other')];
        expect(clock.held()).toEqual(['one', 'other']);
        void (async () => {
          for (const release of releases) {
            for (let turn = 0; turn < 30; turn++) {
              await new Promise<void>((resolve) => real.setImmediate(resolve));
            }
            log.push(`released at ${clock.nowMs()}`);
            release();
            release();
          }
        })();
      });
      clock.after('later', 10, () => log.push(`later at ${clock.nowMs()}`));
      await wait(clock, sleep(clock, 'end', 50));
      expect(log).toEqual(['released at 10', 'released at 10', 'later at 10']);
      expect(clock.held()).toEqual([]);
    });
  }

  it('does not keep a run from ending that has what it waited for', async () => {
    const clock = new VirtualClock();
    const release = clock.hold('for ever');
    const soon = new Promise((resolve) => real.setTimeout(resolve, 5, 'there'));
    expect(await clock.run(soon, 10)).toBe('there');
    release();
  });
});

describe('a strict run', () => {
  it('ends when somebody waits for real time, even if he swallows the error', async () => {
    for (const [what, ask] of [
      ['setTimeout', () => setTimeout(() => {}, 1)],
      ['setInterval', () => setInterval(() => {}, 1)],
      ['AbortSignal.timeout', () => AbortSignal.timeout(1)],
    ] as const) {
      const clock = new VirtualClock();
      const swallowed = (async () => {
        await sleep(clock, 'a', 1);
        try {
          ask();
        } catch {
          // A library with a catch-all does this.
        }
        await sleep(clock, 'b', 1);
      })();
      await expect(clock.run(swallowed, 10, { strict: true })).rejects.toThrow(
        `${what} in a simulation`,
      );
    }
  });

  it('ends when a file is read', async () => {
    const clock = new VirtualClock();
    clock.after('read', 1, () => void readFile(import.meta.filename));
    const busy = (async () => {
      for (let index = 0; index < 100_000; index++) await sleep(clock, 'step', 1);
    })();
    await expect(clock.run(busy, 1e6, { strict: true })).rejects.toThrow(
      /real asynchronous work.*FSReq/,
    );
  });

  it('lets an immediate run before time goes on, and one that is cleared does not stop it', async () => {
    const clock = new VirtualClock();
    const log: string[] = [];
    warmUp(clock);
    clock.after('a', 1, () => {
      setImmediate((text: string) => log.push(`${text} at ${clock.nowMs()}`), 'immediate');
      clearImmediate(setImmediate(() => log.push('cleared')));
    });
    for (let ms = 2; ms < 50; ms++) clock.after('b', ms, () => log.push(`timer at ${ms}`));
    await clock.run(sleep(clock, 'end', 5), 10, { strict: true });
    expect(log).toEqual(['immediate at 1', 'timer at 2', 'timer at 3', 'timer at 4', 'timer at 5']);
  });

  it('gives real time back when it is over', async () => {
    const clock = new VirtualClock();
    expect(await clock.run(sleep(clock, 'a', 1), 10, { strict: true })).toBe('elapsed');
    await new Promise((resolve) => setTimeout(resolve, 1));
  });
});
