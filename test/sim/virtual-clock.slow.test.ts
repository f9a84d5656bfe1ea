// Virtual time that stands still although timers fire.

import { afterEach, describe, expect, it } from 'vitest';
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

const forever = (): Promise<never> => new Promise(() => {});

describe('run', () => {
  it('notices that time stands still although timers fire', async () => {
    const clock = new VirtualClock();
    const again = (): void => void clock.after('retry-at-once', 0, again);
    again();
    await expect(clock.run(forever(), 100)).rejects.toThrow(/time stands still.*retry-at-once/);
  });
});

it('within names a wait that never ends', async () => {
  const clock = new VirtualClock();
  await expect(clock.within(5, forever())).rejects.toThrow(/nothing settled within 5 ms/);
});
