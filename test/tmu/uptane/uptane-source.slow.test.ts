// The Primary between two repositories: a signal or a power cut at any moment.

import { describe, expect, it } from 'vitest';
import { MOCK_NOW_MS } from '../../support/mock-repositories.ts';
import { SERIALS, UptaneWorld } from './support.ts';

/** One release for EDT, assigned by the Director. */
function world() {
  const w = new UptaneWorld();
  const release = w.mock.release('EDT');
  w.mock.assign(SERIALS.EDT, release);
  return { w, release };
}

describe('a network that fails', () => {
  it('or a signal ends it at once, wherever it is', async () => {
    const probe = world().w;
    await probe.once();
    const totalMs = probe.clock.wallMs() - MOCK_NOW_MS;
    for (let atMs = 0; atMs < totalMs; atMs++) {
      const { w } = world();
      const abort = new AbortController();
      w.clock.after('SIGTERM', atMs + 0.5, () => abort.abort());
      const result = await w.check(await w.open(), abort.signal);
      expect(['interrupted', 'offers']).toContain(result.kind);
      expect((await w.once()).kind).toBe('offers');
    }
  });
});

it('a power cut at every write leaves a state from which it goes on', async () => {
  for (let at = 1; ; at++) {
    const { w } = world();
    await w.once();
    // New keys and new versions for everything.
    w.mock.director.rotate('timestamp', 'snapshot', 'targets', 'time');
    w.mock.images.rotate('timestamp', 'snapshot');
    w.mock.director.publish();
    w.mock.images.publish();
    w.storage.operations = 0;
    w.storage.cut = { at, when: at % 2 === 0 ? 'before' : 'after' };
    await w.once().catch(() => {});
    if (!w.storage.powerLost) {
      expect(at).toBeGreaterThan(12);
      break;
    }
    w.storage = w.storage.afterPowerCut('lost');
    expect((await w.once()).kind, `cut at ${at}`).toBe('offers');
    expect(w.eventsOf('verified').at(-1)!.director).toMatchObject({ root: 2 });
    // Verified versions may not go back, before the cut or after it.
    w.mock.director.replay(0);
    expect(await w.once(), `cut at ${at}`).toMatchObject({ kind: 'untrusted' });
  }
});
