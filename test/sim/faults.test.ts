// Faults and scenarios: equal for equal seeds, only of the wanted kinds, and within the campaign that they belong to.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  drawFault,
  FAULT_CATEGORIES,
  type Fault,
  faultText,
} from '../../src/sim/faults/catalogue.ts';
import { dimensionsOf } from '../../src/sim/faults/draw.ts';
import { EXCHANGE_FAULTS } from '../../src/sim/faults/exchange.ts';
import { FRAME_FAULTS } from '../../src/sim/faults/frame-noise.ts';
import { parseProfile, profileText } from '../../src/sim/profiles.ts';
import { episodeText, planEpisode, selectFrom, selectionText } from '../../src/sim/scenario.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';

describe('profiles', () => {
  it('are none, all, or a list in any order', () => {
    expect(parseProfile('none')).toEqual([]);
    expect(parseProfile('all')).toEqual(FAULT_CATEGORIES);
    expect(parseProfile('disk,power')).toEqual(['power', 'disk']);
    expect(parseProfile('power, disk')).toEqual(['power', 'disk']);
    expect(parseProfile('driver')).toEqual(['driver', 'vehicle']);
  });

  it('are written in the form that is read', () => {
    for (const text of ['none', 'all', 'power', 'power,disk', 'driver,vehicle']) {
      expect(parseProfile(profileText(parseProfile(text)))).toEqual(parseProfile(text));
    }
  });

  it.each(['', 'powr', 'power,', 'all,power', 'none,bus'])('refuse %j', (text) => {
    expect(() => parseProfile(text)).toThrow(/--faults: .* is none of none, all, power/);
  });
});

describe('faults', () => {
  const dimensions = dimensionsOf(2, 16_384);
  const many = (category: (typeof FAULT_CATEGORIES)[number]): Fault[] => {
    const random = seededRandom(`faults/${category}`);
    return Array.from({ length: 600 }, () =>
      drawFault(category, random, dimensions, ['EDT', 'INV']),
    );
  };

  it.each(FAULT_CATEGORIES)(
    'of %s are of that category, and have a line for people',
    (category) => {
      for (const fault of many(category)) {
        expect(fault.category).toBe(category);
        expect(faultText(fault)).toMatch(new RegExp(`^${category}: ${fault.kind}`));
        expect(faultText(fault)).not.toMatch(/undefined|NaN|\[object/);
      }
    },
  );

  it('come in every kind that the category knows', () => {
    const kinds = (category: (typeof FAULT_CATEGORIES)[number]): Set<string> =>
      new Set(many(category).map(({ kind }) => kind));
    expect(kinds('bus')).toEqual(
      new Set([...FRAME_FAULTS, 'deaf', 'babble', 'bus-off', 'second-tester']),
    );
    expect(kinds('network')).toEqual(new Set([...EXCHANGE_FAULTS, 'away', 'server-restart']));
    expect(kinds('disk')).toEqual(new Set(['full', 'torn', 'rot']));
    expect(kinds('ecu').size).toBe(6);
    expect(kinds('driver')).toEqual(
      new Set(['deny', 'later', 'later-ignition', 'silence', 'withdraw', 'cancel']),
    );
  });

  it('hit single machines, several, and all at once', () => {
    const sizes = new Set(
      many('power').map((fault) => ('machines' in fault ? fault.machines.length : 0)),
    );
    for (const size of [1, 2, 3, 5]) expect(sizes).toContain(size);
  });

  it('begin within the campaign', () => {
    for (const fault of FAULT_CATEGORIES.flatMap(many)) {
      if ('nth' in fault) {
        expect(fault.nth).toBeGreaterThanOrEqual(1);
        expect(fault.nth).toBeLessThanOrEqual(dimensions.exchanges);
      }
      if (!('at' in fault)) continue;
      const { at } = fault;
      if (at.on === 'time') expect(at.ms).toBeLessThanOrEqual(dimensions.durationMs);
      if (at.on === 'frame') expect(at.n).toBeLessThanOrEqual(dimensions.frames);
      if (at.on === 'write') expect(at.n).toBeLessThanOrEqual(dimensions.tmuWrites);
    }
  });
});

describe('scenarios', () => {
  const options = { seed: '7', categories: FAULT_CATEGORIES, imageBytes: 16_384, vehicles: 1 };

  it('are the same for the same seed and episode, whatever comes before them', () => {
    expect(planEpisode(options, 3, 20)).toEqual(planEpisode(options, 3, 20));
    expect(planEpisode(options, 3, 5).campaigns).toEqual(
      planEpisode(options, 3, 20).campaigns.slice(0, 5),
    );
    expect(planEpisode(options, 4, 20)).not.toEqual(planEpisode(options, 3, 20));
    expect(planEpisode({ ...options, seed: '8' }, 3, 20)).not.toEqual(planEpisode(options, 3, 20));
  });

  it('have one to three ECUs, up to four faults of the profile, and a proof', () => {
    fc.assert(
      fc.property(fc.nat(), fc.subarray([...FAULT_CATEGORIES]), (seed, categories) => {
        const { campaigns, otherMake, smallDevice } = planEpisode(
          { seed: String(seed), categories, imageBytes: 300, vehicles: 1 },
          0,
          10,
        );
        expect(campaigns).toHaveLength(10);
        for (const { ecus, faults, proof } of campaigns) {
          expect(new Set(ecus).size).toBe(ecus.length);
          expect(ecus.length).toBeGreaterThanOrEqual(1);
          // An ECU of another make is added, with its own faults.
          const fitted = otherMake === null ? 0 : 1;
          expect(ecus.length).toBeLessThanOrEqual(3 + fitted);
          expect(proof).toHaveLength(1);
          const more = 3 * fitted + (smallDevice ? 2 : 0) + 2;
          expect(faults.length).toBeLessThanOrEqual(categories.length === 0 ? 0 : 4 + more);
          for (const { fault } of faults) expect(categories).toContain(fault.category);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('are told in one line a campaign and one a fault', () => {
    const plan = planEpisode(options, 0, 20);
    const faults = plan.campaigns.reduce((sum, campaign) => sum + campaign.faults.length, 0);
    const first = plan.otherMake === null ? 0 : 1;
    expect(episodeText(plan).split('\n')).toHaveLength(first + 20 + faults);
  });

  it('are drawn for each vehicle', () => {
    const { campaigns } = planEpisode({ ...options, vehicles: 3 }, 0);
    const vehicles = new Set(campaigns.flatMap(({ faults }) => faults.map((one) => one.vehicle)));
    expect(vehicles).toEqual(new Set([0, 1, 2]));
  });

  it('can be cut down by a text, and the text is made from what is left', () => {
    const full = planEpisode(options, 0);
    const rich = full.campaigns.filter(({ faults, ecus }) => faults.length > 1 && ecus.length > 1);
    const [one, other] = [rich[0]!, rich[1]!];
    const kept = {
      ...full,
      campaigns: [
        { ...one, ecus: one.ecus.slice(1), faults: [one.faults[1]!] },
        { ...other, faults: [] },
      ],
    };
    const text = selectionText(full, kept);
    expect(text).toBe(
      `${one.number}/${one.ecus.slice(1).join('+')}/1 ${other.number}/${other.ecus.join('+')}/`,
    );
    expect(selectFrom(full, text)).toEqual(kept);
  });

  it.each(['', '1', '99/EDT/', '1/XYZ/', '1//', 'x/EDT/0'])('refuse the selection %j', (text) => {
    expect(() => selectFrom(planEpisode(options, 0), text)).toThrow(/--only: .*expected CAMPAIGN/);
  });
});
