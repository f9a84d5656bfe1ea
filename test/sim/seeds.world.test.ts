// A fixed seed over all faults (`CAN_OTA_EPISODES=50` for more); `npm run soak` and `can-ota simulate` run other seeds.

import { describe, expect, it } from 'vitest';
import { createEpisodeRunner } from '../../src/sim/episode.ts';
import { FAULT_CATEGORIES } from '../../src/sim/faults/catalogue.ts';
import { episodeText, planEpisode } from '../../src/sim/scenario.ts';

const IMAGE_BYTES = 16_384;
const EPISODES = Number(process.env.CAN_OTA_EPISODES ?? 4);

const run = createEpisodeRunner({ imageBytes: IMAGE_BYTES, sabotage: undefined });

describe('a vehicle is never left half updated', () => {
  it.each(Array.from({ length: EPISODES }, (_none, episode) => episode))(
    'seed ci, episode %i',
    async (episode) => {
      const options = {
        seed: 'ci',
        categories: FAULT_CATEGORIES,
        imageBytes: IMAGE_BYTES,
        vehicles: 1,
      };
      const plan = planEpisode(options, episode);
      const { endings, proofs, violations } = await run(plan);
      expect(violations, episodeText(plan)).toEqual([]);
      expect(endings).toHaveLength(plan.campaigns.length);
      expect(proofs).toBe(plan.campaigns.length);
    },
  );

  it('also with three vehicles at one backend', async () => {
    const options = {
      seed: 'ci/three',
      categories: FAULT_CATEGORIES,
      imageBytes: 2000,
      vehicles: 3,
    };
    const plan = planEpisode(options, 0, 4);
    const { endings, violations } = await run(plan);
    expect(violations, episodeText(plan)).toEqual([]);
    expect(endings).toHaveLength(3 * 4);
  });
});
