// The ECU of another make: the TMU programs it as any standard ECU, and each of its faults happens.

import { describe, expect, it } from 'vitest';
import { createEpisodeRunner } from '../../src/sim/episode.ts';
import { FAULT_CATEGORIES } from '../../src/sim/faults/catalogue.ts';
import { type Character, OPTIONAL } from '../../src/sim/other-make/character.ts';
import { type CampaignPlan, planEpisode } from '../../src/sim/scenario.ts';

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
  const facts = {
    seed: 'make',
    episode: 0,
    vehicles: 1,
    singleBank: [],
    chunked: false,
    smallDevice: false,
  };
  return { ...facts, otherMake, campaigns };
}

describe('an ECU of another make', () => {
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

  it.each([
    'refuses-session',
    'busy',
    'waits',
    'deaf-after-session',
    'slow-reset',
    'lingers',
    'no-start',
  ] as const)('has the fault %s in a campaign, and none afterwards', async (kind) => {
    const at = { on: 'state', state: 'activating', delayMs: 0 } as const;
    const fault = { category: 'make', kind, at, forMs: 2000, amount: 1 } as const;
    const faults = [{ vehicle: 0, fault }];
    const { violations, faults: happened } = await run(plan(character, campaign(1, { faults })));
    expect(happened).toEqual({ make: 1 });
    const broken = violations.map(({ invariant }) => invariant);
    for (const never of ['crash', 'stuck', 'mixture', 'proof']) expect(broken).not.toContain(never);
  });

  it('is drawn where the profile has it, and changes nothing else that is drawn', () => {
    const options = { seed: '3', imageBytes: IMAGE_BYTES, vehicles: 1 };
    // The faults that were drawn before; those with a separate random stream come after them.
    const others = FAULT_CATEGORIES.slice(0, FAULT_CATEGORIES.indexOf('make'));
    const plans = Array.from({ length: 20 }, (_none, episode) => ({
      without: planEpisode({ ...options, categories: others }, episode),
      having: planEpisode({ ...options, categories: [...others, 'make'] }, episode),
    }));
    expect(plans.every(({ without }) => without.otherMake === null)).toBe(true);
    const fitted = plans.filter(({ having }) => having.otherMake !== null);
    expect(fitted.length).toBeGreaterThan(2);
    expect(fitted.length).toBeLessThan(15);
    for (const { without, having } of plans) {
      if (having.otherMake === null) expect(having).toEqual(without);
      for (const [index, { faults, proof }] of without.campaigns.entries()) {
        expect(having.campaigns[index]!.faults.slice(0, faults.length)).toEqual(faults);
        expect(having.campaigns[index]!.proof).toEqual(proof);
      }
    }
  });
});
