// The ECU of another make: programmed by the TMU as any standard ECU, and each of its faults happens.

import { describe, expect, it } from 'vitest';
import { createEpisodeRunner } from '../../src/sim/episode.ts';
import { type Character, OPTIONAL } from '../../src/sim/other-make/character.ts';
import type { CampaignPlan } from '../../src/sim/scenario.ts';

const IMAGE_BYTES = 4096;
const run = createEpisodeRunner({ imageBytes: IMAGE_BYTES, sabotage: undefined });

const character: Character = {
  security: 'xor',
  knows: OPTIONAL,
  answerMs: 5,
  bootMs: 300,
  eraseMs: 2500,
  blockLength: 130,
};

const campaign = (number: number, more: Partial<CampaignPlan> = {}): CampaignPlan => ({
  number,
  ecus: ['OBC'],
  faults: [],
  forced: false,
  encrypted: false,
  proof: ['OBC'],
  ...more,
});

function plan(otherMake: Character, ...campaigns: CampaignPlan[]) {
  const facts = { seed: 'make', episode: 0, vehicles: 1, singleBank: [], chunked: false };
  return { ...facts, otherMake, campaigns };
}

describe('an ECU of another make', { timeout: 30_000 }, () => {
  it.each([
    ['that knows everything', character],
    ['that knows nothing more than it must', { ...character, knows: [], security: 'none' }],
    ['that erases at 34', { ...character, knows: ['dependencies', 'activeSession'] }],
    ['that checks its memory', { ...character, knows: ['checkMemory', 'erase', 'troubleCodes'] }],
  ] as const)('%s is updated, alone and with one of ours', async (_what, otherMake) => {
    const episode = plan(otherMake, campaign(1), campaign(2, { ecus: ['EDT', 'OBC'] }));
    const { violations, endings, proofs } = await run(episode);
    expect(violations).toEqual([]);
    expect(endings).toEqual(['success', 'success']);
    expect(proofs).toBe(2);
  });
});
