// Bundles of the bench's keys: one changed byte, anywhere.

import { describe, expect, it } from 'vitest';
import { bundleWith, MODES, receive, virginState, virginTrust } from './bench-keys-support.ts';

describe.each(MODES)('a bundle for %s verification', (verification) => {
  const state = virginState(verification);

  it('does not stand a change of any byte', () => {
    const bytes = bundleWith({ state });
    const trust = virginTrust();
    expect(receive(bytes, { verification, trust }).ok).toBe(true);
    const survivors: string[] = [];
    // Every third byte of the longer one: a second is long enough.
    const step = verification === 'full' ? 3 : 1;
    for (let at = 0; at < bytes.length; at += step) {
      const changed = Uint8Array.from(bytes);
      changed[at]! ^= 1;
      if (!receive(changed, { verification, trust }).ok) continue;
      survivors.push(Buffer.from(bytes.subarray(at - 12, at + 12)).toString());
    }
    expect(survivors).toEqual([]);
  });
});
