// Breaks the system on purpose in each way: the simulation finds each one by the expected invariant.

import { describe, expect, it } from 'vitest';
import { createEpisodeRunner } from '../../src/sim/episode.ts';
import { FAULT_CATEGORIES, type ProfileEntry } from '../../src/sim/faults/catalogue.ts';
import { SABOTAGE_NAMES, sabotageOf } from '../../src/sim/sabotage.ts';
import { planEpisode } from '../../src/sim/scenario.ts';

const IMAGE_BYTES = 16_384;
/** Limit of a campaign, because a stuck one would run for hours. */
const LIMIT_MS = 3_600_000;
/** Episodes of seed 1 within which it must be found. */
const EPISODES = 4;

/** Profiles for sabotages that are rare with all faults: bits that flip in a staged image, a cut in a command. */
const profiles: Readonly<Record<string, readonly ProfileEntry[]>> = {
  'skip-secure-boot': ['disk'],
  'forget-commands': ['services'],
};

const expected: Readonly<Record<string, string>> = {
  'skip-verify': 'proof',
  'confirm-early': 'early-confirm',
  'counter-early': 'early-counter',
  'no-rollback': 'outcome',
  'no-fsync': 'outcome',
  'forget-journal': 'stuck',
  'forget-commands': 'stuck',
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
    async (name, _breaks, invariant) => {
      const sabotage = sabotageOf(name);
      const run = createEpisodeRunner({ imageBytes: IMAGE_BYTES, sabotage, limitMs: LIMIT_MS });
      const options = {
        seed: '1',
        categories: profiles[name] ?? FAULT_CATEGORIES,
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
