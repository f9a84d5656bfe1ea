// A vehicle without conditions: always ready, and watched until the watcher is told to stop.

import { expect, it } from 'vitest';
import { alwaysReady } from '../../src/campaign/ports.ts';

const query = { gate: 'stage' } as unknown as Parameters<typeof alwaysReady.watch>[0];

it('is watched until the signal comes, also where it came before', async () => {
  const stop = new AbortController();
  let ended = false;
  const watch = alwaysReady.watch(query, stop.signal).then((lost) => {
    ended = true;
    return lost;
  });
  await Promise.resolve();
  expect(ended).toBe(false);
  stop.abort();
  expect(await watch).toBeUndefined();
  expect(await alwaysReady.watch(query, AbortSignal.abort())).toBeUndefined();
});

it('is ready, and tells nothing of its ignition', async () => {
  expect(await alwaysReady.check(query)).toEqual({ ok: true });
  expect(await alwaysReady.ignition()).toBe('unknown');
});
