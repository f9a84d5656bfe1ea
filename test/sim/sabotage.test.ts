// The system is broken on purpose, one way after the other: the simulation finds each, and by the invariant that is meant.

import { describe, expect, it } from 'vitest';
import { createEpisodeRunner } from '../../src/sim/episode.ts';
import { FAULT_CATEGORIES } from '../../src/sim/profiles.ts';
import { SABOTAGE_NAMES, sabotageOf } from '../../src/sim/sabotage.ts';
import { planEpisode } from '../../src/sim/scenario.ts';

const IMAGE_BYTES = 16_384;
/** Episodes of seed 1 until it must have been found. */
const EPISODES = 4;

const expected: Readonly<Record<string, string>> = {
  'skip-verify': 'early-confirm',
  'confirm-early': 'early-confirm',
  'counter-early': 'early-counter',
  'no-rollback': 'outcome',
  'no-fsync': 'outcome',
  'forget-journal': 'stuck',
  'skip-secure-boot': 'unverified-boot',
  'skip-approval': 'unapproved-erase',
  'lose-reports': 'report',
};

describe('sabotage', () => {
  it('has a test for each way', () => {
    expect([...SABOTAGE_NAMES].sort()).toEqual(Object.keys(expected).sort());
  });

  it.each(SABOTAGE_NAMES.map((name) => [name, sabotageOf(name).breaks, expected[name]] as const))(
    '%s (%s) is found as %s',
    { timeout: 60_000 },
    async (name, _breaks, invariant) => {
      const run = createEpisodeRunner({ imageBytes: IMAGE_BYTES, sabotage: sabotageOf(name) });
      const options = {
        seed: '1',
        categories: FAULT_CATEGORIES,
        imageBytes: IMAGE_BYTES,
        vehicles: 1,
      };
      const seen = new Set<string>();
      for (let episode = 0; episode < EPISODES && seen.size === 0; episode++) {
        const { violations } = await run(planEpisode(options, episode));
        for (const violation of violations) seen.add(violation.invariant);
      }
      expect([...seen]).toContain(invariant);
    },
  );

  it('is refused with the names when it is none', () => {
    expect(() => sabotageOf('nothing')).toThrow(/skip-verify/);
  });
});
